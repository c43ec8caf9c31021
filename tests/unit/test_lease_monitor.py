"""Looks at the lease table that follow each other, with a table that refuses one kind of request."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Set
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from consumer.kcl.lease_monitor import AT_ONCE, OWN_SECONDS, LeaseMonitor
from consumer.kcl.lease_takeover import LOOK_SECONDS, Lost
from consumer.kcl.lease_watch import stands_in_for
from consumer.telemetry.metrics import Metrics
from tests.unit.test_takeover import row

DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DeleteItem")


class Leases:
    """A table with one lease, of a worker that is lost until the lease is taken."""

    def __init__(self) -> None:
        self.owner = "lost"
        self.released: list[str] = []
        self.refusing = True

    async def rows(self) -> dict[str, dict[str, Any]]:
        return {"a": {"checkpoint": {"S": "17"}, "leaseCounter": {"N": "7"}, "leaseOwner": {"S": self.owner}}}

    async def take(self, lease: Lost) -> bool:
        assert lease == Lost("a", "lost", 7, "me")
        self.owner = "me"
        return True

    async def release_leadership(self, owner: str) -> None:
        if self.refusing:
            raise DENIED
        self.released.append(owner)


async def test_a_leaders_lock_that_cannot_be_released_is_tried_at_each_look(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("consumer.kcl.lease_monitor.time.monotonic", lambda: now)
    leases: Any = Leases()
    metrics = Metrics()
    monitor = LeaseMonitor("me", 2 * LOOK_SECONDS, leases, set, metrics)
    while leases.owner == "lost":
        await monitor.look()
        now += LOOK_SECONDS
    assert leases.released == []
    leases.refusing = False
    await monitor.look()
    assert leases.released == ["lost"]
    await monitor.look()
    assert leases.released == ["lost"]
    assert metrics.retries.labels("leases", "AccessDeniedException")._value.get() == 1


class Fleet:
    """A table with leases of many workers, all of them alive. Counts what is read of it."""

    def __init__(self, workers: int) -> None:
        self.looks = 0
        self.own_looks = 0
        self.glimpses = 0
        self.workers = [f"worker-{number}" for number in range(workers)]
        self.instead: dict[str, dict[str, Any] | None] = {}
        """Rows in place of those that the workers renew."""
        self.taken: set[str] = set()

    def row(self, worker: str) -> dict[str, Any]:
        return row(worker, self.looks + self.glimpses, leaseKey={"S": f"shard-{worker}"})

    def _rows(self) -> dict[str, dict[str, Any]]:
        rows = {worker: self.instead.get(worker, self.row(worker)) for worker in self.workers}
        return {f"shard-{worker}": found for worker, found in rows.items() if found}

    async def rows(self) -> dict[str, dict[str, Any]]:
        self.looks += 1
        return self._rows()

    async def some(self, shards: Iterable[str]) -> dict[str, dict[str, Any]]:
        self.glimpses += 1
        rows = self._rows()
        return {shard: rows[shard] for shard in shards if shard in rows}

    async def take(self, lease: Lost) -> bool:
        self.taken.add(lease.shard)
        return True

    async def release_leadership(self, owner: str) -> None:
        self.instead.clear()

    async def own(self, served: Set[str]) -> frozenset[str]:
        self.own_looks += 1
        return frozenset(served | {"shard-new"})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    clock.time = lambda: 1_800_000_000 + clock.now
    monkeypatch.setattr("consumer.kcl.lease_monitor.time", clock)
    return clock


async def watch(monitor: LeaseMonitor, clock: SimpleNamespace, seconds: float) -> None:
    for _ in range(int(seconds / LOOK_SECONDS)):
        clock.now += LOOK_SECONDS + 0.01  # a look takes some time itself
        await monitor.look()


async def test_in_a_large_fleet_a_worker_mostly_reads_what_is_its_own(clock: SimpleNamespace) -> None:
    table: Any = Fleet(1000)
    monitor = LeaseMonitor("worker-0", 10.0, table, lambda: {"shard-worker-0"}, Metrics())
    await watch(monitor, clock, 3600)
    table.looks = table.own_looks = 0
    await watch(monitor, clock, 3600)
    assert table.looks <= 1  # half of its life has passed, or a little more
    assert 3600 / OWN_SECONDS - 2 <= table.own_looks <= 3600 / OWN_SECONDS
    assert monitor.owned == frozenset(("shard-worker-0", "shard-new"))
    assert monitor.leases() == {}, "others watch"


async def test_a_new_worker_learns_soon_who_the_others_are(clock: SimpleNamespace) -> None:
    table: Any = Fleet(1000)
    monitor = LeaseMonitor("new", 10.0, table, set, Metrics())
    await watch(monitor, clock, LOOK_SECONDS)
    assert table.looks == 1
    assert monitor.leases() == {"open": 1000, "unowned": 0}
    await watch(monitor, clock, 600)
    assert 4 <= table.looks <= 10


async def stand_in(table: Any, clock: SimpleNamespace) -> tuple[LeaseMonitor, str]:
    """A worker that has looked at all rows and then twice at one of the watcher's for whom it stands in."""
    fleet, times = frozenset(table.workers), [clock.time(), clock.time() + 60]
    for me in table.workers:
        watched, later = (stands_in_for(me, fleet, now, 10.0) for now in times)
        if len(watched) == 1 and watched == later:
            break
    monitor = LeaseMonitor(me, 10.0, table, set, Metrics())
    await watch(monitor, clock, 3 * LOOK_SECONDS)
    assert (table.looks, table.glimpses) == (1, 2)
    return monitor, next(iter(watched))


