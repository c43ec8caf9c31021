"""Pure: decides which leases of lost workers this one takes over. docs/decisions/0011-lost-leader.md says why.

A worker's daemon renews each of its leases three times per lease duration by incrementing `leaseCounter`. A worker none
of whose counters has changed for longer than the lease duration is considered lost; by the KCL's own rule its leases
then go to other workers. In the KCL only the leader applies that rule, and if the leader was lost, there is none for
two minutes. So the workers that watch (lease_watch.py) apply it, and share the leases among all workers, as the leader
would. Times are seconds of a monotonic clock.

A lease that is being handed over (it has a `checkpointOwner`, the old owner, who renews it until it releases it) is
judged by its own counter, whatever its owners' other leases show: a daemon that was restarted under its worker id
renews its other leases and does not know this one. It is also considered lost when the hand-over takes much longer
than the KCL allows, renewed or not: an old owner that waits for the shard's parents renews it and never releases it.
See docs/decisions/0013-ends-and-hand-overs.md.
"""

from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

LOOK_SECONDS: Final = 5.0
"""Seconds between two looks at the lease table."""
MAX_GAP: Final = 2 * LOOK_SECONDS
"""Seconds between two looks after which the earlier ones are forgotten: changes in between may have been missed."""
MAX_HAND_OVER: Final = 60.0
"""Seconds, plus three lease durations, that a hand-over may take: the old owner notices it at a renewal, and releases
the lease after 30 s at the latest."""

Rows = Mapping[str, Mapping[str, Any]]
"""The lease table's rows by shard."""


Holder = tuple[str, str]
"""Leases whose counters are judged together: (worker, ""), or ("", shard) for a lease that is being handed over."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A lease to take over, as it was last seen: the first change of it is the only one that succeeds."""

    shard: str
    owner: str | None
    counter: int
    new_owner: str
    old_owner: str | None = None
    """The `checkpointOwner` of a hand-over that makes no progress."""

    @property
    def worker(self) -> str | None:
        """The lost worker; None where only a hand-over makes no progress."""
        return None if self.old_owner else self.owner


class Takeover:
    """What the worker `me` has seen of the other workers' leases."""

    workers: Set[str] = frozenset()
    """The living workers that had a lease at the last look."""

    def __init__(self, me: str, lease_seconds: float) -> None:
        self._me = me
        self._lease_seconds = lease_seconds
        self._recently = max(LOOK_SECONDS, lease_seconds / 2)  # a lease is renewed three times in its life
        self._seen: dict[str, tuple[str, float]] = {}  # by shard, its counter and since when it has that value
        self._handed: dict[str, tuple[str, float]] = {}  # by shard, its old owner and since when it is handed over
        self._held: dict[Holder, list[str]] = {}
        self._still: dict[Holder, float] = {}
        self._looked = -MAX_GAP

    def look(self, rows: Rows, now: float) -> list[Lost]:
        """Called with each look at the table; returns the leases to take over now, shared among all living workers."""
        if now - self._looked > MAX_GAP:
            self._seen.clear()
            self._handed.clear()
        self._looked = now
        self._seen = {shard: self._counter_since(shard, row, now) for shard, row in rows.items()}
        self._handed = {
            shard: self._handed_since(shard, row["checkpointOwner"]["S"], now)
            for shard, row in rows.items()
            if "checkpointOwner" in row
        }
        self._held = held = _held(rows)
        me = (self._me, "")
        self._still = still = {holder: self._still_for(shards, now) for holder, shards in held.items()}
        lost = {holder for holder, seconds in still.items() if seconds > self._lease_seconds and holder != me}
        self.workers = frozenset(worker for worker, _ in still.keys() - lost if worker)
        if still.get(me, 0.0) > self._recently:  # the fault is the table's or our own
            return []
        heirs = sorted(
            {worker for worker in self.workers if still[worker, ""] <= self._recently} | {self._me},
            key=lambda worker: (len(held.get((worker, ""), ())), worker),
        )
        found = sorted(shard for holder in lost for shard in held[holder])
        return [_lost(shard, rows[shard], heirs[index % len(heirs)]) for index, shard in enumerate(found)]

    def lease_of(self, worker: str) -> str | None:
        """One of the leases that a worker held at the last look."""
        return next(iter(self._held.get((worker, ""), ())), None)

    def alive(self, worker: str, row: Mapping[str, Any], now: float) -> bool:
        """Whether `lease_of` a worker, as it is read between two looks, shows that the worker renews it."""
        if row.get("leaseOwner") != {"S": worker}:
            return False
        shard = row["leaseKey"]["S"]
        self._seen[shard] = seen = self._counter_since(shard, row, now)
        return now - seen[1] <= self._recently

    def _counter_since(self, shard: str, row: Mapping[str, Any], now: float) -> tuple[str, float]:
        counter = row["leaseCounter"]["N"] if "leaseCounter" in row else "0"
        seen = self._seen.get(shard)
        return seen if seen and seen[0] == counter else (counter, now)

    def _handed_since(self, shard: str, old_owner: str, now: float) -> tuple[str, float]:
        seen = self._handed.get(shard)
        return seen if seen and seen[0] == old_owner else (old_owner, now)

    def _still_for(self, shards: list[str], now: float) -> float:
        """Seconds since a holder's last sign of life; a hand-over that takes too long counts as if there were none."""
        still = now - max([self._seen[shard][1] for shard in shards])
        handed = max([now - self._handed[shard][1] for shard in shards if shard in self._handed], default=0.0)
        return max(still, handed - MAX_HAND_OVER - 2 * self._lease_seconds)

    @property
    def renewed(self) -> bool:
        """Whether any lease is being renewed; if not, the table takes no writes, or no worker is alive. Also True where
        no lease has an owner, or the table has not been read yet."""
        return not self._still or any(seconds <= self._lease_seconds for seconds in self._still.values())

    @property
    def held(self) -> set[str]:
        """The shards that a living worker held at the last look: their lease has an owner whose counters have changed
        within a lease duration."""
        alive = [holder for holder, seconds in self._still.items() if seconds <= self._lease_seconds]
        return {shard for holder in alive for shard in self._held[holder]}


def _held(rows: Rows) -> dict[Holder, list[str]]:
    """The unfinished shards of each holder, without new leases, which have no owner: the leader assigns those."""
    held: defaultdict[Holder, list[str]] = defaultdict(list)
    for shard, row in rows.items():
        if row["checkpoint"]["S"] == "SHARD_END":
            continue
        if "checkpointOwner" in row:
            held["", shard] = [shard]
        elif "leaseOwner" in row:
            held[row["leaseOwner"]["S"], ""].append(shard)
    return held


def _lost(shard: str, row: Mapping[str, Any], new_owner: str) -> Lost:
    owner, old_owner = (row[name]["S"] if name in row else None for name in ("leaseOwner", "checkpointOwner"))
    return Lost(shard, owner, int(row.get("leaseCounter", {"N": "0"})["N"]), new_owner, old_owner)
