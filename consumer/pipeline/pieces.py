"""Pure: large deliveries in pieces, so that none holds the event loop, and the other shards, for long."""

from collections.abc import Iterator, Sequence
from typing import Final

from consumer.record import Position, Record

RECORDS: Final = 2_000
BYTES: Final = 1 << 18
"""Of data: some 2,300 readings, whether or not several share a record. Decoding them takes a few milliseconds."""

Taken = tuple[Position, Record]


def pieces(records: Sequence[Taken]) -> Iterator[Sequence[Taken]]:
    """The records in their order; each piece has RECORDS and BYTES at most, or is one record."""
    begin = size = 0
    for place, (_, record) in enumerate(records):
        size += len(record.data)
        if place > begin and (place - begin == RECORDS or size > BYTES):
            yield records[begin:place]
            begin, size = place, len(record.data)
    yield records[begin:]
