"""What goes wrong in a schedule: the habits of its world, drawn once, and strikes at processes, between any two steps.

Every schedule leaves most kinds of faults out: rare combinations come about sooner than if everything failed at once.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from consumer.parcel import Cut
from tests.simulation.clock import Process
from tests.simulation.leases import Row
from tests.simulation.network import Weather
from tests.simulation.stream import Mix

if TYPE_CHECKING:
    from tests.simulation.kcl import Jvm
    from tests.simulation.worker import Worker
    from tests.simulation.world import World

MOST_WORKERS: Final = 4
HUGE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Habits:
    """How a world behaves until the faults are over. Probabilities, unless a unit is named."""

    workers: int
    records: int
    """Times at which something is published."""
    spacing: float
    """Seconds between them."""
    reshards: int
    mix: Mix
    weather: dict[str, Weather]
    conflicts: float
    unprocessed: float
    prefetch: int
    batch: int
    """Records in a delivery, at most."""
    skips: float
    stale: float
    late_start: float
    refused_checkpoint: float
    odd_lag: float
    cuts: tuple[Cut, ...]
    """Those that its owners have: a deploy may change them."""
    between: float
    """Steps between two strikes, on average."""
    peril: float
    """How often a process is struck when it sends a request, and when that has taken effect."""
    strikes: tuple[str, ...]
    failover: float
    """Seconds that a lease lasts."""
    leaderless: bool
    """No daemon takes leases that have expired: the product must (consumer/takeover.py)."""


def cut(rng: random.Random) -> Cut:
    return Cut(rng.choice((1, 2, 3, 4, 5, 8, 20)), rng.choice((300, 900, HUGE, HUGE)), rng.choice((2, 5, 10, 60)) * 1000)


def habits(rng: random.Random) -> Habits:
    def now_and_then(*values: float) -> float:
        """Zero in half of the schedules."""
        return rng.choice(values) if rng.random() < 0.5 else 0.0

    def weather() -> Weather:
        ills = [now_and_then(0.03, 0.1, 0.3) if rng.random() < 0.5 else 0.0 for _ in range(4)]
        return Weather(*ills, hopeless=0.02 if rng.random() < 0.1 else 0.0)

    kinds = list(KINDS)
    return Habits(
        workers=rng.choice((1, 2, 2, 3)),
        records=rng.randint(5, 25),
        spacing=rng.choice((0.05, 0.5, 1.5)),
        reshards=rng.choice((0, 0, 1, 2)),
        mix=Mix(
            same_key=now_and_then(0.2, 0.6),
            bad=now_and_then(0.1, 0.5),
            several=now_and_then(0.3),
            aggregated=now_and_then(0.2, 0.5),
            undeliverable=now_and_then(0.1),
            untimed=now_and_then(0.1) if rng.random() < 0.2 else 0.0,
        ),
        weather={service: weather() for service in ("s3", "table", "leases")},
        conflicts=now_and_then(0.05, 0.3),
        unprocessed=now_and_then(0.2, 0.6),
        prefetch=rng.choice((1, 2, 4)),
        batch=rng.choice((1, 3, 6, 30)),
        skips=now_and_then(0.03) if rng.random() < 0.3 else 0.0,
        stale=now_and_then(0.3, 0.8),
        late_start=now_and_then(0.2, 0.5),
        refused_checkpoint=now_and_then(0.1, 0.4),
        odd_lag=now_and_then(0.2),
        cuts=tuple(cut(rng) for _ in range(rng.choice((1, 2, 2, 3)))),
        between=rng.choice((60.0, 150.0, 400.0, 1000.0)),
        peril=rng.choice((0.0, 0.02, 0.05, 0.2)),
        strikes=tuple(rng.sample(kinds, rng.randint(1, 5))),
        failover=rng.choice((4.0, 4.0, 10.0)),
        leaderless=rng.random() < 0.3,
    )


class Strikes:
    """Hits the process whose next step is about to be run, or what stands around it."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._kinds = [KINDS[name] for name in world.habits.strikes]
        self._over = False
        self.count: dict[str, int] = {}

    def arm(self) -> None:
        """Draws how many steps it is to the next strike."""
        mean = self._world.habits.between
        self._world.clock.countdown = 0 if self._over else 1 + int(self._world.rng.expovariate(1 / mean))

    def end(self) -> None:
        """Nothing is struck any more, and all that was frozen goes on."""
        self._over = True
        self.arm()
        for worker in self._world.workers:
            self._thaw(worker.python)
            for jvm in worker.jvms:
                self._thaw(jvm.process)
                jvm.deaf_until = 0.0
            worker.python.skew = 0.0

    def strike(self, process: Process) -> None:
        self.arm()
        world = self._world
        worker = next(w for w in world.workers if process is w.python or any(process is j.process for j in w.jvms))
        kind = world.rng.choice(self._kinds)
        name = kind.__name__.strip("_")
        self.count[name] = self.count.get(name, 0) + 1
        world.note(process.name, f"is struck: {name}")
        kind(self, worker)

    # Kinds

    def _kill(self, worker: "Worker") -> None:
        worker.kill()

    def _kill_daemon(self, worker: "Worker") -> None:
        if worker.jvm:
            worker.jvm.kill()

    def _kill_connector(self, worker: "Worker") -> None:
        if worker.pipes:
            self._world.rng.choice(worker.pipes).kill_connector()

    def _stop(self, worker: "Worker") -> None:
        worker.stop()

    def _nap(self, worker: "Worker") -> None:
        """Shorter than a lease."""
        self._freeze(worker.python, self._world.rng.uniform(0.2, self._world.habits.failover * 0.9), seen=True)

    def _sleep(self, worker: "Worker") -> None:
        """The service, longer than a lease; its daemon keeps the leases."""
        self._freeze(worker.python, self._world.rng.uniform(self._world.habits.failover, 60), seen=self._world.rng.random() < 0.5)

    def _zombie(self, worker: "Worker") -> None:
        """The whole worker, longer than a lease. Somebody takes over."""
        world = self._world
        seconds, seen = world.rng.uniform(self._world.habits.failover, 90), world.rng.random() < 0.3
        self._freeze(worker.python, seconds, seen)
        for jvm in worker.jvms:
            self._freeze(jvm.process, seconds + world.rng.choice((0.0, 3.0)), seen)
        self._reinforce()

    def _daemon_sleeps(self, worker: "Worker") -> None:
        if worker.jvm:
            self._freeze(worker.jvm.process, self._world.rng.uniform(1, 60), seen=True)
            self._reinforce()

    def _deaf(self, worker: "Worker") -> None:
        """The daemon cannot renew its leases, but goes on."""
        if worker.jvm:
            worker.jvm.deaf_until = self._world.clock.now + self._world.rng.uniform(self._world.habits.failover, 50)
            self._reinforce()

    def _steal(self, worker: "Worker") -> None:
        """The lease moves at once; the old owner learns of it at its next renewal."""
        row, thief = self._lease(worker), self._other(worker)
        if row and thief:
            row.owner, row.handing = thief, None
            row.counter += 1
            self._world.note(thief, f"has stolen {row.shard}")

    def _bounce(self, worker: "Worker") -> None:
        """The lease is lost and comes back: a second conversation in one process."""
        if row := self._lease(worker):
            row.counter += 1

    def _hand_off(self, worker: "Worker") -> None:
        row, heir = self._lease(worker), self._other(worker)
        if row and heir and row.owner == worker.name and not row.handing:
            row.owner, row.handing, row.handing_since = heir, worker.name, self._world.clock.now

    def _join(self, worker: "Worker") -> None:
        self._reinforce(also=True)

    def _step_clock(self, worker: "Worker") -> None:
        worker.python.skew += self._world.rng.choice((-5.0, 5.0, 3600.0, -3600.0))

    # Means

    def _freeze(self, process: Process, seconds: float, seen: bool) -> None:
        if process.running:
            process.running = False
            self._world.clock.later(seconds, self._wake, process, self._world.clock.now, seen)

    def _wake(self, process: Process, since: float, seen: bool) -> None:
        if process.running or process.dead:
            return
        self._world.note(process.name, "goes on")
        gap = self._world.clock.now - since
        if not seen:
            process.unseen += gap
        elif gap > self._world.habits.failover:
            process.overslept = True
        self._thaw(process)

    def _thaw(self, process: Process) -> None:
        if not process.dead:
            self._world.clock.thaw(process)

    def _reinforce(self, also: bool = False) -> None:
        """Sees to it that somebody else can take the leases."""
        world = self._world
        alive = [worker for worker in world.workers if not worker.ended]
        others = [worker for worker in alive if worker.python.running]
        if len(alive) < MOST_WORKERS and (also or not others) and world.rng.random() < 0.8:
            world.start_worker(world.new_name())

    def _lease(self, worker: "Worker") -> Row | None:
        jvm: Jvm | None = worker.jvm
        held = [hold.row for hold in jvm.held.values()] if jvm else []
        return self._world.rng.choice(held) if held else None

    def _other(self, worker: "Worker") -> str | None:
        others = [other.name for other in self._world.workers if not other.ended and other is not worker]
        return self._world.rng.choice(others) if others else None


KINDS: Final[dict[str, Callable[[Strikes, "Worker"], None]]] = {
    function.__name__.strip("_"): function
    for function in (
        Strikes._kill,
        Strikes._kill_daemon,
        Strikes._kill_connector,
        Strikes._stop,
        Strikes._nap,
        Strikes._sleep,
        Strikes._zombie,
        Strikes._daemon_sleeps,
        Strikes._deaf,
        Strikes._steal,
        Strikes._bounce,
        Strikes._hand_off,
        Strikes._join,
        Strikes._step_clock,
    )
}
