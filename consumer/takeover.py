"""Pure: which leases of lost workers this one takes over. docs/decisions/0011-lost-leader.md tells why.

A worker's daemon renews each of its leases at a third of the time that a lease lasts, by counting `leaseCounter` up.
A worker all of whose counters have stood still for longer than that is lost, or as good as lost; by the KCL's own rule
its leases are then another's. That rule is the leader's to apply, and if the leader is what was lost, for two minutes
there is none. So every worker applies it, each to a part of the leases. Times are seconds of a clock that only goes
forward.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

LOOK: Final = 5.0
"""Seconds between two looks at the lease table."""
LONGEST_GAP: Final = 2 * LOOK
"""After a longer one, nobody knows what the others did meanwhile: watching begins anew."""

Rows = Mapping[str, Mapping[str, Any]]
"""The lease table's rows by shard."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A lease to take, as it was seen: whoever changes it first has it."""

    shard: str
    owner: str
    counter: int


class Takeover:
    """What the worker `me` has seen of the others."""

    def __init__(self, me: str, lease_seconds: float) -> None:
        self._me = me
        self._lease_seconds = lease_seconds
        self._seen: dict[str, tuple[dict[str, int], float]] = {}
        self._still: dict[str, float] = {}
        self._looked = -LONGEST_GAP

    def look(self, rows: Rows, now: float) -> list[Lost]:
        """Called with each look at the table; returns the leases that are ours to take now."""
        if now - self._looked > LONGEST_GAP:
            self._seen.clear()
        self._looked = now
        held = _held(rows)
        counters = {owner: {shard: _counter(rows[shard]) for shard in shards} for owner, shards in held.items()}
        self._seen = {
            owner: self._seen[owner] if owner in self._seen and self._seen[owner][0] == counts else (counts, now)
            for owner, counts in counters.items()
        }
        self._still = still = {owner: now - since for owner, (_, since) in self._seen.items()}
        if still.get(self._me, 0.0) > LOOK:
            return []  # our own stand still too: the table is at fault, or we are
        lost = {owner for owner, seconds in still.items() if seconds > self._lease_seconds and owner != self._me}
        heirs = sorted((still.keys() - lost) | {self._me})
        found = sorted((shard, still[owner]) for owner in lost for shard in held[owner])
        return [
            Lost(shard, rows[shard]["leaseOwner"]["S"], _counter(rows[shard]))
            for index, (shard, seconds) in enumerate(found)
            # From look to look the next in turn, should the first not care.
            if heirs[(index + int((seconds - self._lease_seconds) / LOOK)) % len(heirs)] == self._me
        ]

    def unowned(self, rows: Rows) -> set[str]:
        """Of the shards in `rows`, which were looked at last, those that no living worker holds: their lease has no
        owner, or none whose counters have moved for as long as a lease lasts (this worker's too)."""
        held = _held(rows)
        alive = {owner for owner, seconds in self._still.items() if seconds <= self._lease_seconds}
        return rows.keys() - {shard for owner in alive for shard in held.get(owner, ())}


def _held(rows: Rows) -> dict[str, list[str]]:
    """The unfinished shards of each worker; one that is being handed over is still the old owner's."""
    held: dict[str, list[str]] = {}
    for shard, row in rows.items():
        owner = row.get("checkpointOwner") or row.get("leaseOwner")
        if owner and "leaseOwner" in row and row["checkpoint"]["S"] != "SHARD_END":
            held.setdefault(owner["S"], []).append(shard)
    return held


def _counter(row: Mapping[str, Any]) -> int:
    return int(row.get("leaseCounter", {"N": "0"})["N"])
