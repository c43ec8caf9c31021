"""The runs of the daemon: when it is started again, when the service gives up, and how a stop goes."""

import asyncio
import errno
import os
from types import SimpleNamespace
from typing import Any

import pytest

from consumer import supervisor as module
from consumer.descriptors import TooFewDescriptors
from consumer.pipeline.stall_detector import StallDetector
from consumer.supervisor import FatalError, Supervisor
from consumer.telemetry.metrics import Metrics, total


class FakeDaemon:
    """Lives until killed; `short_runs` says how many runs end at once."""

    def __init__(self, short_runs: int = 0) -> None:
        self.starts = 0
        self.started: asyncio.Queue[None] = asyncio.Queue()
        self.terminated = False
        self._short_runs = short_runs
        self._dead = asyncio.Event()

    async def start(self) -> None:
        self.starts += 1
        self.started.put_nowait(None)
        self._dead = asyncio.Event()
        if self.starts <= self._short_runs:
            self._dead.set()

    async def wait(self) -> int:
        await self._dead.wait()
        return 1

    def terminate(self) -> None:
        self.terminated = True

    def kill(self) -> None:
        self._dead.set()


class FakeListener:
    """Has a conversation until `ended`; fails with what is put into `failures`."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.ended.set()
        self.failures: asyncio.Queue[Exception] = asyncio.Queue()

    async def serve(self, until: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as conversations:
            failing = conversations.create_task(self._fail())
            await until.wait()
            await self.ended.wait()
            failing.cancel()

    async def _fail(self) -> None:
        raise await self.failures.get()


class FakeWatchdog:
    """Finds a daemon that does not read once it is `silent`."""

    def __init__(self) -> None:
        self.silent = asyncio.Event()

    async def run(self) -> None:
        await self.silent.wait()
        raise TimeoutError("no successful read of a")


class Runs:
    """A supervisor with a fake daemon."""

    def __init__(self, daemon: FakeDaemon) -> None:
        self.metrics = Metrics()
        self.releases = 0
        self.daemon: Any = daemon
        self.listener: Any = FakeListener()
        self.watchdog: Any = FakeWatchdog()
        self.health: Any = SimpleNamespace(outage=False)
        make: Any = Supervisor
        self.supervisor: Supervisor = make(
            daemon, self.listener, StallDetector(10.0), self.watchdog, self.health, self, self.metrics, 5.0
        )

    async def release_leadership(self) -> None:
        self.releases += 1

    def run(self) -> "asyncio.Task[None]":
        return asyncio.create_task(self.supervisor.run())

    async def started(self, times: int) -> None:
        for _ in range(times):
            await self.daemon.started.get()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.0)


async def test_a_daemon_that_dies_is_started_again() -> None:
    runs = Runs(FakeDaemon(short_runs=2))
    task = runs.run()
    await runs.started(3)
    runs.supervisor.stop.set()
    await task
    assert runs.releases == 4  # before each run, and after the last
    assert total(runs.metrics.restarts) == 2
    assert runs.metrics.restarts.labels("exit")._value.get() == 2


async def test_a_failure_of_ours_kills_the_daemon_and_starts_it_again() -> None:
    runs = Runs(FakeDaemon())
    task = runs.run()
    await runs.started(1)
    runs.listener.failures.put_nowait(ValueError("a batch may be missing"))
    await runs.started(1)
    assert not runs.daemon.terminated
    runs.supervisor.stop.set()
    await task
    assert runs.metrics.restarts.labels("ValueError")._value.get() == 1


async def test_daemons_that_never_live_are_given_up() -> None:
    runs = Runs(FakeDaemon(short_runs=1000))
    with pytest.raises(FatalError, match="died 6 times in a row"):
        await runs.run()


async def test_in_an_outage_it_goes_on_trying() -> None:
    runs = Runs(FakeDaemon(short_runs=1000))
    runs.health.outage = True
    task = runs.run()
    await runs.started(20)
    runs.health.outage = False
    with pytest.raises(FatalError):
        await task


async def test_a_stop_asks_the_daemon_first() -> None:
    runs = Runs(FakeDaemon())
    task = runs.run()
    await runs.started(1)
    runs.supervisor.stop.set()
    await task
    assert runs.daemon.terminated
    assert runs.daemon.starts == 1


async def test_a_daemon_that_does_not_read_is_started_again() -> None:
    runs = Runs(FakeDaemon())
    task = runs.run()
    await runs.started(1)
    runs.watchdog.silent.set()
    await runs.started(1)
    runs.watchdog.silent.clear()
    assert runs.metrics.restarts.labels("TimeoutError")._value.get() == 1
    runs.supervisor.stop.set()
    await task


async def test_a_daemon_that_was_asked_to_stop_is_not_started_again_for_its_silence() -> None:
    """Shards that were handed over are read no more, while the last one still writes."""
    runs = Runs(FakeDaemon())
    runs.listener.ended.clear()
    task = runs.run()
    await runs.started(1)
    runs.supervisor.stop.set()
    for _ in range(20):
        await asyncio.sleep(0)
        runs.watchdog.silent.set()
    assert runs.daemon.terminated
    assert not task.done()
    runs.listener.ended.set()
    await task
    assert runs.metrics.restarts.labels("TimeoutError")._value.get() == 0


async def test_a_stop_that_takes_too_long_ends_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    runs = Runs(FakeDaemon())
    runs.supervisor._shutdown_seconds = 0.01
    runs.listener.ended.clear()
    task = runs.run()
    await runs.started(1)
    runs.supervisor.stop.set()
    await task
    assert "not every shard committed" in caplog.text


async def test_a_daemon_that_cannot_be_started_is_fatal() -> None:
    class NoDisk(FakeDaemon):
        async def start(self) -> None:
            raise OSError(28, "No space left on device", "kcl.properties")

    with pytest.raises(FatalError, match=r"RUN_DIR: .*No space left on device"):
        await Runs(NoDisk()).run()


async def test_a_daemon_that_cannot_be_started_for_want_of_descriptors_says_so() -> None:
    class NoDescriptors(FakeDaemon):
        async def start(self) -> None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with pytest.raises(TooFewDescriptors):
        await Runs(NoDescriptors()).run()