async def test_a_worker_that_stands_in_reads_a_row_of_the_watcher_that_lives(clock: SimpleNamespace) -> None:
    table: Any = Fleet(10)
    monitor, _ = await stand_in(table, clock)
    await watch(monitor, clock, 2 * LOOK_SECONDS)
    assert (table.looks, table.glimpses) == (1, 4)


@pytest.mark.parametrize("last", [None, "not renewed", "another's", "none"])
async def test_it_watches_until_it_can_tell_when_the_watcher_shows_no_sign_of_life(
    clock: SimpleNamespace, last: str | None
) -> None:
    table: Any = Fleet(10)
    monitor, watcher = await stand_in(table, clock)
    rows = {"not renewed": table.row(watcher), "another's": table.row("worker-new"), "none": None}
    table.instead = {watcher: rows[last]} if last else {}
    await watch(monitor, clock, 4 * LOOK_SECONDS)
    assert table.looks == (5 if last else 1)
    assert table.taken == ({f"shard-{watcher}"} if last in ("not renewed", "another's") else set())


async def test_in_a_small_fleet_every_worker_watches(clock: SimpleNamespace) -> None:
    table: Any = Fleet(2)
    monitor = LeaseMonitor("worker-0", 10.0, table, set, Metrics())
    await watch(monitor, clock, 3600)
    assert table.looks == 3600 / LOOK_SECONDS
    assert table.own_looks == 0


async def test_a_worker_that_does_not_read_and_cannot_tell_why_watches(clock: SimpleNamespace) -> None:
    table: Any = Fleet(1000)
    monitor = LeaseMonitor("worker-0", 10.0, table, set, Metrics())
    await watch(monitor, clock, 3600)
    monitor.doubtful, table.looks = True, 0
    await watch(monitor, clock, 60)
    assert table.looks == 60 / LOOK_SECONDS
    assert monitor.renewed


async def test_a_zone_that_is_lost_is_shared_out_a_few_leases_at_a_time(clock: SimpleNamespace) -> None:
    """Three workers with a hundred leases each; two of them are lost."""
    rows = {f"shard-{n}": row(f"worker-{n % 3}", 1) for n in range(300)}
    under_way, most, given = 0, 0, Counter[str]()

    async def take(lease: Lost) -> bool:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        given[lease.new_owner] += 1
        return True

    async def looked() -> dict[str, Any]:
        rows["shard-0"] = row("worker-0", int(clock.now))
        return rows

    async def own(_: Set[str]) -> frozenset[str]:
        return frozenset()

    released: list[str] = []

    async def release(owner: str) -> None:
        released.append(owner)

    leases: Any = SimpleNamespace(rows=looked, own=own, take=take, release_leadership=release)
    metrics = Metrics()
    monitor = LeaseMonitor("worker-3", 10.0, leases, set, metrics)
    while not given:
        await watch(monitor, clock, LOOK_SECONDS)
    assert given == {"worker-0": 100, "worker-3": 100}
    assert most == AT_ONCE
    assert metrics.taken_over._value.get() == 200
    assert released == ["worker-1", "worker-2"]
