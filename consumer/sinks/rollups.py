"""Rollups: a row per device and window of time, in which each reading of the archive is counted exactly once.

The readings of an archive object are counted when the object is durable, before its last record is checkpointed. Each
row says which object it has counted last, and is only ever replaced as it was found (rollup_rows.py). So whoever
repeats a commit, after a crash, a lost answer or a pause, counts nothing twice, and takes nothing back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Final

from consumer.aws.codes import unmet
from consumer.aws.retry import FAILURES, Guard, until_done
from consumer.payload.reading import Reading
from consumer.payload.values import Bad
from consumer.record import Position
from consumer.restarts import Reason, RunFailed
from consumer.sinks.rollup_rows import Counted, Item, Length, Row, count, parse, place, put_body
from consumer.sinks.windows import Key, Window, windows
from consumer.telemetry.metrics import Metrics

KEPT: Final = 10_000
"""Rows that a shard remembers, so that it need not be told how they stand: some 20 MB."""

Send = Callable[[bytes], Awaitable[bytes]]
"""Sends the body of one PutItem: aws/dynamodb.py."""


class ForeignRow(RunFailed):
    """The key of a rollup is taken by a row that is none of ours."""

    reason = Reason.FOREIGN_ROW


class RollupTable:
    """The rows of rollups; all shards share its limit of concurrent requests."""

    def __init__(self, send: Send, name: str, ttl_days: int, concurrency: int, metrics: Metrics) -> None:
        self._send = send
        self._name = name
        self.ttl_days = ttl_days
        self.concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._metrics = metrics

    async def settle(self, place: Item, known: Row | None, counted: Counted, window: Window, guard: Guard) -> Row:
        """Has the row at `place` count `window`, once, whatever stands there; `known` is the row as it was seen last.

        Returns the row as it then stands. Raises ForeignRow, and what `guard` raises.
        """
        while row := count(known, counted, window):
            put = partial(self._put, put_body(self._name, place, row, known), guard)
            item = await until_done("rollups", put, self._metrics, guard)
            if item is None:
                self._metrics.rollups.inc()
                return row
            self._metrics.rollups_changed.inc()
            known = self._parsed(place, item) if item else None
        assert known  # noqa: S101 (without a row there is something to count)
        return known

    def _parsed(self, place: Item, item: Item) -> Row:
        try:
            return parse(item)
        except (KeyError, TypeError, ValueError, ArithmeticError, Bad) as error:
            where = f"{self._name}: {place['SensorId']['S']!r}, {place['Window']['S']}"
            raise ForeignRow(f"{where}: another program has written this row; move it away") from error

    async def _put(self, body: bytes, guard: Guard) -> Item | None:
        """One request; None if it was executed, else the row that stands there, empty without one."""
        async with self._slots:
            guard()
            try:
                await self._send(body)
            except FAILURES as error:
                if (item := unmet(error)) is None:
                    raise
                return item
        return None


class ShardRollups:
    """What the open archive object of one shard adds, and how the rows stand that this owner has written."""

    def __init__(self, table: RollupTable) -> None:
        self._table = table
        self._windows: dict[Key, Window] = {}
        self._seconds = 0  # the length of these windows
        self._rows: dict[tuple[str, str], Row] = {}

    def add(self, readings: Iterable[Reading], seconds: int) -> None:
        """Takes the readings of the next records of the archive object, which is counted in windows of `seconds`."""
        self._seconds = seconds
        windows(readings, seconds, self._windows)

    async def commit(self, shard: str, first: Position, epoch: int, guard: Guard) -> None:
        """Has the rows count the archive object, which is durable, begins at `first` and is its owner's of `epoch`.

        Raises what `guard` raises, after all requests in progress have ended. The next `add` begins the next object.
        """
        counted, left = Counted(first, epoch), iter(self._windows.items())
        length = Length(self._seconds, self._table.ttl_days)

        async def work() -> None:
            for key, window in left:
                where = place(key, length, shard)
                name = where["SensorId"]["S"], where["Window"]["S"]
                known = self._rows.pop(name, None)
                self._rows[name] = await self._table.settle(where, known, counted, window, guard)

        working = (work() for _ in range(min(self._table.concurrency, len(self._windows))))
        for failure in await asyncio.gather(*working, return_exceptions=True):
            if isinstance(failure, BaseException):
                raise failure
        self._windows = {}
        for name in list(self._rows)[:-KEPT]:
            del self._rows[name]

    @property
    def size(self) -> int:
        """Windows of the open archive object."""
        return len(self._windows)
