"""The sensor table: one row per device and measurement time (invariant 3). What a row holds: rows.py.

The entries of the list of devices share the requests of the rows: a delivery of a few readings costs as many requests
as without them. Writing a row again is harmless, so it is written again whenever its outcome is unknown (a lost answer,
a restart); so is an entry.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from itertools import islice, starmap
from typing import Final, NamedTuple

from consumer.aws.retry import Guard, delay, until_done
from consumer.sinks.device_list import DeviceList
from consumer.sinks.rows import Arrived, Requests, body, list_request, put_request, unprocessed
from consumer.telemetry.metrics import Metrics

BATCH: Final = 25
"""Requests in one BatchWriteItem, the service's limit for all tables together."""
DAY: Final = 86_400

Send = Callable[[bytes], Awaitable[bytes]]
"""Sends the body of one BatchWriteItem and returns the answer's body: aws/dynamodb.py."""


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
        self,
        send: Send,
        name: str | None,
        ttl_days: int,
        concurrency: int,
        metrics: Metrics,
        devices: DeviceList | None = None,
    ) -> None:
        """Without a `name` it only keeps the list of devices."""
        self._send = send
        self._name = name or ""
        self._days = ttl_days
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._metrics = metrics
        self._devices = devices

    async def put(self, readings: Sequence[Arrived], guard: Guard) -> None:
        """Makes durable the rows of one shard's readings, and the entries of their devices; the readings must be in the
        order of their sequence numbers.

        Of several readings with one key the last wins and the others are counted as superseded; DynamoDB would refuse
        a batch that holds a key twice. The last of each device stands in its entry. Raises what `guard` raises, after
        all requests in progress have ended.
        """
        due = readings if self._name else ()
        rows = {(each[0].device, each[0].time_ms): each for each in due}
        now = time.monotonic()
        entries = self._devices.lacking(readings, now) if self._devices else []
        batches = self._batches(
            map(self._expiring if self._days else _lasting, rows.values()), starmap(list_request, entries)
        )
        await self._write(batches, -(-(len(rows) + len(entries)) // BATCH), guard)
        if self._devices:
            self._devices.add(entries, now)
        self._metrics.rows.inc(len(rows))
        self._metrics.superseded.inc(len(due) - len(rows))

    async def _write(self, batches: Iterator[Requests], count: int, guard: Guard) -> None:
        """A batch is made when it is about to be sent: those of a large delivery at once would hold the event loop."""
        workers = min(self._concurrency, count)
        if workers == 1:
            await self._put_batches(batches, guard)
        else:
            # Not a TaskGroup: a request that was sent may still take effect, so none is cancelled.
            working = (self._put_batches(batches, guard) for _ in range(workers))
            for failure in await asyncio.gather(*working, return_exceptions=True):
                if isinstance(failure, BaseException):
                    raise failure

    def _batches(self, rows: Iterator[str], entries: Iterator[str]) -> Iterator[Requests]:
        while True:
            batch = {self._name: list(islice(rows, BATCH))}
            if self._devices:
                batch[self._devices.table] = list(islice(entries, BATCH - len(batch[self._name])))
            if not any(batch.values()):
                return
            yield {table: requests for table, requests in batch.items() if requests}

    def _expiring(self, row: Arrived) -> str:
        at, bound = expiry(row, self._days)
        if bound:
            self._metrics.ttl_bounded.labels(bound).inc()
        return put_request(row[0], at)

    async def _put_batches(self, batches: Iterator[Requests], guard: Guard) -> None:
        for batch in batches:
            await self._put_batch(batch, guard)

    async def _put_batch(self, requests: Requests, guard: Guard) -> None:
        fruitless = 0  # consecutive requests of which the table took nothing
        while requests:
            left = await until_done("table", partial(self._send_batch, requests, guard), self._metrics, guard)
            if left:
                for table, texts in left.items():
                    self._metrics.throttles.labels("table" if table == self._name else "devices").inc(len(texts))
                fruitless = fruitless + 1 if _count(left) == _count(requests) else 0
                await asyncio.sleep(delay(fruitless))
            requests = left

    async def _send_batch(self, requests: Requests, guard: Guard) -> Requests:
        """One BatchWriteItem; returns what was not written: a table takes what its capacity allows."""
        async with self._slots:
            guard()
            answer = await self._send(body(requests))
        return unprocessed(answer, requests)


def _count(requests: Requests) -> int:
    return sum(map(len, requests.values()))


def _lasting(row: Arrived) -> str:
    return put_request(row[0], None)
