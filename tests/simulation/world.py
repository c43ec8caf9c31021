"""One schedule: a seed draws a world, what goes wrong in it, and when; then everything must drain."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from consumer import lease, protocol, retry, service, shard, shards, supervisor, watch
from consumer.protocol import Position
from tests.simulation import faults, pipe
from tests.simulation.clock import Clock, Process, Time
from tests.simulation.leases import LeaseClient, LeaseTable, Row
from tests.simulation.kcl import Jvm
from tests.simulation.ledger import Ledger
from tests.simulation.network import Network, Weather
from tests.simulation.sinks import Bucket, Rows
from tests.simulation.stream import Stream
from tests.simulation.variant import REAL, Variant, replaced
from tests.simulation.worker import Worker

PATIENCE = 900.0
"""Virtual seconds within which everything must have drained after the last fault."""
FAIR = Weather()


class _Unmeasured:
    """In place of Metrics and of every metric, on which nothing depends."""

    def __getattr__(self, name: str) -> "_Unmeasured":
        return self

    def __call__(self, *_: object) -> "_Unmeasured":
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class DynamoDB:
    """One client for both tables."""

    def __init__(self, rows: Rows, leases: LeaseClient) -> None:
        self.batch_write_item = rows.batch_write_item
        self.update_item = leases.update_item
        self.delete_item = leases.delete_item
        self.get_paginator = leases.get_paginator
        self.exceptions = leases.exceptions


@dataclass(slots=True)
class Result:
    """How a schedule went; `violation` is None if all invariants held."""

    seed: int
    violation: str | None
    exempt: dict[str, int]
    seconds: float
    steps: int
    strikes: dict[str, int]
    trace: list[str]


class World:
    """Everything outside the product, and the product's workers in it."""

    def __init__(self, seed: int, variant: Variant, tracing: bool) -> None:
        self.rng = rng = random.Random(seed)
        self.variant = variant
        self.trace: list[str] = []
        self.tracing = tracing
        self.violation: str | None = None
        self.habits = faults.habits(rng)
        self.clock = Clock(self._strike)
        self.stream = Stream(rng, self.habits.mix, rng.choice((1, 1, 2)))
        self.ledger = Ledger(self.stream, self.fail)
        self.network = Network(self.clock, rng, dict(self.habits.weather), self._peril)
        self.bucket = Bucket(self.network, self.ledger, rng, self.habits.conflicts)
        self._rows = Rows(self.network, self.ledger, rng, self.habits.unprocessed)
        self.leases = LeaseTable(self.ledger)
        self.dynamodb = DynamoDB(self._rows, LeaseClient(self.network, self.leases, self.ledger))
        self.calm = False
        self.workers: list[Worker] = []
        self.most_records = 0
        self.most_bytes = 0
        self.strikes = faults.Strikes(self)

    # What the parts ask

    def note(self, who: str, what: str | Callable[[], str]) -> None:
        if self.tracing:
            self.trace.append(f"{self.clock.now:9.3f} {who:14} {what if isinstance(what, str) else what()}")

    def fail(self, violation: str) -> None:
        if self.violation is None:
            self.violation = violation
            self.note("VIOLATION", violation)
            self.clock.stop()

    def happens(self, probability: float) -> bool:
        return probability > 0 and not self.calm and self.rng.random() < probability

    def late_start(self, jvm: Jvm) -> float:
        """Seconds between a lease and its `initialize`; a daemon that is late may not renew its leases either."""
        if not self.happens(self.habits.late_start):
            return self.rng.uniform(0.01, 0.3)
        late = self.rng.uniform(1, 25)
        if self.rng.random() < 0.5:
            jvm.deaf_until = self.clock.now + late + self.rng.uniform(1, 20)
        return late

    def checkpoint_seen(self, row: Row) -> Position:
        """What an eventually consistent read gives."""
        return self.rng.choice(row.past) if self.happens(self.habits.stale) else row.checkpoint

    def checkpoint_fault(self) -> str | None:
        return self.rng.choice(sorted(shard.TRANSIENT)) if self.happens(self.habits.refused_checkpoint) else None

    def behind(self, records: int) -> int | None:
        """`millisBehindLatest` with so many records not yet fetched."""
        if self.happens(self.habits.odd_lag):
            return self.rng.choice((None, 1))
        return records * 100

    # Workers

    def start_worker(self, name: str) -> Worker:
        cut = self.rng.choice(self.habits.cuts)
        self.most_records = max(self.most_records, cut.records)
        self.most_bytes = max(self.most_bytes, cut.size + 2000)
        worker = Worker(self, name, cut)
        self.workers.append(worker)
        self.note(name, f"starts with {cut}")
        return worker

    def new_name(self) -> str:
        return f"w{len({worker.name for worker in self.workers})}"

    def worker_ended(self, worker: Worker) -> None:
        self.note(worker.name, "is gone")
        name = self.new_name() if self.happens(0.3) else worker.name
        self.clock.later(self.rng.uniform(0.1, 5.0), self.start_worker, name)

    def _strike(self, process: Process) -> None:
        self.strikes.strike(process)

    def _peril(self, process: Process) -> None:
        if process.running and self.happens(self.habits.peril):
            self.strikes.strike(process)

    # The course of a schedule

    async def run(self) -> None:
        for first in self.stream.open_shards():
            self.leases.create(first.name, ())
        for _ in range(self.habits.workers):
            self.start_worker(self.new_name())
        self.strikes.arm()
        await self._publish()
        await asyncio.sleep(self.rng.uniform(0, 20))
        self._calm_down()
        began = self.clock.now
        while self._busy():
            if self.clock.now - began > PATIENCE:
                left = [item.position for item in self.stream.items.values() if not item.checkpointed][:5]
                return self.fail(f"(f) does not drain: {self.stream.waiting} records left, {left}")
            await asyncio.sleep(2)
        self.ledger.final()
        return None

    async def _publish(self) -> None:
        rng, habits = self.rng, self.habits
        reshards = sorted(rng.sample(range(habits.records), min(habits.reshards, habits.records)))
        for number in range(habits.records):
            await asyncio.sleep(rng.expovariate(1 / habits.spacing))
            if reshards and number >= reshards[0]:
                del reshards[0]
                self._reshard()
            for _ in range(rng.choice((1, 1, 2, 4))):
                self.stream.publish(rng.choice(self.stream.open_shards()), self.clock.now)
        for last in self.stream.open_shards():
            self.stream.publish(last, self.clock.now, plain=True)

    def _reshard(self) -> None:
        open_shards = self.stream.open_shards()
        if len(open_shards) > 1 and self.rng.random() < 0.5:
            one, other = self.rng.sample(open_shards, 2)
            self.stream.merge(one, other)
            self.note("stream", f"merges {one.name} and {other.name}")
        elif len(open_shards) < 3:
            parent = self.rng.choice(open_shards)
            self.stream.split(parent)
            self.note("stream", f"splits {parent.name}")

    def _calm_down(self) -> None:
        self.note("world", "faults are over")
        self.calm = True
        self.network.weather = dict.fromkeys(self.network.weather, FAIR)
        self.bucket.conflicts = self._rows.unprocessed = 0.0
        self.strikes.end()

    def _busy(self) -> bool:
        closed = any(shard.closed and not shard.ended for shard in self.stream.shards.values())
        return closed or self.stream.waiting > 0 or self.network.pending > 0


