"""The KCL's daemon: keeps leases, delivers records, takes checkpoints. What it does is from the facts about KCL 3.1.3."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from consumer.lease import END, START
from tests.simulation.clock import Process
from tests.simulation.leases import Row
from tests.simulation.pipe import Broken, Pipe
from tests.simulation.stream import Item, SimShard

if TYPE_CHECKING:
    from tests.simulation.worker import Worker
    from tests.simulation.world import World

HAND_OVER: Final = 30.0
"""Seconds after which a lease moves although the old owner has not handed it over."""
JAVA: Final = "software.amazon.kinesis.exceptions."


@dataclass(slots=True, eq=False)
class Hold:
    """A lease that a daemon believes to hold."""

    row: Row
    counter: int
    lost: bool = False
    asked: bool = False
    """It is to be handed over."""


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
        """Records that it could not de-aggregate, as its log tells."""
        self.skipped = False
        """Whether its log tells of a batch that it went past."""
        self.stopping = False
        self.tasks = [world.clock.spawn(self.process, self._coordinate())]
        self._seen: dict[str, tuple[int, float]] = {}

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
        """Renews what it holds, takes what has expired or was given to it, every third of the time that a lease lasts."""
        world = self.world
        await asyncio.sleep(world.rng.uniform(0.5, 2.0))
        while True:
            if world.clock.now >= self.deaf_until:
                for row in list(world.leases.rows.values()):
                    self._look(row)
            await asyncio.sleep(world.habits.failover / 3 * world.rng.uniform(0.8, 1.2))

    def _look(self, row: Row) -> None:
        me, now, hold = self.worker.name, self.world.clock.now, self.held.get(row.shard)
        if hold:
            if row.counter == hold.counter and me in (row.owner, row.handing):
                row.counter += 1
                hold.counter = row.counter
                hold.asked = hold.asked or row.handing == me
            else:
                hold.lost = True
                del self.held[row.shard]
            return
        counter, since = self._seen.get(row.shard, (-1, now))
        if counter != row.counter:
            since = now
        self._seen[row.shard] = row.counter, since
        if row.ended:
            return
        if row.handing and now - row.handing_since > HAND_OVER:
            row.handing = None
        given = row.owner == me and not row.handing
        expired = not self.world.habits.leaderless and now - since > self.world.habits.failover
        if given or row.owner is None or expired:
            row.owner, row.handing = me, None
            row.counter += 1
            hold = self.held[row.shard] = Hold(row, row.counter)
            self.world.note(self.process.name, f"takes {row.shard}")
            self.spawn(self._consume(hold))

    async def _consume(self, hold: Hold) -> None:
        """A lease's life with us: waits for the parents, then converses."""
        world = self.world
        while not world.leases.parents_ended(hold.row):
            await asyncio.sleep(world.rng.uniform(0.5, 2.0))
            if hold.lost:
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


