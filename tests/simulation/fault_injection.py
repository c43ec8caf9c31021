"""Fault injection: what is done to a process between two of its steps, or to its leases."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.simulation.clock import Process
from tests.simulation.leases import Row

if TYPE_CHECKING:
    from tests.simulation.worker import Worker
    from tests.simulation.world import World

MAX_WORKERS: Final = 4


class FaultInjection:
    """Hits the process whose next step is about to be run, or what stands around it."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._kinds = [KINDS[name] for name in world.scenario.faults]
        self._over = False
        self.count: dict[str, int] = {}

    def arm(self) -> None:
        """Draws how many steps it is to the next fault."""
        mean = self._world.scenario.between
        self._world.clock.countdown = 0 if self._over else 1 + int(self._world.rng.expovariate(1 / mean))

    def end(self) -> None:
        """No more faults; all that was frozen goes on."""
        self._over = True
        self.arm()
        for worker in self._world.workers:
            self._thaw(worker.python)
            for jvm in worker.jvms:
                self._thaw(jvm.process)
                jvm.deaf_until = 0.0
            worker.python.skew = 0.0

    def inject(self, process: Process) -> None:
        self.arm()
        world = self._world
        worker = next(w for w in world.workers if process is w.python or any(process is j.process for j in w.jvms))
        kind = world.rng.choice(self._kinds)
        name = kind.__name__.strip("_")
        self.count[name] = self.count.get(name, 0) + 1
        world.note(process.name, f"fault: {name}")
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
        self._freeze(worker.python, self._world.rng.uniform(0.2, self._world.scenario.failover * 0.9), seen=True)

    def _sleep(self, worker: "Worker") -> None:
        """The service, longer than a lease; its daemon keeps the leases."""
        rng = self._world.rng
        self._freeze(worker.python, self._world.leases_long(), seen=rng.random() < 0.5)

    def _zombie(self, worker: "Worker") -> None:
        """The whole worker, longer than a lease. Another takes over."""
        world = self._world
        seconds, seen = world.leases_long(), world.rng.random() < 0.3
        self._freeze(worker.python, seconds, seen)
        for jvm in worker.jvms:
            self._freeze(jvm.process, seconds + world.rng.choice((0.0, 3.0)), seen)
        self._reinforce()

    def _daemon_sleeps(self, worker: "Worker") -> None:
        if worker.jvm:
            self._freeze(worker.jvm.process, self._world.leases_long(), seen=True)
            self._reinforce()

    def _deaf(self, worker: "Worker") -> None:
        """The daemon cannot renew its leases, but goes on."""
        if worker.jvm:
            worker.jvm.deaf_until = self._world.clock.now + self._world.leases_long()
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
        row, lease_monitor = self._lease(worker), self._other(worker)
        if row and lease_monitor and row.owner == worker.name and not row.handing:
            row.owner, row.handing, row.handing_since = lease_monitor, worker.name, self._world.clock.now

    def _abandon(self, worker: "Worker") -> None:
        """Both ends of a hand-over die. The daemon of the old owner comes back under its id, as may the next owner."""
        self._hand_off(worker)
        begun = [row for row in self._world.leases.rows.values() if row.handing == worker.name]
        for other in [other for other in self._world.workers if other.name in {row.owner for row in begun}]:
            other.kill()
        if begun and worker.jvm:
            worker.jvm.kill()

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
        elif gap > self._world.scenario.failover:
            process.overslept = True
        self._thaw(process)

    def _thaw(self, process: Process) -> None:
        if not process.dead:
            self._world.clock.thaw(process)

    def _reinforce(self, also: bool = False) -> None:
        """Makes sure that another worker can take the leases."""
        world = self._world
        alive = [worker for worker in world.workers if not worker.ended]
        others = [worker for worker in alive if worker.python.running]
        if len(alive) < MAX_WORKERS and (also or not others) and world.rng.random() < 0.8:
            world.start_worker(world.new_name())

    def _lease(self, worker: "Worker") -> Row | None:
        jvm = worker.jvm
        held = [hold.row for hold in jvm.held.values()] if jvm else []
        return self._world.rng.choice(held) if held else None

    def _other(self, worker: "Worker") -> str | None:
        others = [other.name for other in self._world.workers if not other.ended and other is not worker]
        return self._world.rng.choice(others) if others else None


KINDS: Final[dict[str, Callable[[FaultInjection, "Worker"], None]]] = {
    function.__name__.strip("_"): function
    for function in (
        FaultInjection._kill,
        FaultInjection._kill_daemon,
        FaultInjection._kill_connector,
        FaultInjection._stop,
        FaultInjection._nap,
        FaultInjection._sleep,
        FaultInjection._zombie,
        FaultInjection._daemon_sleeps,
        FaultInjection._deaf,
        FaultInjection._steal,
        FaultInjection._bounce,
        FaultInjection._hand_off,
        FaultInjection._abandon,
        FaultInjection._join,
        FaultInjection._step_clock,
    )
}
