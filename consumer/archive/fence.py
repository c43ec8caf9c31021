"""The fence: who may write an archive object, so that each record is in exactly one. Pure: no I/O, no clock.

Replays give the same objects (see writer.py), except that an idle shard and a shutdown close them early, and an owner
that was paused may come back. So an object carries its owner's epoch, and before one object replaces another, `decide`
compares the two. tests/unit/test_fence.py searches all interleavings of small cases; docs/decisions/0002-fence.md has
the rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from consumer.archive.format import ObjectMetadata

if TYPE_CHECKING:
    from consumer.record import Position


@dataclass(frozen=True, slots=True)
class Fenced:
    """There is a newer owner, with this epoch: write nothing more, do not checkpoint."""

    name: ClassVar = "fenced"
    epoch: int


@dataclass(frozen=True, slots=True)
class Adopt:
    """The stored object holds more records: keep ours open until it holds the record `last`, then commit again."""

    name: ClassVar = "adopted"
    last: "Position"


@dataclass(frozen=True, slots=True)
class Committed:
    """The object is in the archive, by our own PUT, with the metadata `stored`."""

    name: ClassVar = "committed"
    stored: ObjectMetadata


@dataclass(frozen=True, slots=True)
class Replace:
    """The stored object is an older owner's, and ours holds all its records: replace it with ours, with this metadata,
    if it has not changed since."""

    name: ClassVar = "replaced"
    metadata: ObjectMetadata


Outcome = Committed | Adopt | Fenced
"""The outcome of a commit."""


def decide(mine: ObjectMetadata, stored: ObjectMetadata) -> Outcome | Replace:
    """What the owner of `mine` does about the `stored` object of the same key.

    Each rule prevents the loss or duplication of records (docs/decisions/0002-fence.md). An equal object of an older
    epoch is replaced, too, so that a paused owner that comes back finds our epoch. If the stored object had dead
    letters, the new one inherits that.
    """
    if stored.epoch > mine.epoch:
        return Fenced(stored.epoch)
    if stored.last > mine.last:
        return Adopt(stored.last)
    if stored.epoch == mine.epoch and stored.last == mine.last:
        return Committed(stored)
    return Replace(replace(mine, dead=0) if mine.dead is None and stored.dead is not None else mine)


def belongs(archived: Mapping[str, str] | None, dead: Mapping[str, str]) -> bool:
    """Whether a dead-letter object belongs to the archive object of its key, by the S3 metadata of both.

    The archive object decides: dead letters of an earlier owner, whose object was replaced, are void (their records may
    be valid under other settings; the empty object that overwrites them may not be written yet). Where the archive
    object is missing (None), or the metadata of one are missing, they count as valid.
    """
    if archived is None or not (archived.get("epoch") and dead.get("epoch")):
        return True
    return all(archived.get(name) == dead.get(name) for name in ("epoch", "last"))
