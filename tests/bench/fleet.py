"""A fleet in virtual time: the consumer's real lease code at a simulated lease table, beside a model of the KCL.

Real: LeaseMonitor, Leases, Takeover, lease_watch. Simulated: DynamoDB (rows, owner index, read and write units as it
counts them, a few milliseconds for each request) and the clock. Modelled, from the sources of KCL 3.1.3 and from what
was measured of it (docs/decisions/0011-lost-leader.md): how its workers renew, find, assign and give up leases. What it
does with records is left out; so are the consumer's claims and checkpoints, which do not depend on the fleet's size.
"""

import asyncio
import heapq
import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Set
from types import SimpleNamespace
from typing import Any, Final

from botocore.exceptions import ClientError

from consumer.kcl.lease_monitor import NEWS_SECONDS, OWN_SECONDS, LeaseMonitor
from consumer.kcl.lease_table import Leases
from consumer.kcl.lease_watch import spread

LEASE: Final = 10.0
"""FAILOVER_SECONDS."""
RENEWAL: Final = LEASE / 3 - 0.025
DISCOVERY: Final = LEASE / 2 - 0.025
ROUND: Final = 2 * LEASE
"""Seconds between two assignments by the leader."""
LOCK_SECONDS: Final = 120.0
CANDIDACY: Final = 30.0
"""Seconds between two attempts of another worker to lead."""
REPORT: Final = 30.0
"""Seconds between two reports of a worker's load; after two without one the leader gives it no leases."""
ROW, KEY, LOAD = 397, 90, 250
"""Bytes of a lease, of its entry in the index (both as measured with the KCL's own rows), of a worker's report."""


def units(size: int) -> float:
    """Read units of an eventually consistent read."""
    return max(1, math.ceil(size / 4096)) / 2


class Refused(ClientError):
    """ConditionalCheckFailedException."""

    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")


class LeaseTable:
    """Rows, the owner index, the leader's lock, and what was read and written, by kind, in DynamoDB's units."""

    def __init__(self, shards: int) -> None:
        names = [f"shardId-{number:012}" for number in range(shards)]
        self.rows: dict[str, dict[str, Any]] = {
            name: {"leaseKey": {"S": name}, "leaseCounter": {"N": "0"}, "checkpoint": {"S": "17"}} for name in names
        }
        self.owned: dict[str, set[str]] = {}
        self.leader: str | None = None
        self.leader_seen = -math.inf
        self.reads: Counter[str] = Counter()
        self.writes: Counter[str] = Counter()

    def own(self, shard: str, owner: str | None, kind: str) -> None:
        """Changes a lease's owner: the row, and an entry of the index that goes or comes."""
        row = self.rows[shard]
        old = row.pop("leaseOwner", None)
        if old:
            self.owned[old["S"]].discard(shard)
        if owner:
            row["leaseOwner"] = {"S": owner}
            self.owned.setdefault(owner, set()).add(shard)
        self.count(shard)
        self.writes[kind] += 1 + bool(old) + bool(owner)

    def count(self, shard: str) -> None:
        row = self.rows[shard]
        row["leaseCounter"] = {"N": str(int(row["leaseCounter"]["N"]) + 1)}

    def owner(self, shard: str) -> str | None:
        owner = self.rows[shard].get("leaseOwner")
        return owner["S"] if owner else None


class Client:
    """An aiobotocore DynamoDB client, as far as `Leases` uses it to look and to take."""

    exceptions = SimpleNamespace(ConditionalCheckFailedException=Refused, ResourceNotFoundException=Refused)

    def __init__(self, table: LeaseTable, rng: random.Random) -> None:
        self._table = table
        self._rng = rng

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate={"scan": self._scan, "query": self._query}[operation])

    async def _wait(self) -> None:
        await asyncio.sleep(self._rng.uniform(0.003, 0.008))

    async def _scan(self, *, PaginationConfig: Mapping[str, int], **_: Any) -> AsyncIterator[dict[str, Any]]:
        rows, size = list(self._table.rows.values()), PaginationConfig["PageSize"]
        for start in range(0, len(rows), size):
            await self._wait()
            page = rows[start : start + size]
            yield {"Items": page, "ConsumedCapacity": {"CapacityUnits": units(len(page) * ROW)}}

    async def _query(self, **asked: Any) -> AsyncIterator[dict[str, Any]]:
        await self._wait()
        found = self._table.owned.get(asked["ExpressionAttributeValues"][":me"]["S"], ())
        items = [{"leaseKey": {"S": shard}} for shard in found]
        yield {"Items": items, "ConsumedCapacity": {"CapacityUnits": units(len(items) * KEY)}}

    async def get_item(self, *, Key: Any, **_: Any) -> dict[str, Any]:
        await self._wait()
        return {"Item": self._table.rows[Key["leaseKey"]["S"]], "ConsumedCapacity": {"CapacityUnits": units(ROW)}}

    async def update_item(self, **asked: Any) -> None:
        """`Leases.take`, with the conditions that it names."""
        await self._wait()
        shard, values = asked["Key"]["leaseKey"]["S"], asked["ExpressionAttributeValues"]
        row = self._table.rows[shard]
        if any(row.get(name) != values.get(f":{alias}") for name, alias in CONDITIONS):
            self._table.writes["takeovers"] += 1
            raise Refused
        self._table.own(shard, values[":new"]["S"], "takeovers")

    async def delete_item(self, *, ExpressionAttributeValues: Any, **_: Any) -> None:
        await self._wait()
        self._table.writes["takeovers"] += 1
        if self._table.leader != ExpressionAttributeValues[":owner"]["S"]:
            raise Refused
        self._table.leader = None


