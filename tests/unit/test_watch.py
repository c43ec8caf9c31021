"""What stands still is noticed."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from consumer.kcl import lease_monitor
from consumer.kcl.lease_monitor import MAX_LOOK_AGE, LeaseMonitor
from consumer.pipeline import health, reads, stall_detector, watchdog
from consumer.pipeline.gauges import ShardGauges
from consumer.pipeline.health import MAX_DOWN_SECONDS, REPLACE_SECONDS, Health, Trouble
from consumer.pipeline.reads import UNREAD_SECONDS, Reads
from consumer.pipeline.stall_detector import StallDetector, Stalled
from consumer.pipeline.watchdog import MAX_SILENCE_SECONDS, SILENCE_SECONDS, DaemonStuck, Watchdog
from consumer.supervisor import MAX_PAUSE
from consumer.telemetry.metrics import Metrics
from tests.unit.fakes import error
from tests.unit.test_takeover import row


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock to be set by hand, in seconds."""
    now = [100.0]
    monkeypatch.setattr(StallDetector, "_now", staticmethod(lambda: now[0]))
    return now


def test_a_process_that_stood_still_longer_than_a_lease_stays_asleep_until_restarted(clock: list[float]) -> None:
    detector = StallDetector(lease_seconds=10)
    clock[0] += 10
    assert detector.running()
    clock[0] += 1
    assert not detector.running()
    clock[0] = 100.5  # whatever the clock says now, the leases may be gone
    assert not detector.running()
    detector.reset()
    assert detector.running()


