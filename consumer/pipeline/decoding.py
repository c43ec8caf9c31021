"""The records of a delivery, decoded."""

import asyncio
from collections.abc import Sequence

from consumer.payload.contracts import Contracts
from consumer.payload.decode import decode, decode_with, own_message
from consumer.payload.reading import Decoded
from consumer.record import Record


async def decode_all(records: Sequence[Record], contracts: Contracts) -> list[Decoded]:
    """Decodes them in their order. A decoder of the operator's own, which may be slow, is waited for in a thread."""
    if contracts.own is None:
        return [decode(r.data, contracts, r.partition_key, r.approximate_arrival_timestamp) for r in records]
    decoded = []
    for record in records:
        arrival = record.approximate_arrival_timestamp
        message = await asyncio.to_thread(own_message, record.data, contracts, record.partition_key)
        decoded.append(decode_with(message, record.data, contracts, record.partition_key, arrival))
    return decoded