CONDITIONS: Final = (("leaseCounter", "counter"), ("leaseOwner", "leaseOwner"), ("checkpointOwner", "checkpointOwner"))


class Reads:
    """In place of the consumer's metrics: the units of its looks go to the table's account, all else nowhere."""

    def __init__(self, table: LeaseTable) -> None:
        self.lease_reads = SimpleNamespace(labels=lambda kind: SimpleNamespace(inc=lambda n: self._add(kind, n)))
        self._table = table

    def _add(self, kind: str, number: float) -> None:
        self._table.reads[kind] += number  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(inc=lambda: None, labels=lambda *_: SimpleNamespace(inc=lambda: None))


class Monitor(LeaseMonitor):
    """Workers that have seen the same fleet share the set: comparing thousands of names would take most of the time."""

    def __init__(self, fleet: "Fleet", *arguments: Any) -> None:
        super().__init__(*arguments)
        self._known = fleet.known_sets

    async def look(self) -> None:
        before = self._takeover.workers
        await super().look()
        if (seen := self._takeover.workers) is not before:
            self._takeover.workers = self._known.setdefault(frozenset(seen), seen)


class Worker:
    """One task: the consumer's lease monitor, and a model of its daemon."""

    def __init__(self, fleet: "Fleet", name: str) -> None:
        self.name = name
        self.held: dict[str, str] = {}
        """Leases that the daemon renews, with the counter that it expects."""
        self.served: set[str] = set()
        self.stopping = False
        self.reported = fleet.now()
        self._fleet = fleet
        self._table = table = fleet.table
        metrics: Any = Reads(table)
        client: Any = Client(table, fleet.rng)
        leases = Leases(client, "leases", name, metrics)
        self.monitor = Monitor(fleet, name, LEASE, leases, lambda: self.served, metrics)
        self._seen: dict[str, tuple[str, float]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        work = (self.monitor.run, self._renew, self._discover, self._lead, self._report)
        self._tasks = [asyncio.create_task(self._late(each)) for each in work]

    def aged(self) -> None:
        """As if it had lived for long: when it read all rows for the last time has nothing to do with the others."""
        interval = max(OWN_SECONDS, NEWS_SECONDS * len(self._fleet.workers)) * spread(self.name)
        self.monitor._watched_at -= self._fleet.rng.uniform(0, interval)

    def kill(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._fleet.lost(self)

    async def stop(self) -> None:
        """A graceful end: no new leases, and those held are given up as their shards commit."""
        self.stopping = True
        for shard in list(self.held):
            await asyncio.sleep(self._fleet.rng.uniform(0.0, 1.0))
            if shard in self.held:
                del self.held[shard]
                self._end(shard)
                self._table.own(shard, None, "KCL: owners")
        if self._table.leader == self.name:
            self._table.leader = None
        self.kill()

    async def _late(self, work: Any) -> None:
        await asyncio.sleep(self._fleet.rng.uniform(0.0, 5.0))
        await work()

    async def _renew(self) -> None:
        table = self._table
        while True:
            for shard, counter in list(self.held.items()):
                table.writes["KCL: renewals"] += 1
                if table.rows[shard]["leaseCounter"]["N"] == counter:
                    table.count(shard)
                    self.held[shard] = table.rows[shard]["leaseCounter"]["N"]
                else:
                    del self.held[shard]
                    self._end(shard)
            await asyncio.sleep(RENEWAL)

    def _end(self, shard: str) -> None:
        self.served.discard(shard)
        self._fleet.ended(self, [shard])

    async def _discover(self) -> None:
        while not self.stopping:
            found = self._table.owned.get(self.name, set())
            self._table.reads["KCL: own leases"] += units(len(found) * KEY)  # type: ignore[assignment]
            for shard in sorted(found - self.held.keys()):
                self._table.reads["KCL: own leases"] += units(ROW)  # type: ignore[assignment]
                self.held[shard] = self._table.rows[shard]["leaseCounter"]["N"]
                self._tasks.append(asyncio.create_task(self._serve(shard)))
            await asyncio.sleep(DISCOVERY)

    async def _serve(self, shard: str) -> None:
        await asyncio.sleep(self._fleet.rng.uniform(1.0, 2.0))  # the daemon's next round, the conversation, the claim
        if shard in self.held:
            self.served.add(shard)
            self._fleet.began(self, shard)

    async def _report(self) -> None:
        while True:
            self.reported = self._fleet.now()
            self._table.writes["KCL: reports"] += 1
            await asyncio.sleep(REPORT)

    async def _lead(self) -> None:
        table, now = self._table, self._fleet.now
        while not self.stopping:
            if table.leader is None or (table.leader != self.name and now() - table.leader_seen > LOCK_SECONDS):
                table.leader = self.name
                self._seen.clear()
            if table.leader == self.name:
                table.leader_seen = now()
                self._assign()
            await asyncio.sleep(ROUND if table.leader == self.name else CANDIDACY)

    def _assign(self) -> None:
        """What has no owner, or was not renewed for a lease's life, goes to those with the fewest leases."""
        table, now = self._table, self._fleet.now()
        size = len(table.rows) * ROW + len(self._fleet.workers) * LOAD
        table.reads["KCL: leader"] += units(size)  # type: ignore[assignment]
        due: list[str] = []
        for shard, row in table.rows.items():
            counter = row["leaseCounter"]["N"]
            seen = self._seen.get(shard)
            if not seen or seen[0] != counter:
                seen = self._seen[shard] = counter, now
            if "leaseOwner" not in row or now - seen[1] > LEASE:
                due.append(shard)
        known = [worker.name for worker in self._fleet.known if now - worker.reported <= 2 * REPORT]
        loads = [(len(table.owned.get(name, ())), name) for name in known]
        heapq.heapify(loads)
        for shard in due:
            load, name = loads[0]
            table.own(shard, name, "KCL: assignments")
            heapq.heapreplace(loads, (load + 1, name))


class Fleet:
    """Workers and their lease table; keeps how long shards were not read."""

    def __init__(self, clock: Any, workers: int, shards: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now: Callable[[], float] = clock.time
        self.table = LeaseTable(shards)
        self.known_sets: dict[frozenset[str], Set[str]] = {}
        self.known: list[Worker] = []
        """All that were ever started."""
        self.workers: list[Worker] = []
        for _ in range(workers):
            self.add()
        for number, shard in enumerate(sorted(self.table.rows, key=lambda _: self.rng.random())):
            self.table.own(shard, self.workers[number % workers].name, "KCL: assignments")
        self._reader: dict[str, Worker] = {}
        self.unread: dict[str, float] = {}
        self.gaps: list[float] = []
        """Seconds that shards were not read, of those that are read again."""

    def add(self) -> Worker:
        worker = Worker(self, f"{self.rng.getrandbits(128):032x}")
        self.known.append(worker)
        self.workers.append(worker)
        return worker

    async def replace(self, number: int) -> None:
        """New workers, and in the end as many leases for each as for the others: the KCL balances, in its own time."""
        for _ in range(number):
            self.add().start()
        share = len(self.table.rows) // len(self.workers)
        loads = [(len(self.table.owned.get(worker.name, ())), worker.name) for worker in self.workers]
        heapq.heapify(loads)
        for shard in [shard for worker in self.workers for shard in sorted(worker.held)[max(share, 1) :]]:
            load, poorest = loads[0]
            if load < share:
                self.table.own(shard, poorest, "KCL: assignments")
                heapq.heapreplace(loads, (load + 1, poorest))
        await asyncio.sleep(2 * LEASE)
        await self.recovered()

    def lost(self, worker: Worker) -> None:
        self.workers.remove(worker)
        self.ended(worker, worker.served)

    def ended(self, worker: Worker, shards: Iterable[str]) -> None:
        """A worker reads these no longer; another may do so already."""
        self.unread.update((shard, self.now()) for shard in shards if self._reader.get(shard) is worker)

    def began(self, worker: Worker, shard: str) -> None:
        self._reader[shard] = worker
        if shard in self.unread:
            self.gaps.append(self.now() - self.unread.pop(shard))

    async def recovered(self, limit: float = 600.0) -> list[float]:
        """Waits until all shards are read again; returns for how long each was not. Raises TimeoutError."""
        async with asyncio.timeout(limit):
            while self.unread:  # noqa: ASYNC110 (virtual time)
                await asyncio.sleep(0.1)
        gaps, self.gaps = self.gaps, []
        return gaps
