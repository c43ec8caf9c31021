"""Looks at the lease table that follow each other, with a table that refuses one kind of request."""

import asyncio
from collections import Counter
from collections.abc import Set
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from consumer.kcl.lease_monitor import AT_ONCE, OWN_SECONDS, LeaseMonitor
from consumer.kcl.lease_takeover import LOOK_SECONDS, Lost
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
        self.workers = [f"worker-{number}" for number in range(workers)]

    async def rows(self) -> dict[str, dict[str, Any]]:
        self.looks += 1
        return {
            f"shard-{worker}": {
                "checkpoint": {"S": "17"},
                "leaseCounter": {"N": str(self.looks)},
                "leaseOwner": {"S": worker},
            }
            for worker in self.workers
        }

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
        clock.now += LOOK_SECONDS
        await monitor.look()


async def test_in_a_large_fleet_a_worker_mostly_reads_what_is_its_own(clock: SimpleNamespace) -> None:
    table: Any = Fleet(1000)
    monitor = LeaseMonitor("worker-0", 10.0, table, lambda: {"shard-worker-0"}, Metrics())
    await watch(monitor, clock, 3600)
    table.looks = table.own_looks = 0
    await watch(monitor, clock, 3600)
    assert table.looks == 1  # half of its life has passed
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
    assert 5 <= table.looks <= 10


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
