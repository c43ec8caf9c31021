"""The sensor table: one row per device and measurement time (law 3). The only file that knows DynamoDB rows.

A row holds what was sent: `{SensorId, Timestamp, Value}` and, where settings ask for them, `Measures` and `ExpiresAt`.
Writing a row again is harmless, so every doubt (a lost answer, a restart) is settled by writing again.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from consumer.metrics import Metrics
from consumer.reading import Reading, timestamp
from consumer.retry import delay, until_done

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_dynamodb.type_defs import WriteRequestUnionTypeDef

    Requests = Sequence[WriteRequestUnionTypeDef]

BATCH: Final = 25
"""Rows in one BatchWriteItem, the service's limit."""
DAY: Final = 86_400


class Table:
    """Rows in one table; all shards share its connections and its bound on requests under way."""

    def __init__(self, client: "DynamoDBClient", name: str, ttl_days: int, concurrency: int, metrics: Metrics) -> None:
        self._client = client
        self._name = name
        self._ttl = ttl_days * DAY
        self._slots = asyncio.Semaphore(concurrency)
        self._metrics = metrics

    async def put(self, readings: Iterable[Reading], guard: Callable[[], None]) -> None:
        """Makes the rows of one shard's readings durable; they must be in the order of their sequence numbers.

        Of several readings with one key the last wins and the others are counted as superseded; DynamoDB would refuse
        a batch that holds a key twice. Raises what `guard` raises, after all requests under way have ended.
        """
        rows: dict[tuple[str, int], Reading] = {}
        total = 0
        for reading in readings:
            rows[reading.device, reading.time_ms] = reading
            total += 1
        requests = [self._request(reading) for reading in rows.values()]
        batches = [self._put_batch(requests[i : i + BATCH], guard) for i in range(0, len(requests), BATCH)]
        # Not a TaskGroup: a request that was sent may still take effect, so none is cancelled.
        for failure in await asyncio.gather(*batches, return_exceptions=True):
            if isinstance(failure, BaseException):
                raise failure
        self._metrics.rows.inc(len(rows))
        self._metrics.superseded.inc(total - len(rows))

    def _request(self, reading: Reading) -> "WriteRequestUnionTypeDef":
        item: dict[str, dict[str, object]] = {
            "SensorId": {"S": reading.device},
            "Timestamp": {"S": timestamp(reading.time_ms)},
            "Value": {"N": str(reading.value)},
        }
        if reading.measures:
            item["Measures"] = {"M": {name: {"N": str(value)} for name, value in reading.measures.items()}}
        if self._ttl:
            item["ExpiresAt"] = {"N": str(reading.time_ms // 1000 + self._ttl)}
        return {"PutRequest": {"Item": item}}

    async def _put_batch(self, requests: "Requests", guard: Callable[[], None]) -> None:
        failures = 0
        while requests:

            async def write(batch: "Requests" = requests) -> "Requests":
                async with self._slots:
                    guard()
                    answer = await self._client.batch_write_item(RequestItems={self._name: batch})
                return answer.get("UnprocessedItems", {}).get(self._name, [])

            left = await until_done("table", write, self._metrics, guard)
            if left:  # the table takes what its capacity allows and returns the rest
                self._metrics.throttles.labels("table").inc(len(left))
                failures = failures + 1 if len(left) == len(requests) else 0
                await asyncio.sleep(delay(failures))
            requests = left
