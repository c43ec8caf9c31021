"""The fence: who may write an archive object, so that each record stands in exactly one. Pure: no I/O, no clock.

Replays give the same objects (see writer.py), but an idle shard and a shutdown cut shorter, and an owner that was
paused may come back. So an object carries its owner's epoch, and before one takes another's place, `decide` compares
the two. tests/unit/test_fence.py searches all interleavings of small cases; docs/decisions/0002-fence.md has the proof.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum

from consumer.archive.format import ObjectMetadata


class Verdict(Enum):
    """What to do with an archive object whose object exists already."""

    FENCED = "fenced"
    """A newer owner lives: write nothing more, do not checkpoint."""
    ADOPT = "adopted"
    """The object holds more: keep the archive object open until it has taken the object's last record, then commit
    again."""
    COMMITTED = "committed"
    """It is our own PUT, whose answer was lost."""
    REPLACE = "replaced"
    """An older owner's object that we hold wholly: put ours in its place, if it is still the one we saw."""


def decide(mine: ObjectMetadata, stored: ObjectMetadata) -> Verdict:
    """The fence: what the owner of `mine` does about the `stored` object of the same key.

    Leaving out any of the rules loses or duplicates records (docs/decisions/0002-fence.md). An equal object of an older
    epoch is replaced too, so that a zombie finds our epoch there.
    """
    if stored.epoch > mine.epoch:
        return Verdict.FENCED
    if stored.last > mine.last:
        return Verdict.ADOPT
    if stored.epoch == mine.epoch and stored.last == mine.last:
        return Verdict.COMMITTED
    return Verdict.REPLACE


def taking_place_of(mine: ObjectMetadata, stored: ObjectMetadata) -> ObjectMetadata:
    """The metadata of `mine` when it replaces `stored`: that there were dead letters to write is inherited."""
    return mine if mine.dead is not None or stored.dead is None else replace(mine, dead=0)


def belongs(archived: Mapping[str, str] | None, dead: Mapping[str, str]) -> bool:
    """Whether a dead-letter object is that of the archive object of its key, by the S3 metadata of both.

    The archive object decides: an earlier owner's dead letters, whose object was replaced, count for nothing (their
    records may be good by other settings; the empty object that shuts them out may still be on its way). Where the
    archive object is gone (None), or one of them says nothing, there is no telling, and they count.
    """
    if archived is None or not (archived.get("epoch") and dead.get("epoch")):
        return True
    return all(archived.get(name) == dead.get(name) for name in ("epoch", "last"))
