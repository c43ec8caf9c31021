"""The sensor table: one row per device and measurement time (invariant 3). The only file that knows DynamoDB rows.

A row holds what was sent: `{SensorId, Timestamp, Value}` and, depending on settings, `Measures`,
`TimeSource` and `ExpiresAt`.
Writing a row again is harmless, so it is written again whenever its outcome is unknown (a lost answer, a restart).
"""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from consumer.aws.retry import Guard, delay, until_done
from consumer.payload.reading import Reading
from consumer.payload.times import timestamp
from consumer.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_dynamodb.type_defs import WriteRequestUnionTypeDef

    Requests = Sequence[WriteRequestUnionTypeDef]

BATCH: Final = 25
"""Rows in one BatchWriteItem, the service's limit."""
DAY: Final = 86_400

Arrived = tuple[Reading, int | None]
"""A reading, and when Kinesis took its record (ms since the epoch)."""


class Expiry(NamedTuple):
    """The second at which DynamoDB may delete a row, None for never; `bound` if it is not the measurement plus TTL."""

    at: int | None
    bound: str | None = None


def expiry(arrived: Arrived, days: int) -> Expiry:
    """When a row expires; a function of its record alone, so that a replay gives the same.

    `days` after the measurement. The device's clock may be wrong, so not earlier than a day after the record arrived
    (`past`: DynamoDB would delete the row at once, or never if it expired more than five years ago), and not later than
    `days` and a day after it (`future`). For a TTL of one day the earlier bound is half a day, since every measurement
    is a little older than its arrival. Without an arrival time the row does not expire (`no-arrival`).
    """
    reading, arrival = arrived
    if not days:
        return Expiry(None)
    if arrival is None:
        return Expiry(None, "no-arrival")
    at, since = reading.time_ms // 1000 + days * DAY, arrival // 1000
    earliest = since + min(DAY, days * DAY // 2)
    if at < earliest:
        return Expiry(earliest, "past")
    if at > since + (days + 1) * DAY:
        return Expiry(since + (days + 1) * DAY, "future")
    return Expiry(at)


class Table:
    """Rows in one table; all shards share its connections and its limit of concurrent requests."""

    def __init__(self, client: "DynamoDBClient", name: str, ttl_days: int, concurrency: int, metrics: Metrics) -> None:
        self._client = client
        self._name = name
        self._days = ttl_days
        self._slots = asyncio.Semaphore(concurrency)
        self._metrics = metrics

    async def put(self, readings: Iterable[Arrived], guard: Guard) -> None:
        """Makes the rows of one shard's readings durable; they must be in the order of their sequence numbers.

        Of several readings with one key the last wins and the others are counted as superseded; DynamoDB would refuse
        a batch that holds a key twice. Raises what `guard` raises, after all requests in progress have ended.
        """
        rows: dict[tuple[str, int], Arrived] = {}
        total = 0
        for reading, arrival in readings:
            rows[reading.device, reading.time_ms] = reading, arrival
            total += 1
        expiries = [expiry(row, self._days) for row in rows.values()]
        requests = [self._request(row[0], end.at) for row, end in zip(rows.values(), expiries, strict=True)]
        batches = [self._put_batch(requests[i : i + BATCH], guard) for i in range(0, len(requests), BATCH)]
        # Not a TaskGroup: a request that was sent may still take effect, so none is cancelled.
        for failure in await asyncio.gather(*batches, return_exceptions=True):
            if isinstance(failure, BaseException):
                raise failure
        self._metrics.rows.inc(len(rows))
        self._metrics.superseded.inc(total - len(rows))
        for end in expiries:
            if end.bound:
                self._metrics.ttl_bounded.labels(end.bound).inc()

    def _request(self, reading: Reading, expires: int | None) -> "WriteRequestUnionTypeDef":
        item: dict[str, dict[str, object]] = {
            "SensorId": {"S": reading.device},
            "Timestamp": {"S": timestamp(reading.time_ms)},
        }
        if reading.value is not None:
            item["Value"] = {"N": str(reading.value)}
        if reading.measures:
            item["Measures"] = {"M": {name: {"N": str(value)} for name, value in reading.measures.items()}}
        if reading.arrived:
            item["TimeSource"] = {"S": "arrival"}
        if expires is not None:
            item["ExpiresAt"] = {"N": str(expires)}
        return {"PutRequest": {"Item": item}}

    async def _put_batch(self, requests: "Requests", guard: Guard) -> None:
        fruitless = 0  # consecutive requests of which the table took nothing
        while requests:
            left = await until_done("table", partial(self._write, requests, guard), self._metrics, guard)
            if left:
                self._metrics.throttles.labels("table").inc(len(left))
                fruitless = fruitless + 1 if len(left) == len(requests) else 0
                await asyncio.sleep(delay(fruitless))
            requests = left

    async def _write(self, requests: "Requests", guard: Guard) -> "Requests":
        """One request; returns the rows that were not written: the table takes what its capacity allows."""
        async with self._slots:
            guard()
            answer = await self._client.batch_write_item(RequestItems={self._name: requests})
        return answer.get("UnprocessedItems", {}).get(self._name, [])