class Consumer:
    """One conversation as the daemon leads it (the KCL's ShardConsumer)."""

    def __init__(self, jvm: Jvm, hold: Hold, pipe: Pipe) -> None:
        self._jvm = jvm
        self._world = jvm.world
        self._hold = hold
        self._pipe = pipe
        self._shard: SimShard = jvm.world.stream.shards[hold.row.shard]
        self._fetched = 0
        self._queue: deque[tuple[list[Item], int | None]] = deque()
        self._delivered = self._accepted = START
        self._action = ""

    async def run(self) -> None:
        start = self._accepted = self._delivered = self._world.checkpoint_seen(self._hold.row)
        items = self._shard.items
        while self._fetched < len(items) and items[self._fetched].position <= start:
            self._fetched += 1
        await self._ask("initialize", shardId=self._shard.name, sequenceNumber="TRIM_HORIZON", subSequenceNumber=0)
        pause = 0.3
        while not self._hold.lost:
            if self._hold.asked:
                await self._hand_over()
                break
            self._prefetch()
            if self._queue:
                records, behind = self._queue.popleft()
                pause = self._world.rng.uniform(0.02, 0.6)
            elif self._shard.closed:
                await self._end()
                if not self._hold.lost:
                    return
                break
            else:
                records, behind = [], self._world.behind(0)
                pause = min(pause * 2, 5.0)
            await self._deliver(records, behind)
            await asyncio.sleep(pause)
        self._pipe.retired = self._pipe.retired or "its lease was lost"
        await self._ask("leaseLost")

    def _prefetch(self) -> None:
        world, items = self._world, self._shard.items
        while self._fetched < len(items) and len(self._queue) < world.habits.prefetch:
            count = world.rng.randint(1, world.habits.batch)
            batch = items[self._fetched : self._fetched + count]
            self._fetched += len(batch)
            if dropped := [item.data for item in batch if item.undeliverable]:
                self._jvm.dropped += dropped
                self._jvm.worker.log_written()
            self._queue.append((batch, world.behind(len(items) - self._fetched)))
            if world.rng.random() < 0.5:
                return

    async def _deliver(self, records: list[Item], behind: int | None) -> None:
        if records:
            self._delivered = records[-1].position
            if self._world.happens(self._world.habits.skips):
                self._world.note(self._jvm.process.name, f"{self._shard.name}: goes past {len(records)} records")
                self._jvm.skipped = True
                self._jvm.worker.log_written()
                return
        wire = [item.wire for item in records if not item.undeliverable]
        await self._ask("processRecords", records=wire, millisBehindLatest=behind)
        self._jvm.worker.check_memory()

    async def _hand_over(self) -> None:
        await self._ask("shutdownRequested")
        self._pipe.retired = self._pipe.retired or "it has answered shutdownRequested"
        row, me = self._hold.row, self._jvm.worker.name
        if row.handing == me and row.counter == self._hold.counter:
            row.handing = None
            row.counter += 1
        self._hold.lost = True
        if self._jvm.held.get(row.shard) is self._hold:
            del self._jvm.held[row.shard]
        await asyncio.sleep(self._world.rng.uniform(0.0, 1.0))

    async def _end(self) -> None:
        rows = self._world.leases.rows
        for name in self._shard.children:
            parents = self._world.stream.shards[name].parents
            while any(parent not in rows for parent in parents):  # a merge waits for the leases of both
                await asyncio.sleep(1)
            self._world.leases.create(name, parents)
        if self._hold.lost:
            return
        await self._ask("shardEnded")
        if not self._hold.row.ended and self._action == "shardEnded" and not self._pipe.retired:
            self._world.note(self._jvm.process.name, f"{self._shard.name}: wedged")  # renewed for ever, never served
            return
        self._jvm.held.pop(self._shard.name, None)

    async def _ask(self, action: str, **fields: Any) -> None:
        """Sends an action, serves the child's checkpoints until its answer. Raises Broken."""
        self._action = action
        self._world.note(self._jvm.process.name, lambda: f"{self._shard.name}: {action} {_told(fields)}")
        self._pipe.send({"action": action, **fields})
        while True:
            said = await self._pipe.hear()
            if said["action"] == "status":
                if said["responseFor"] != action:
                    raise Broken(f"an answer for {said['responseFor']} to {action}")
                return
            error = await self._checkpoint(said)
            if error == "ShutdownException":
                self._pipe.retired = self._pipe.retired or "its checkpoint met a ShutdownException"
            self._pipe.send({"action": "checkpoint", "error": error and self._world.rng.choice((JAVA, "")) + error})

    async def _checkpoint(self, said: dict[str, Any]) -> str | None:
        world, hold = self._world, self._hold
        number = said["sequenceNumber"]
        position = (int(number), said["subSequenceNumber"]) if number else self._delivered
        if number is None and self._action == "shardEnded":
            position = END
        elif not self._accepted <= position <= self._delivered or self._action in ("initialize", "leaseLost"):
            world.fail(f"(a) {self._shard.name}: checkpoint {position} in {self._action}: not what was delivered")
        way = world.rng.random() * 0.02
        fault = world.checkpoint_fault()
        if fault == "ThrottlingException" or fault == "InvalidStateException":
            await asyncio.sleep(way)
            return fault
        error = await world.network.land(lambda: self._write(position), way)
        world.note(self._jvm.process.name, f"{self._shard.name}: checkpoint {position}: {error or fault}")
        if error is None:
            self._accepted = position
        return error or fault

    def _write(self, position: tuple[int, int]) -> str | None:
        """Takes effect at the lease table, even if this process dies meanwhile."""
        hold = self._hold
        if hold.lost:
            return "ShutdownException"
        error = self._world.leases.checkpoint(hold.row.shard, self._jvm.worker.name, hold.counter, position)
        if error is None:
            hold.row.counter += 1
            hold.counter = hold.row.counter
        return error


def _told(fields: dict[str, Any]) -> str:
    if "records" not in fields:
        return ""
    numbers = [str(bytes(wire)).split('"sequenceNumber":"')[1].split('"')[0] for wire in fields["records"]]
    return f"{numbers} behind {fields['millisBehindLatest']}"
