"""One conversation as the daemon leads it: what the KCL's ShardConsumer and its checkpointer do."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from consumer.kcl.lease_table import END, START
from tests.simulation.pipe import Broken, Pipe
from tests.simulation.stream import Item, SimShard

if TYPE_CHECKING:
    from tests.simulation.kcl import Hold, Jvm

JAVA: Final = "software.amazon.kinesis.exceptions."


class Consumer:
    """One conversation as the daemon leads it (the KCL's ShardConsumer)."""

    def __init__(self, jvm: "Jvm", hold: "Hold", pipe: Pipe) -> None:
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
            if self._world.happens(self._world.scenario.false_ends):
                self._jvm.gone.add(self._shard.name)
                await self._tell_end()
                self._world.clock.later(self._world.rng.uniform(10.0, 60.0), self._sync)
                return
            self._prefetch()
            if self._queue:
                records, behind = self._queue.popleft()
                pause = self._world.rng.uniform(0.02, 0.6)
            elif self._shard.closed:
                await self._end()
                if self._action == "shardEnded":
                    return
                continue
            else:
                records, behind = [], self._world.behind(0)
                pause = min(pause * 2, 5.0)
            await self._deliver(records, behind)
            await asyncio.sleep(pause)
        self._pipe.retired = self._pipe.retired or "its lease was lost"
        await self._ask("leaseLost")

    def _prefetch(self) -> None:
        world, items = self._world, self._shard.items
        while self._fetched < len(items) and len(self._queue) < world.scenario.prefetch:
            count = world.rng.randint(1, world.scenario.batch)
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
            if self._world.happens(self._world.scenario.skips):
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
            if any(parent not in rows for parent in parents):  # a merge waits for the leases of both
                await asyncio.sleep(1)
                return
            self._world.leases.create(name, parents)
        await self._tell_end()

    def _sync(self) -> None:
        """What the leader does now and then: children that were not reported to it get their leases too."""
        rows = self._world.leases.rows
        for name in self._shard.children if self._hold.row.ended else ():
            parents = self._world.stream.shards[name].parents
            if all(parent in rows for parent in parents):
                self._world.leases.create(name, parents)

    async def _tell_end(self) -> None:
        await self._ask("shardEnded")
        if not self._hold.row.ended and self._action == "shardEnded" and not self._pipe.retired:
            self._world.note(self._jvm.process.name, f"{self._shard.name}: wedged")  # always renewed, never served
        else:
            self._jvm.held.pop(self._shard.name, None)

    async def _ask(self, action: str, **fields: Any) -> None:
        """Sends an action, serves the child's checkpoints until its answer. Raises Broken."""
        self._action = action
        self._world.note(self._jvm.process.name, lambda: f"{self._shard.name}: {action} {_described(fields)}")
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
        world = self._world
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


def _described(fields: dict[str, Any]) -> str:
    if "records" not in fields:
        return ""
    numbers = [str(bytes(wire)).split('"sequenceNumber":"')[1].split('"')[0] for wire in fields["records"]]
    return f"{numbers} behind {fields['millisBehindLatest']}"
