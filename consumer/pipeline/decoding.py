"""The records of a delivery, decoded."""

import asyncio
from collections.abc import Iterable, Sequence

from consumer.archive.writer import Item
from consumer.payload.contracts import Contracts
from consumer.payload.decode import decode, decode_with, own_message
from consumer.payload.reading import Decoded
from consumer.record import Record
from consumer.sinks.rows import Arrived
from consumer.telemetry.metrics import Metrics


async def decode_all(records: Sequence[Record], contracts: Contracts, metrics: Metrics) -> list[Decoded]:
    """Decodes them in their order, and counts readings and rejects."""
    decoded = await _decode_all(records, contracts)
    metrics.decoded.inc(sum(len(found.readings) for found in decoded))
    for found in decoded:
        if found.rejected:
            for reason, count in found.reasons.items():
                metrics.rejected.labels(reason).inc(count)
    return decoded


def readings(records: Iterable[Item]) -> list[Arrived]:
    """What they hold, in their order."""
    return [
        (reading, record.approximate_arrival_timestamp) for _, record, found in records for reading in found.readings
    ]


async def _decode_all(records: Sequence[Record], contracts: Contracts) -> list[Decoded]:
    """A decoder of the operator's own, which may be slow, is waited for in a thread."""
    if contracts.own is None:
        return [decode(r.data, contracts, r.partition_key, r.approximate_arrival_timestamp) for r in records]
    decoded = []
    for record in records:
        arrival = record.approximate_arrival_timestamp
        message = await asyncio.to_thread(own_message, record.data, contracts, record.partition_key)
        decoded.append(decode_with(message, record.data, contracts, record.partition_key, arrival))
    return decoded
