"""The sensor table: one row per device and measurement time (invariant 3). What a row holds: rows.py.

Writing a row again is harmless, so it is written again whenever its outcome is unknown (a lost answer, a restart).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from consumer.aws.retry import Guard, delay, until_done
from consumer.payload.reading import Reading
from consumer.sinks.rows import body, put_request, unprocessed
from consumer.telemetry.metrics import Metrics

BATCH: Final = 25
"""Rows in one BatchWriteItem, the service's limit."""
DAY: Final = 86_400

Arrived = tuple[Reading, int | None]
"""A reading, and when Kinesis took its record (ms since the epoch)."""
Send = Callable[[bytes], Awaitable[bytes]]
"""Sends the body of one BatchWriteItem and returns the answer's body: aws/batch_write.py."""


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
    """Rows in one table; all shards share its limit of concurrent requests."""

    def __init__(
        self, send: Send, name: str, ttl_days: int, concurrency: int, metrics: Metrics, sink: str = "table"
    ) -> None:
        """`sink` is its name in the metrics."""
        self._sink = sink
        self._send = send
        self._name = name
        self._days = ttl_days
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._metrics = metrics

    async def put(self, readings: Iterable[Arrived], guard: Guard) -> None:
        """Makes the rows of one shard's readings durable; they must be in the order of their sequence numbers.

        Of several readings with one key the last wins and the others are counted as superseded; DynamoDB would refuse
        a batch that holds a key twice. Raises what `guard` raises, after all requests in progress have ended.
        """
        rows: dict[tuple[str, int], Arrived] = {}
        total = 0
        for arrived in readings:
            reading = arrived[0]
            rows[reading.device, reading.time_ms] = arrived
            total += 1
        await self.write(map(self._expiring if self._days else _lasting, rows.values()), len(rows), guard)
        self._metrics.rows.inc(len(rows))
        self._metrics.superseded.inc(total - len(rows))

    async def write(self, requests: Iterable[str], count: int, guard: Guard) -> None:
        """Makes the items of `count` requests durable, each with a key of its own. Raises as `put` does.

        A request is taken when it is about to be sent: those of a large delivery at once would hold the event loop.
        """
        batches = _batches(requests)
        workers = min(self._concurrency, -(-count // BATCH))
        if workers == 1:
            await self._put_batches(batches, guard)
        else:
            # Not a TaskGroup: a request that was sent may still take effect, so none is cancelled.
            working = (self._put_batches(batches, guard) for _ in range(workers))
            for failure in await asyncio.gather(*working, return_exceptions=True):
                if isinstance(failure, BaseException):
                    raise failure

    def _expiring(self, row: Arrived) -> str:
        at, bound = expiry(row, self._days)
        if bound:
            self._metrics.ttl_bounded.labels(bound).inc()
        return put_request(row[0], at)

    async def _put_batches(self, batches: Iterator[Sequence[str]], guard: Guard) -> None:
        for batch in batches:
            await self._put_batch(batch, guard)

    async def _put_batch(self, requests: Sequence[str], guard: Guard) -> None:
        fruitless = 0  # consecutive requests of which the table took nothing
        while requests:
            left = await until_done(self._sink, partial(self._write, requests, guard), self._metrics, guard)
            if left:
                self._metrics.throttles.labels(self._sink).inc(len(left))
                fruitless = fruitless + 1 if len(left) == len(requests) else 0
                await asyncio.sleep(delay(fruitless))
            requests = left

    async def _write(self, requests: Sequence[str], guard: Guard) -> Sequence[str]:
        """One request; returns the rows that were not written: the table takes what its capacity allows."""
        async with self._slots:
            guard()
            answer = await self._send(body(self._name, requests))
        return unprocessed(answer, self._name, len(requests))


def _batches(requests: Iterable[str]) -> Iterator[list[str]]:
    left = iter(requests)
    while batch := list(islice(left, BATCH)):
        yield batch


def _lasting(row: Arrived) -> str:
    return put_request(row[0], None)