def run(seed: int, variant: Variant = REAL, tracing: bool = False) -> Result:
    """Runs one schedule; the same seed always gives the same."""
    world = World(seed, variant, tracing)
    clock = world.clock
    with _log_to(world), _product_in(world):
        main = clock.create_task(world.run())
        main.add_done_callback(lambda _: clock.stop())
        clock.run_forever()
        if main.done():
            main.result()
        elif not world.violation:
            world.fail(f"(f) {'; '.join(clock.errors)}")
        if clock.errors and not world.violation:
            world.fail(f"(simulator) {'; '.join(clock.errors)}")
        _clear(world)
    seconds, steps = clock.now, clock.steps
    clock.close()
    return Result(seed, world.violation, world.ledger.exempt, seconds, steps, world.strikes.count, world.trace)


def _clear(world: World) -> None:
    """Ends all tasks, those of dead processes too, so that nothing of them is left to the garbage collector."""
    clock = world.clock
    clock.clearing = True
    for worker in world.workers:
        for process in (worker.python, *(jvm.process for jvm in worker.jvms)):
            clock.thaw(process)
    for _ in range(20):
        tasks = [task for task in clock.tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        clock.call_soon(clock.stop)
        clock.run_forever()
    raise RuntimeError(f"tasks that do not end: {tasks}")


def _product_in(world: World) -> contextlib.AbstractContextManager[None]:
    """The product's modules see virtual time, the schedule's random numbers and pipes in memory."""
    time = Time(world.clock)
    return replaced(
        *((module, "time", time) for module in (shard, lease, watch, supervisor)),
        (retry, "random", world.rng),
        (service, "Metrics", _Unmeasured),
        (protocol, "accept", pipe.accept),
        (protocol, "gone", pipe.gone),
        (shards, "_door", lambda door: door),
        # asyncio asks for the process id each time, which takes longer than all else that it does.
        (asyncio.events, "get_running_loop", lambda: world.clock),
        *world.variant.patches,
    )


@contextlib.contextmanager
def _log_to(world: World) -> Iterator[None]:
    """The product's log goes into the trace, or nowhere."""
    log, handler = logging.getLogger("consumer"), _ToTrace(world)
    before = log.level, log.propagate
    log.setLevel(logging.INFO if world.tracing else logging.CRITICAL + 1)
    log.propagate = False
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.level, log.propagate = before


class _ToTrace(logging.Handler):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        self._world.note("log", f"{record.name}: {record.getMessage()}")
