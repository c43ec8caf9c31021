"""This service with the table written through aiobotocore, and nothing else changed.

python -m tests.bench.peers.aiobotocore_plain
"""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from consumer import __main__, service
from consumer.payload.times import timestamp
from consumer.sinks.rows import Arrived

BATCH = 25


class PlainTable:
    """In place of the service's own: `put` by the client's batch_write_item, eight at a time."""

    def __init__(self, *_: object) -> None:
        self._client: Any = None
        self._at_once = asyncio.Semaphore(8)

    async def put(self, readings: Iterable[Arrived], guard: object) -> None:
        """The rows of one delivery; UnprocessedItems are sent again at once."""
        if self._client is None:
            config = AioConfig(parameter_validation=False, max_pool_connections=12)
            self._client = await get_session().create_client("dynamodb", config=config).__aenter__()
        rows = {(reading.device, reading.time_ms): reading for reading, _ in readings}
        puts = [
            {
                "PutRequest": {
                    "Item": {
                        "SensorId": {"S": reading.device},
                        "Timestamp": {"S": timestamp(reading.time_ms)},
                        "Value": {"N": str(reading.value)},
                    }
                }
            }
            for reading in rows.values()
        ]
        await asyncio.gather(*(self._send(puts[i : i + BATCH]) for i in range(0, len(puts), BATCH)))

    async def _send(self, puts: Sequence[Any]) -> None:
        left: Any = {"sensors": puts}
        while left:
            async with self._at_once:
                left = (await self._client.batch_write_item(RequestItems=left)).get("UnprocessedItems")


if __name__ == "__main__":
    setattr(service, "Table", PlainTable)  # noqa: B010 - in place of the one that the service makes
    sys.exit(__main__.main([]))