@pytest.mark.parametrize("name", ["CLOCK_BOOTTIME", "CLOCK_MONOTONIC"])
def test_the_clock_counts_suspension(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Linux's, or where there is none of that name (macOS) the one that does it there."""
    clock = SimpleNamespace(clock_gettime=lambda which: which, **{name: 7.0})
    monkeypatch.setattr(stall_detector, "time", clock)
    assert StallDetector._now() == 7.0


async def test_a_gap_ends_the_run_once_the_loop_runs_again(clock: list[float]) -> None:
    detector = StallDetector(lease_seconds=10)
    clock[0] += 11
    with pytest.raises(Stalled, match="suspended for more than 10 s"):
        await detector.run()


class Clock:
    """A clock that goes on by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic


class Rig:
    """Health and watchdog of the worker `me`, with a lease table that answers as `table` says and shards in name only.
    It stands for the daemon, too."""

    phase = "waiting for leases"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.table: dict[str, dict[str, Any]] | Exception | None = {}
        """None: it does not answer."""
        self.served: set[str] = set()
        self.failures: list[str] = []
        self.pid: int | None = 1
        self.since = clock.now
        self.reads = Reads()
        leases: Any = SimpleNamespace(rows=self._rows)
        self.lease_monitor = LeaseMonitor("me", 10.0, leases, lambda: self.served, Metrics())
        shards: Any = self
        daemon: Any = self
        self.dog = Watchdog(shards, self.lease_monitor, self.reads)
        self.health = Health(daemon, shards, self.lease_monitor, self.reads)

    @property
    def live(self) -> list[Any]:
        return [SimpleNamespace(name=name) for name in sorted(self.served)]

    async def _rows(self) -> dict[str, dict[str, Any]]:
        if self.table is None:
            await asyncio.Event().wait()
        if isinstance(self.table, Exception):
            raise self.table
        return self.table or {}

    def look(self) -> None:
        """A look of both; the daemon that fails is started again, and no conversation comes of it."""
        self.health.look()
        try:
            self.dog.look(self.clock.now - self.since)
        except DaemonStuck as failure:
            self.failures.append(str(failure))
            self.served.clear()
            self.since = self.clock.now

    def serve(self, *shards: str) -> None:
        """Conversations begin, and a first read succeeds."""
        self.served |= set(shards)
        for shard in shards:
            with self.reads.delivery(shard, 0):
                pass

    def wait(self, seconds: float, reason: str | None = None) -> None:
        """Lets time pass with a look every five seconds; with a reason, the daemon's log shows failed reads."""
        for _ in range(int(seconds / 5)):
            self.clock.now += 5
            if reason:
                for shard in self.reads.held:
                    self.reads.failed(shard, reason, f"{reason}!")
            self.look()

    def trouble(self) -> Trouble | None:
        self.health.look()
        return self.health.trouble()


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    clock: Any = Clock()
    for module in (health, lease_monitor, reads, watchdog):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(lease_monitor, "REQUEST_SECONDS", 0.01)
    return Rig(clock)


TABLES = [error("AccessDeniedException", "Scan"), None, OSError("unreachable")]
"""A lease table that refuses, that hangs, and that cannot be reached."""


@pytest.mark.parametrize("table", TABLES, ids=["denied", "hanging", "unreachable"])
async def test_silence_is_noticed_although_the_lease_table_does_not_answer(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, table: Exception | None
) -> None:
    monkeypatch.setattr(health, "INTERVAL", 0.0)
    monkeypatch.setattr(watchdog, "INTERVAL", 0.0)
    monkeypatch.setattr(lease_monitor, "LOOK_SECONDS", 0.0)
    rig.table = table
    rig.serve("a")
    dog = asyncio.create_task(rig.dog.run())
    beside = [asyncio.create_task(work) for work in (rig.lease_monitor.run(), rig.health.run())]
    await asyncio.sleep(0)  # the daemon has been running since
    rig.clock.now += SILENCE_SECONDS + 5
    with pytest.raises(DaemonStuck, match=r"^no successful read of a for 120 s$"):
        await dog
    while not rig.lease_monitor.failing:  # noqa: ASYNC110 (no event)
        await asyncio.sleep(0)
    for task in beside:
        task.cancel()


@pytest.mark.parametrize("table", TABLES, ids=["denied", "hanging", "unreachable"])
@pytest.mark.parametrize("spare", [False, True])
async def test_an_outage_of_the_lease_table_replaces_no_container(
    rig: Rig, table: Exception | None, spare: bool
) -> None:
    rig.table = {"a": row("other" if spare else "me", 1)}
    await rig.lease_monitor.look()
    if not spare:
        rig.serve("a")
    assert rig.trouble() is None
    rig.table = table
    await rig.lease_monitor.look()
    rig.served.clear()  # the daemon could not renew its leases
    rig.wait(3600)
    assert rig.failures == []
    assert (found := rig.trouble()) is not None
    assert not found.replace
    assert "the lease table does not answer" in found.why


@pytest.mark.parametrize("table", TABLES, ids=["denied", "hanging", "unreachable"])
async def test_a_container_that_never_saw_the_lease_table_is_not_ready(rig: Rig, table: Exception | None) -> None:
    rig.table = table
    await rig.lease_monitor.look()
    rig.wait(3600)
    assert (found := rig.trouble()) is not None
    assert found.replace
    assert found.why.startswith("the lease table does not answer")


async def test_a_refused_takeover_is_logged_at_intervals_and_is_no_outage(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    async def take(lease: object) -> bool:
        raise error("AccessDeniedException", "UpdateItem")

    rig.lease_monitor._leases.take = take  # type: ignore[method-assign]
    rig.serve("a")
    for number in range(40):
        rig.table = {"a": row("me", number), "b": row("lost", 1)}
        await rig.lease_monitor.look()
        rig.clock.now += 5
    assert rig.lease_monitor.failing is None
    reported = [record.getMessage() for record in caplog.records if "cannot be taken over" in record.getMessage()]
    assert len(reported) == 2


async def test_a_spare_worker_is_healthy(rig: Rig) -> None:
    rig.table = {"a": row("other", 1), "b": row("other", 1)}
    await rig.lease_monitor.look()
    rig.wait(3600)
    assert rig.trouble() is None
    assert rig.failures == []


@pytest.mark.parametrize("reason", ["access-denied", "kms", "not-found", "throttled"])
def test_what_kinesis_refuses_is_named_and_neither_daemon_nor_container_are_replaced(
    rig: Rig, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    rig.serve("a")
    rig.wait(UNREAD_SECONDS + 5, reason)
    found = rig.trouble()
    assert found == Trouble(f"a cannot be read for 65 s: {reason}: {reason}!", replace=False)
    rig.wait(7200, reason)
    assert (found := rig.trouble()) is not None
    assert not found.replace
    assert rig.failures == []
    rig.serve("a")
    rig.look()
    assert rig.trouble() is None
    reported = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert reported == [f"a cannot be read for 65 s: {reason}: {reason}!"]


@pytest.mark.parametrize("reason", ["network", "credentials", "other"])
async def test_a_failure_that_may_sit_in_the_daemon_starts_it_again_ever_more_rarely(rig: Rig, reason: str) -> None:
    rig.table = {"a": row("me", 1)}
    await rig.lease_monitor.look()
    rig.serve("a")
    rig.wait(2 * SILENCE_SECONDS, reason)
    assert len(rig.failures) == 1
    rig.wait(24 * 3600, reason)
    assert len(rig.failures) < 5 + 24 * 3600 / (MAX_SILENCE_SECONDS - SILENCE_SECONDS)
    assert (found := rig.trouble()) is not None
    assert not found.replace  # Kinesis itself may be away, for all workers
    assert reason in found.why


async def test_a_restart_of_the_daemon_alone_makes_nothing_healthy(rig: Rig) -> None:
    rig.table = {"a": row("me", 1)}
    await rig.lease_monitor.look()
    rig.serve("a")
    rig.wait(SILENCE_SECONDS, "network")
    rig.since = rig.clock.now
    assert (found := rig.trouble()) is not None
    assert "a cannot be read for 120 s: network" in found.why
    assert rig.reads.failing()["network"] == 1


async def test_a_daemon_that_says_nothing_is_started_again_and_then_the_container(rig: Rig) -> None:
    rig.table = {"a": row("me", 1)}
    await rig.lease_monitor.look()
    rig.serve("a")
    rig.wait(SILENCE_SECONDS)
    assert rig.failures == []
    assert (found := rig.trouble()) is not None
    assert not found.replace
    rig.wait(10)
    assert rig.failures == ["no successful read of a for 120 s"]
    assert not (rig.trouble() or Trouble("", replace=True)).replace
    rig.wait(REPLACE_SECONDS - SILENCE_SECONDS)
    assert (rig.trouble() or Trouble("", replace=False)).replace


def test_many_shards_make_one_line(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.serve(*(f"{number:03d}" for number in range(100)))
    rig.wait(UNREAD_SECONDS + 20, "kms")
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "000, 001, 002, 003, 004 and 95 more cannot be read for 65 s: kms: kms!"


async def test_a_lease_that_no_one_serves_starts_the_daemon_again(rig: Rig) -> None:
    rig.table = {"a": row("me", 1), "b": row("other", 1)}
    await rig.lease_monitor.look()
    rig.wait(60)
    assert rig.failures == []
    rig.wait(15)
    assert rig.failures == ["this worker owns the lease of a, but the daemon does not serve it"]


async def test_a_container_is_not_ready_until_a_shard_was_read(rig: Rig) -> None:
    assert rig.trouble() == Trouble("no shard yet: waiting for leases", replace=True)
    rig.table = {}
    await rig.lease_monitor.look()  # no one has looked at the stream's shards yet
    assert rig.trouble() == Trouble("no shard yet: waiting for leases", replace=True)
    rig.table = {"a": row("me", 1)}
    await rig.lease_monitor.look()
    rig.served.add("a")  # a conversation proves nothing
    assert rig.trouble() == Trouble("no shard yet: waiting for leases", replace=True)
    rig.wait(UNREAD_SECONDS + 5, "access-denied")
    assert (found := rig.trouble()) is not None
    assert found.replace  # a deployment of tasks that may not read must fail
    assert "access-denied" in found.why
    rig.serve("a")
    assert rig.trouble() is None


def test_between_two_lives_of_the_daemon_nothing_is_replaced(rig: Rig) -> None:
    rig.pid = None
    assert (rig.trouble() or Trouble("", replace=False)).replace  # nothing has been read yet
    rig.pid = 1
    rig.serve("a")
    rig.wait(3600, "not-found")  # it has run for long when it ends
    rig.serve("a")
    rig.pid, rig.since = None, rig.clock.now
    rig.clock.now += MAX_PAUSE + 5  # and for the leader's lock
    assert rig.trouble() == Trouble("the KCL daemon is not running", replace=False)
    rig.clock.now += MAX_DOWN_SECONDS
    assert rig.trouble() == Trouble("the KCL daemon is not running", replace=True)


async def test_after_an_outage_of_the_lease_table_a_daemon_gets_its_time_before_the_container_goes(rig: Rig) -> None:
    rig.table = {"a": row("me", 1)}
    await rig.lease_monitor.look()
    rig.serve("a")
    rig.table = OSError("unreachable")
    await rig.lease_monitor.look()
    rig.served.clear()
    rig.wait(3600)
    await rig.lease_monitor.look()
    rig.table = {"a": row("me", 1)}
    await rig.lease_monitor.look()
    for _ in range(2):  # the daemon is started again at once, and takes up its leases
        rig.wait(45)
        assert not (rig.trouble() or Trouble("", replace=True)).replace
    rig.wait(20)
    assert (rig.trouble() or Trouble("", replace=False)).replace


async def test_a_lease_table_that_takes_no_writes_replaces_no_container(rig: Rig) -> None:
    """It can be read; but no daemon renews its leases, nor gets any. All workers see the same."""
    rig.table = {"a": row("me", 1), "b": row("other", 1)}
    await rig.lease_monitor.look()
    rig.serve("a")
    for _ in range(200):
        rig.served.clear()
        rig.wait(5)
        await rig.lease_monitor.look()
    assert (found := rig.trouble()) is not None
    assert not found.replace
    assert "no lease is renewed" in found.why
    for number in range(30):  # another worker's are: it is this container
        rig.table = {"a": row("me", 1), "b": row("other", number)}
        rig.wait(5)
        await rig.lease_monitor.look()
    assert (found := rig.trouble()) is not None
    assert found.replace
    assert "no lease is renewed" not in found.why


async def test_while_the_lease_table_cannot_be_read_the_leases_of_others_count_as_unowned(rig: Rig) -> None:
    """A worker that dies now would be seen by none: the counts must not stay as they were."""

    def unowned() -> float | None:
        shards: Any = SimpleNamespace(live=[], served=rig.served, lag=lambda name: 0.0)
        families = {family.name: family for family in ShardGauges(shards, rig.reads, rig.lease_monitor).collect()}
        gauges = {sample.labels["state"]: sample.value for sample in families["sensorstream_leases"].samples}
        return gauges.get("unowned")

    rig.table = {"a": row("me", 1), "b": row("other", 1), "c": row("other", 1, "SHARD_END")}
    await rig.lease_monitor.look()
    rig.serve("a")
    seen, rig.table = rig.table, error("AccessDeniedException", "Scan")
    await rig.lease_monitor.look()
    rig.wait(MAX_LOOK_AGE)
    assert unowned() == 0
    rig.wait(10)
    assert unowned() == 1  # b; a is ours and read
    rig.table = seen
    await rig.lease_monitor.look()
    rig.look()
    assert unowned() == 0


async def test_at_a_first_start_a_worker_without_a_lease_is_no_spare_one(rig: Rig) -> None:
    rig.table = {"a": row(None, 0), "b": row("other", 1)}
    await rig.lease_monitor.look()
    assert (found := rig.trouble()) is not None
    assert found.replace  # it may turn out that it cannot read
    rig.table = {"a": row("other", 1), "b": row("other", 2)}
    await rig.lease_monitor.look()
    assert rig.trouble() is None
