"""The fence: who may write an archive object, so that each record stands in exactly one. Pure: no I/O, no clock.

Replays give the same objects (see writer.py), but an idle shard and a shutdown cut shorter, and an owner that was
paused may come back. So an object carries its owner's epoch, and before one takes another's place, `decide` compares
the two. tests/unit/test_fence.py searches all interleavings of small cases; docs/decisions/0002-fence.md has the rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from consumer.archive.format import ObjectMetadata

if TYPE_CHECKING:
    from consumer.record import Position


@dataclass(frozen=True, slots=True)
class Fenced:
    """A newer owner lives, of this epoch: write nothing more, do not checkpoint."""

    name: ClassVar = "fenced"
    epoch: int


@dataclass(frozen=True, slots=True)
class Adopt:
    """The stored object holds more: keep ours open until it has taken the record `last`, then commit again."""

    name: ClassVar = "adopted"
    last: "Position"


@dataclass(frozen=True, slots=True)
class Committed:
    """The object stands there, by our own PUT, as `stored` says."""

    name: ClassVar = "committed"
    stored: ObjectMetadata


@dataclass(frozen=True, slots=True)
class Replace:
    """An older owner's object that we hold wholly: put ours in its place, with this metadata, if it is still the one
    we saw."""

    name: ClassVar = "replaced"
    metadata: ObjectMetadata


Outcome = Committed | Adopt | Fenced
"""What a commit comes to."""


def decide(mine: ObjectMetadata, stored: ObjectMetadata) -> Outcome | Replace:
    """What the owner of `mine` does about the `stored` object of the same key.

    Leaving out any of the rules loses or duplicates records (docs/decisions/0002-fence.md). An equal object of an older
    epoch is replaced too, so that a zombie finds our epoch there. That there were dead letters to write is inherited.
    """
    if stored.epoch > mine.epoch:
        return Fenced(stored.epoch)
    if stored.last > mine.last:
        return Adopt(stored.last)
    if stored.epoch == mine.epoch and stored.last == mine.last:
        return Committed(stored)
    return Replace(replace(mine, dead=0) if mine.dead is None and stored.dead is not None else mine)


def belongs(archived: Mapping[str, str] | None, dead: Mapping[str, str]) -> bool:
    """Whether a dead-letter object is that of the archive object of its key, by the S3 metadata of both.

    The archive object decides: an earlier owner's dead letters, whose object was replaced, count for nothing (their
    records may be good by other settings; the empty object that shuts them out may still be on its way). Where the
    archive object is gone (None), or one of them says nothing, there is no telling, and they count.
    """
    if archived is None or not (archived.get("epoch") and dead.get("epoch")):
        return True
    return all(archived.get(name) == dead.get(name) for name in ("epoch", "last"))
