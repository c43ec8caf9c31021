"""A schedule's world: everything outside the product, and the product's workers in it."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Final

from consumer.pipeline.checkpoint import TRANSIENT
from consumer.record import Position
from tests.simulation import scenario
from tests.simulation.clock import Clock, Process
from tests.simulation.fault_injection import KINDS, FaultInjection
from tests.simulation.kcl import Jvm
from tests.simulation.leases import LeaseClient, LeaseTable, Row
from tests.simulation.ledger import Ledger
from tests.simulation.listing import Listing
from tests.simulation.network import Network, NetworkConditions
from tests.simulation.rollups import RollupTable
from tests.simulation.sinks import Bucket, Rows
from tests.simulation.stream import Stream
from tests.simulation.worker import Worker

PATIENCE: Final = 300.0
"""Virtual seconds within which everything must have drained after the last fault."""
FAULTLESS: Final = NetworkConditions()


class World:
    """Everything outside the product, and the product's workers in it."""

    def __init__(self, seed: int, tracing: bool) -> None:
        self.rng = rng = random.Random(seed)
        self.trace: list[str] = []
        self.tracing = tracing
        self.violation: str | None = None
        self.scenario = scenario.draw(rng, list(KINDS))
        self.clock = Clock(self._inject)
        self.stream = Stream(rng, self.scenario.mix, self.scenario.shards)
        self.ledger = Ledger(self.stream, self.scenario.resolutions, self.fail)
        self.network = Network(self.clock, rng, dict(self.scenario.conditions), self._inject_at_request)
        self.bucket = Bucket(self.network, self.ledger, rng, self.scenario.conflicts)
        self.batch_write = Rows(self.network, self.ledger, rng, self.scenario.unprocessed)
        self.put_item = RollupTable(self.network, self.ledger)
        self.leases = LeaseTable(self.ledger)
        self.ledger.rollups.leases = self.leases.rows
        self.kinesis = Listing(self)
        self.dynamodb = LeaseClient(self.network, self.leases, self.ledger)
        self.fence: Counter[str] = Counter()
        self.calm = False
        self.workers: list[Worker] = []
        self._names = -1
        self.max_records = 0
        self.max_bytes = 0
        self.fault_injection = FaultInjection(self)

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

    def leases_long(self) -> float:
        """Seconds in which another worker may take a lease over, and go on."""
        return self.scenario.failover * self.rng.uniform(1.0, 5.0)

    def late_start(self, jvm: Jvm) -> float:
        """Seconds between a lease and its `initialize`; a daemon that is late may not renew its leases either."""
        if not self.happens(self.scenario.late_start):
            return self.rng.uniform(0.01, 0.3)
        late = self.leases_long()
        if self.rng.random() < 0.5:
            jvm.deaf_until = self.clock.now + late + self.leases_long()
        return late

    def checkpoint_seen(self, row: Row) -> Position:
        """What an eventually consistent read gives."""
        return self.rng.choice(row.past) if self.happens(self.scenario.stale) else row.checkpoint

    def checkpoint_fault(self) -> str | None:
        return self.rng.choice(sorted(TRANSIENT)) if self.happens(self.scenario.refused_checkpoint) else None

    def behind(self, records: int) -> int | None:
        """`millisBehindLatest` with so many records not yet fetched."""
        if self.happens(self.scenario.odd_lag):
            return self.rng.choice((None, 1))
        return records * 100

    # Workers

    def start_worker(self, name: str) -> Worker:
        rotation = self.rng.choice(self.scenario.rotations)
        self.max_records = max(self.max_records, rotation.records)
        self.max_bytes = max(self.max_bytes, rotation.size + 2000)
        contracts = self.rng.choice(self.scenario.contracts)
        compression = self.rng.choice(self.scenario.compressions)
        resolution = self.rng.choice(self.scenario.resolutions)
        worker = Worker(self, name, rotation, contracts, compression, resolution)
        self.workers.append(worker)
        self.note(name, f"starts with {rotation}, {compression}, {resolution}, {contracts}")
        return worker

    def new_name(self) -> str:
        """Of a worker that never was before: two workers with one name are not simulated."""
        self._names += 1
        return f"w{self._names}"

    def worker_ended(self, worker: Worker) -> None:
        self.note(worker.name, "is gone")
        name = self.new_name() if self.happens(0.3) else worker.name
        self.clock.later(self.rng.uniform(0.1, self.scenario.failover), self.start_worker, name)

    def _inject(self, process: Process) -> None:
        self.fault_injection.inject(process)

    def _inject_at_request(self, process: Process, service: str) -> None:
        if process.running and self.happens(self.scenario.fault_rate[service]):
            self.fault_injection.inject(process)

    # The course of a schedule

    async def run(self) -> None:
        for first in self.stream.open_shards():
            self.leases.create(first.name, (), 1 if self.scenario.older else None)
        for _ in range(self.scenario.workers):
            self.start_worker(self.new_name())
        self.fault_injection.arm()
        await self._publish()
        await asyncio.sleep(self.rng.uniform(0, 3) * self.scenario.failover)
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
        rng, scenario = self.rng, self.scenario
        reshards = sorted(rng.sample(range(scenario.records), min(scenario.reshards, scenario.records)))
        for number in range(scenario.records):
            await asyncio.sleep(rng.expovariate(1 / scenario.spacing))
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
        self.network.conditions = dict.fromkeys(self.network.conditions, FAULTLESS)
        self.bucket.conflicts = self.batch_write.unprocessed = 0.0
        self.fault_injection.end()

    def _busy(self) -> bool:
        closed = any(shard.closed and not shard.ended for shard in self.stream.shards.values())
        return closed or self.stream.waiting > 0 or self.network.pending > 0
