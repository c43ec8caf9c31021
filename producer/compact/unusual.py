"""Archive lines that DuckDB does not read itself: by the consumer's own code, a JSON object for each row."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from consumer.archive.format import parse_line
from consumer.payload.contracts import Contracts
from consumer.payload.decode import decode
from consumer.payload.reading import Reading

_encode = msgspec.json.Encoder().encode


class _Texts(msgspec.Struct):
    """Fields of a line as they stand in it."""

    rejects: msgspec.Raw = msgspec.Raw()
    data: str | None = None


_texts = msgspec.json.Decoder(_Texts).decode


def write(lines: Iterable[bytes], contracts: Contracts, file: Path) -> int:
    """Writes the rows of the lines; returns the length of the longest in bytes, 0 for none. Raises UnreadableLine."""
    longest = 0
    with file.open("wb") as out:
        for line in lines:
            for row in rows(line, contracts):
                longest = max(longest, out.write(_encode(row) + b"\n"))
    return longest


def rows(line: bytes, contracts: Contracts) -> Iterator[dict[str, Any]]:
    """One for each reading, at least one; what belongs to the whole record is in the first. Raises UnreadableLine."""
    head, data = parse_line(line)
    texts = _texts(line)
    where = {
        "shard": head.shard,
        "sequence_number": head.sequence_number,
        "sub_sequence_number": head.sub_sequence_number,
        "partition_key": head.partition_key,
        "arrival": head.arrival,
    }
    record = {
        "rejected": head.rejected,
        "rejects": bytes(texts.rejects).decode() or None,
        "data": texts.data,
        "payload": line[line.index(b'"payload":') + 10 : -1].decode(),
        "raw": line.decode(),
    }
    readings = decode(data, contracts, head.partition_key or "", head.arrival).readings
    for index, reading in enumerate(readings or [None]):
        yield {"reading": index, **where, **(record if index == 0 else {}), **(_measured(reading) if reading else {})}


def _measured(reading: Reading) -> dict[str, Any]:
    measures = {name: float(number) for name, number in (reading.measures or {}).items()} or None
    value = None if reading.value is None else float(reading.value)
    return {"device": reading.device, "measured": reading.time_ms, "value": value, "measures": measures}
