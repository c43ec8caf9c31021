"""The KCL's daemon and its leases. What it does was read in KCL 3.1.3, or seen."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.clock import Process
from tests.simulation.delivery import Consumer
from tests.simulation.leases import Row
from tests.simulation.pipe import Broken, Pipe

if TYPE_CHECKING:
    from tests.simulation.worker import Worker
    from tests.simulation.world import World

HAND_OVER: Final = 30.0
"""Seconds after which a lease moves although the old owner has not handed it over."""


@dataclass(slots=True, eq=False)
class Hold:
    """A lease that a daemon believes to hold."""

    row: Row
    counter: int
    lost: bool = False
    asked: bool = False
    """It is to be handed over."""
    shut: bool = False
    """Its consumer has been shut down, but it is renewed all the same."""


class Jvm:
    """One daemon's process."""

    def __init__(self, world: "World", worker: "Worker") -> None:
        self.world = world
        self.worker = worker
        self.process = Process(f"{worker.name}/jvm")
        self.exited = asyncio.Event()
        self.held: dict[str, Hold] = {}
        self.pipes: list[Pipe] = []
        self.deaf_until = 0.0
        """Until when it cannot reach the lease table."""
        self.dropped: list[bytes] = []
        """Records that it could not de-aggregate, as its log says."""
        self.skipped = False
        """Whether its log says that it skipped a batch."""
        self.gone: set[str] = set()
        """Shards that do not exist, as its log says that Kinesis answered."""
        self.stopping = False
        self.tasks = [world.clock.spawn(self.process, self._coordinate())]
        self._seen: dict[str, tuple[int, float]] = {}
        self._starting = True
        """It has not yet looked at the leases."""

    def kill(self) -> None:
        """Dies at once; the children see the ends of their pipes."""
        if self.process.dead:
            return
        self.process.die()
        self.world.note(self.process.name, "dies")
        for pipe in self.pipes:
            pipe.daemon_ends()
        self.exited.set()

    def terminate(self) -> None:
        self.stopping = True
        for hold in self.held.values():
            hold.asked = True

    def spawn(self, work: Any) -> None:
        self.tasks.append(asyncio.create_task(work))

    async def _coordinate(self) -> None:
        """Renews what it holds, takes what has expired or was given to it: three times in a lease's life."""
        world = self.world
        await asyncio.sleep(world.rng.uniform(0.5, 2.0))
        while True:
            if world.clock.now >= self.deaf_until:
                for row in list(world.leases.rows.values()):
                    self._look(row)
                self._starting = False
            await asyncio.sleep(world.scenario.failover / 3 * world.rng.uniform(0.8, 1.2))

    def _look(self, row: Row) -> None:
        me, now, hold = self.worker.name, self.world.clock.now, self.held.get(row.shard)
        if hold:
            self._renew(row, hold)
            return
        counter, since = self._seen.get(row.shard, (-1, now))
        if counter != row.counter:
            since = now
        self._seen[row.shard] = row.counter, since
        if row.ended:
            return
        if self._starting and row.owner == me and row.handing:  # held and renewed, but neither assigned nor read
            row.counter += 1
            self._hold(row)
            return
        given = row.owner == me and not row.handing
        expired = not self.world.scenario.leaderless and now - since > self.world.scenario.failover
        # The leader of KCL 3.1.3 gives no lease to its actual owner, for which it takes the old one of a hand-over.
        expired = expired and row.handing != me
        free = row.owner is None and not row.handing
        if given or free or expired:
            row.owner, row.handing = me, None
            row.counter += 1
            self._hold(row)

    def _renew(self, row: Row, hold: Hold) -> None:
        me = self.worker.name
        if row.counter != hold.counter or me not in (row.owner, row.handing):
            hold.lost = True
            del self.held[row.shard]
            return
        row.counter += 1
        hold.counter = row.counter
        hold.asked = hold.asked or row.handing is not None
        if row.handing == me and not hold.shut and self.world.clock.now - row.handing_since > HAND_OVER:
            row.handing = None
            row.counter += 1

    def _hold(self, row: Row) -> None:
        hold = self.held[row.shard] = Hold(row, row.counter)
        hold.asked = row.handing is not None
        self.world.note(self.process.name, f"takes {row.shard}")
        self.spawn(self._consume(hold))

    async def _consume(self, hold: Hold) -> None:
        """A lease's life with us: waits for the parents, then converses."""
        world = self.world
        while not world.leases.parents_ended(hold.row):
            await asyncio.sleep(world.rng.uniform(0.5, 2.0))
            hold.shut = hold.asked
            if hold.lost or hold.shut:
                return
        await asyncio.sleep(world.late_start(self))
        pipe = self.worker.connect(hold.row.shard)
        self.pipes.append(pipe)
        try:
            await Consumer(self, hold, pipe).run()
        except Broken as broken:
            world.note(self.process.name, f"{hold.row.shard}: {broken}")
            self.kill()
        finally:
            pipe.daemon_ends()
