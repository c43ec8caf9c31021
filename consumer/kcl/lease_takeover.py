"""Pure: which leases of lost workers this one takes over. docs/decisions/0011-lost-leader.md tells why.

A worker's daemon renews each of its leases at a third of the time that a lease lasts, by counting `leaseCounter` up.
A worker all of whose counters have stood still for longer than that is lost, or as good as lost; by the KCL's own rule
its leases are then another's. That rule is the leader's to apply, and if the leader is what was lost, for two minutes
there is none. So every worker applies it, each to a part of the leases. Times are seconds of a clock that only goes
forward.

A lease that is being handed over (it has a `checkpointOwner`, the old owner, who renews it until it lets go) is judged
by its own counter, whatever its owners do otherwise: a daemon that was started again under its worker id renews its
other leases and knows nothing of this one. And it is lost when it goes on for much longer than the KCL lets it, renewed
or not: an old owner that waits for the shard's parents renews it and never lets go.
docs/decisions/0013-ends-and-hand-overs.md tells more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

LOOK_SECONDS: Final = 5.0
"""Seconds between two looks at the lease table."""
MAX_GAP: Final = 2 * LOOK_SECONDS
"""After a longer one, nobody knows what the others did meanwhile: watching begins anew."""
MAX_HAND_OVER: Final = 60.0
"""Seconds, and three lives of a lease: the old owner is told at a renewal, and lets go after 30 s in any case."""

Rows = Mapping[str, Mapping[str, Any]]
"""The lease table's rows by shard."""


Holder = tuple[str, str]
"""Whose counters are judged together: a worker and "", or "" and the one shard whose lease is being handed over."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A lease to take, as it was seen: whoever changes it first has it."""

    shard: str
    owner: str | None
    counter: int
    old_owner: str | None = None
    """The `checkpointOwner` of a hand-over that stands still."""

    @property
    def worker(self) -> str | None:
        """The worker that is lost; None where only a hand-over stands still."""
        return None if self.old_owner else self.owner


class Takeover:
    """What the worker `me` has seen of the others."""

    def __init__(self, me: str, lease_seconds: float) -> None:
        self._me = me
        self._lease_seconds = lease_seconds
        self._seen: dict[str, tuple[int, float]] = {}  # by shard, its counter and since when it shows that
        self._handed: dict[str, tuple[str, float]] = {}  # by shard, who hands it over and since when
        self._still: dict[Holder, float] = {}
        self._looked = -MAX_GAP

    def look(self, rows: Rows, now: float) -> list[Lost]:
        """Called with each look at the table; returns the leases that are ours to take now."""
        if now - self._looked > MAX_GAP:
            self._seen.clear()
            self._handed.clear()
        self._looked = now
        self._seen = {shard: self._since(shard, _counter(row), now) for shard, row in rows.items()}
        self._handed = {
            shard: self._handed_since(shard, row["checkpointOwner"]["S"], now)
            for shard, row in rows.items()
            if "checkpointOwner" in row
        }
        held, me = _held(rows), (self._me, "")
        self._still = still = {holder: self._stands(shards, now) for holder, shards in held.items()}
        # Ours are renewed three times in a lease's life. If they stand still too, the table is at fault, or we are.
        if still.get(me, 0.0) > max(LOOK_SECONDS, self._lease_seconds / 2):
            return []
        lost = {holder for holder, seconds in still.items() if seconds > self._lease_seconds and holder != me}
        candidates = sorted({worker for worker, handed in still.keys() - lost if not handed} | {self._me})
        found = sorted((shard, still[holder]) for holder in lost for shard in held[holder])
        return [
            _lost(shard, rows[shard])
            for index, (shard, seconds) in enumerate(found)
            # From look to look the next in turn, should the first not care.
            if candidates[(index + int((seconds - self._lease_seconds) / LOOK_SECONDS)) % len(candidates)] == self._me
        ]

    def _since(self, shard: str, counter: int, now: float) -> tuple[int, float]:
        seen = self._seen.get(shard)
        return seen if seen and seen[0] == counter else (counter, now)

    def _handed_since(self, shard: str, old_owner: str, now: float) -> tuple[str, float]:
        seen = self._handed.get(shard)
        return seen if seen and seen[0] == old_owner else (old_owner, now)

    def _stands(self, shards: list[str], now: float) -> float:
        """For how many seconds nothing was seen of a holder; a hand-over that lasts too long is as good as that."""
        still = now - max(self._seen[shard][1] for shard in shards)
        handed = max((now - self._handed[shard][1] for shard in shards if shard in self._handed), default=0.0)
        return max(still, handed - MAX_HAND_OVER - 2 * self._lease_seconds)

    @property
    def renewed(self) -> bool:
        """Whether any lease is being renewed: else the table takes no writes, or no worker lives. True, too, where no
        lease has an owner, or none has been looked at."""
        return not self._still or any(seconds <= self._lease_seconds for seconds in self._still.values())

    def unowned(self, rows: Rows) -> set[str]:
        """Of the shards in `rows`, which were looked at last, those that no living worker holds: their lease has no
        owner, or none whose counters have moved for as long as a lease lasts (this worker's too)."""
        held = _held(rows)
        alive = {holder for holder, seconds in self._still.items() if seconds <= self._lease_seconds}
        return rows.keys() - {shard for holder in alive for shard in held.get(holder, ())}


def _held(rows: Rows) -> dict[Holder, list[str]]:
    """The unfinished shards of each holder. Leases without an owner, new ones, are the leader's to assign."""
    held: dict[Holder, list[str]] = {}
    for shard, row in rows.items():
        if row["checkpoint"]["S"] == "SHARD_END":
            continue
        if "checkpointOwner" in row:
            held["", shard] = [shard]
        elif "leaseOwner" in row:
            held.setdefault((row["leaseOwner"]["S"], ""), []).append(shard)
    return held


def _lost(shard: str, row: Mapping[str, Any]) -> Lost:
    owner, old_owner = (row[name]["S"] if name in row else None for name in ("leaseOwner", "checkpointOwner"))
    return Lost(shard, owner, _counter(row), old_owner)


def _counter(row: Mapping[str, Any]) -> int:
    return int(row.get("leaseCounter", {"N": "0"})["N"])
