"""One schedule: a seed gives a world, the product's modules are put into it, and it runs in virtual time."""

import asyncio
import contextlib
import gc
import logging
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from consumer import service
from consumer.kcl import protocol
from consumer.pipeline import listener, pieces
from tests.simulation import pipe
from tests.simulation.clock import Time
from tests.simulation.seams import replaced
from tests.simulation.world import World


def prepare() -> None:
    """In each process: garbage is collected between schedules only, so that it never depends on what ran before."""
    gc.freeze()
    gc.disable()


@dataclass(slots=True)
class Result:
    """How a schedule went; `violation` is None if all invariants held."""

    seed: int
    violation: str | None
    exempt: dict[str, int]
    seconds: float
    steps: int
    faults: dict[str, int]
    fence: Counter[str]
    """How archive objects were committed (consumer/archive/fence.py)."""
    rollups: int
    """Rows of them at the end."""
    trace: list[str]


class _Unmeasured:
    """In place of every metric: nothing depends on them."""

    def __getattr__(self, name: str) -> "_Unmeasured":
        return self

    def __getitem__(self, name: str) -> "_Unmeasured":
        return self

    def __call__(self, *_: object) -> "_Unmeasured":
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def run(seed: int, tracing: bool = False) -> Result:
    """Runs one schedule; the same seed always gives the same."""
    world = World(seed, tracing)
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
    return Result(
        seed,
        world.violation,
        world.ledger.exempt,
        seconds,
        steps,
        world.fault_injection.count,
        world.fence,
        len(world.ledger.rollups.rows),
        world.trace,
    )


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
    clock = Time(world.clock)
    return replaced(
        *((time, name, getattr(clock, name)) for name in ("monotonic", "time", "time_ns", "clock_gettime")),
        (random, "uniform", world.rng.uniform),
        (service, "Metrics", lambda: _Metrics(world.fence)),
        (protocol, "accept", pipe.accept),
        (protocol, "disconnected", pipe.disconnected),
        (listener, "listen", lambda door: door),
        (pieces, "RECORDS", 1 + world.rng.randrange(4)),
        (asyncio, "sleep", world.clock.sleep),
        # It asks for the process id each time, which takes longer than all else that asyncio does.
        (asyncio.events, "get_running_loop", lambda: world.clock),
    )


class _Metrics(_Unmeasured):
    """In place of Metrics; counts how archive objects were committed."""

    def __init__(self, fence: Counter[str]) -> None:
        self.fence = _Outcomes(fence)


class _Outcomes(_Unmeasured):
    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts

    def labels(self, outcome: str) -> "_Outcomes":
        self._counts[outcome] += 1
        return self


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
        log.setLevel(before[0])  # also lets loggers below forget what they found out meanwhile
        log.propagate = before[1]


class _ToTrace(logging.Handler):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        self._world.note("log", f"{record.name}: {record.getMessage()}")
