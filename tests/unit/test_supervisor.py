"""The daemon's lives: when it is started again, when the service gives up, and how a stop goes."""

import asyncio
from typing import Any

import pytest

from consumer.kcl import supervisor as components
from consumer.kcl.supervisor import FatalError, Supervisor
from consumer.pipeline.reads import Reads
from consumer.pipeline.shards import Shards
from consumer.telemetry.metrics import Metrics, total
from tests.running import in_loop


class FakeDaemon:
    """Lives until killed; `lifetimes` says how many lives end by themselves at once."""

    def __init__(self, short_lives: int = 0) -> None:
        self.starts = 0
        self.started: asyncio.Queue[None] = asyncio.Queue()
        self.terminated = False
        self._short_lives = short_lives
        self._dead = asyncio.Event()

    async def start(self) -> None:
        self.starts += 1
        self.started.put_nowait(None)
        self._dead = asyncio.Event()
        if self.starts <= self._short_lives:
            self._dead.set()

    async def wait(self) -> int:
        await self._dead.wait()
        return 1

    def terminate(self) -> None:
        self.terminated = True

    def kill(self) -> None:
        self._dead.set()


class Lives:
    """A supervisor with a fake daemon."""

    def __init__(self, daemon: FakeDaemon) -> None:
        self.metrics = Metrics()
        self.restarts = 0
        self.outage = False
        self.daemon: Any = daemon
        self.supervisor = Supervisor(self.metrics, 5, self._between, lambda: self.outage)
        self.shards = Shards(self.metrics, self.supervisor.fail, Reads())

    async def _between(self) -> None:
        self.restarts += 1

    def run(self) -> "asyncio.Task[None]":
        return asyncio.create_task(self.supervisor.run(self.daemon, self.shards))

    async def started(self, times: int) -> None:
        for _ in range(times):
            await self.daemon.started.get()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "FIRST_PAUSE", 0.0)


@in_loop
async def test_a_daemon_that_dies_is_started_again() -> None:
    lives = Lives(FakeDaemon(short_lives=2))
    task = lives.run()
    await lives.started(3)
    lives.supervisor.stop.set()
    await task
    assert lives.restarts == 4  # before each life, and after the last
    assert total(lives.metrics.restarts) == 2


@in_loop
async def test_a_failure_of_ours_kills_the_daemon_and_starts_it_again() -> None:
    lives = Lives(FakeDaemon())
    task = lives.run()
    await lives.started(1)
    lives.supervisor.fail(ValueError("a batch may be missing"))
    await lives.started(1)
    assert not lives.daemon.terminated
    lives.supervisor.stop.set()
    await task
    assert lives.metrics.restarts.labels("ValueError")._value.get() == 1


@in_loop
async def test_daemons_that_never_live_are_given_up() -> None:
    lives = Lives(FakeDaemon(short_lives=1000))
    with pytest.raises(FatalError, match="died 6 times in a row"):
        await lives.run()


@in_loop
async def test_in_an_outage_it_goes_on_trying() -> None:
    lives = Lives(FakeDaemon(short_lives=1000))
    lives.outage = True
    task = lives.run()
    await lives.started(20)
    lives.outage = False
    with pytest.raises(FatalError):
        await task


@in_loop
async def test_a_stop_asks_the_daemon_first() -> None:
    lives = Lives(FakeDaemon())
    task = lives.run()
    await lives.started(1)
    lives.supervisor.stop.set()
    await task
    assert lives.daemon.terminated
    assert lives.daemon.starts == 1


@in_loop
async def test_a_daemon_that_was_asked_to_stop_is_not_started_again_for_its_silence() -> None:
    """Shards that were handed over are read no more, while the last one still writes."""
    daemon = FakeDaemon()
    daemon.terminate = lambda: None  # type: ignore[method-assign]
    lives = Lives(daemon)
    writes: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    writing = asyncio.ensure_future(writes)
    lives.shards.conversations.add(writing)  # type: ignore[arg-type]
    writing.add_done_callback(lives.shards.conversations.discard)
    task = lives.run()
    await lives.started(1)
    lives.supervisor.stop.set()
    for _ in range(20):
        lives.supervisor.restart(TimeoutError("no word of a"))
        await asyncio.sleep(0)
    assert not task.done()
    writes.set_result(None)
    await task
    assert lives.metrics.restarts.labels("TimeoutError")._value.get() == 0


@in_loop
async def test_a_daemon_that_cannot_be_started_is_fatal() -> None:
    class NoDisk(FakeDaemon):
        async def start(self) -> None:
            raise OSError(28, "No space left on device", "kcl.properties")

    with pytest.raises(FatalError, match=r"RUN_DIR: .*No space left on device"):
        await Lives(NoDisk()).run()
