"""Pure: do archive objects say of themselves what they hold, and do they follow one another?"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

Position = tuple[int, int]  # sequence number, sub-sequence number


@dataclass(slots=True)
class ArchiveObject:
    """An archive object as its lines show it, beside its key and metadata."""

    key: str
    metadata: dict[str, str]
    shard: str | None = None  # of the lines
    first: Position | None = None
    last: Position | None = None
    arrival: int | None = None  # of the first record, ms
    records: int = 0
    rejected: int = 0  # records with rejects
    ordered: bool = True
    one_shard: bool = True
    unreadable: str = ""

    def take(self, shard: str, position: Position, arrival: int | None = None, rejected: bool = False) -> None:
        """Counts one line."""
        if self.last is None:
            self.shard, self.first, self.arrival = shard, position, arrival
        else:
            self.ordered &= position > self.last
            self.one_shard &= shard == self.shard
        self.last = position
        self.records += 1
        self.rejected += rejected

    def faults(self) -> Iterator[str]:
        """What is wrong with this archive object by itself."""
        if self.unreadable:
            yield f"unreadable: {self.unreadable}"
            return
        if self.first is None or self.last is None:
            yield "holds no record"
            return
        if not self.ordered:
            yield "its records are not in the order of their sequence numbers"
        if not self.one_shard:
            yield "holds records of more than one shard"
        shard, _, name = self.key.removesuffix(".ndjson.gz").rpartition("/")
        if not self.key.endswith(".ndjson.gz") or shard.rpartition("/")[2] != self.shard:
            yield f"the key does not name the shard {self.shard}"
        if name != f"{self.first[0]:056d}-{self.first[1]:010d}":
            yield f"the key does not name the first record {text(self.first)}"
        if self.arrival is not None and f"/{hour_of(self.arrival)}/" not in self.key:
            yield f"the key does not name the hour of its first record, {hour_of(self.arrival)}"
        wanted = {"first": text(self.first), "last": text(self.last), "records": str(self.records)}
        for field, value in wanted.items():
            if self.metadata.get(field) != value:
                yield f"metadata {field} is {self.metadata.get(field)}, the lines say {value}"
        dead = self.metadata.get("dead-letters", str(self.rejected))  # objects of earlier versions do not say it
        if dead != str(self.rejected) and not (dead == "none" and not self.rejected):
            yield f"metadata dead-letters is {dead}, {self.rejected} of its lines have rejects"
        if not self.metadata.get("epoch", "").isdecimal():
            yield f"metadata epoch is {self.metadata.get('epoch')}"


def overlaps(archive_objects: Iterable[ArchiveObject]) -> Iterator[str]:
    """Pairs of archive objects of one shard of which one begins before the other ends."""
    by_shard: dict[str, list[ArchiveObject]] = {}
    for archive_object in archive_objects:
        if archive_object.shard is not None:
            by_shard.setdefault(archive_object.shard, []).append(archive_object)
    for members in by_shard.values():
        members.sort(key=lambda p: p.first or (0, 0))
        for before, after in pairwise(members):
            if before.last and after.first and before.last >= after.first:
                yield f"{before.key} ends at {text(before.last)}, {after.key} begins at {text(after.first)}"


def hour_of(arrival: int) -> str:
    """The part of the key that tells when the first record arrived (ms)."""
    return f"{datetime.fromtimestamp(arrival / 1000, UTC):date=%Y-%m-%d/hour=%H}"


def text(position: Position) -> str:
    """As the metadata write it."""
    return f"{position[0]}.{position[1]}"
