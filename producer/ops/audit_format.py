"""The archive's format once more, for the audit alone: lines, keys and metadata, and whether they fit together. Pure.

It shares no definition with consumer/archive/format.py on purpose: a check that shares the writer's code cannot find
its faults. Redrive and replay, which check nothing, read by the writer's definitions.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import msgspec

from consumer.archive.format import UnreadableLine
from producer.ops.archive_reader import parsed

READINGS = "readings/"
DEAD_LETTERS = "dead-letters/"
UNDELIVERABLE = DEAD_LETTERS + "date=1970-01-01/hour=00/undeliverable/"
_PAYLOAD = b'"payload":'

Position = tuple[int, int]
"""Sequence number, sub-sequence number."""


class Reject(msgspec.Struct, frozen=True):
    """Why a reading was rejected."""

    reason: str


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """What an audit needs to know of a line; `data` are the original bytes where `payload` is not exactly these."""

    shard: str
    sequence_number: str
    sub_sequence_number: int = 0
    arrival: int | None = None  # ms
    rejected: int = 0
    rejects: list[Reject] = []
    data: bytes | None = None

    @property
    def position(self) -> Position:
        return int(self.sequence_number), self.sub_sequence_number


_decoder = msgspec.json.Decoder(Line)


def parse(text: bytes) -> tuple[Line, bytes]:
    """A line without its line break -> what it says, and the record's original bytes. Raises UnreadableLine."""
    start = text.find(_PAYLOAD)
    if start < 0 or not text.endswith(b"}"):
        raise UnreadableLine("no payload at the end of the line")
    try:
        line = _decoder.decode(text)
        _ = line.position
    except (msgspec.DecodeError, ValueError) as error:
        raise UnreadableLine(str(error)) from None
    return line, text[start + len(_PAYLOAD) : -1] if line.data is None else line.data


@dataclass(slots=True)
class CheckedObject:
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

    def read(self, lines: Iterable[bytes]) -> Iterator[tuple[Line, bytes]]:
        """The lines up to the first that cannot be read, each counted."""
        try:
            for line, data in parsed(lines, parse):
                self.take(line.shard, line.position, line.arrival, line.rejected > 0)
                yield line, data
        except UnreadableLine as error:
            self.unreadable = str(error)

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
        """The faults of this archive object alone."""
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
        yield from self._of_key(self.first)
        wanted = {"first": text(self.first), "last": text(self.last), "records": str(self.records)}
        for field, value in wanted.items():
            if self.metadata.get(field) != value:
                yield f"metadata {field} is {self.metadata.get(field)}, the lines say {value}"
        dead = self.metadata.get("dead-letters", str(self.rejected))  # objects of earlier versions do not say it
        if dead != str(self.rejected) and not (dead == "none" and not self.rejected):
            yield f"metadata dead-letters is {dead}, {self.rejected} of its lines have rejects"
        if not self.metadata.get("epoch", "").isdecimal():
            yield f"metadata epoch is {self.metadata.get('epoch')}"

    def _of_key(self, first: Position) -> Iterator[str]:
        path, _, kind = self.key.partition(".")
        shard, _, name = path.rpartition("/")
        if kind not in ("ndjson.zst", "ndjson.gz") or shard.rpartition("/")[2] != self.shard:
            yield f"the key does not name the shard {self.shard}"
        if name != f"{first[0]:056d}-{first[1]:010d}":
            yield f"the key does not name the first record {text(first)}"
        if self.arrival is not None:
            hour = f"{datetime.fromtimestamp(self.arrival / 1000, UTC):date=%Y-%m-%d/hour=%H}"
            if f"/{hour}/" not in self.key:
                yield f"the key does not name the hour of its first record, {hour}"


def overlaps(objects: Iterable[CheckedObject]) -> Iterator[str]:
    """Pairs of archive objects of one shard of which one begins before the other ends."""
    by_shard: dict[str, list[CheckedObject]] = {}
    for checked in objects:
        if checked.shard is not None:
            by_shard.setdefault(checked.shard, []).append(checked)
    for members in by_shard.values():
        members.sort(key=lambda p: p.first or (0, 0))
        for before, after in pairwise(members):
            if before.last and after.first and before.last >= after.first:
                yield f"{before.key} ends at {text(before.last)}, {after.key} begins at {text(after.first)}"


def text(position: Position) -> str:
    """As the metadata write it."""
    return f"{position[0]}.{position[1]}"


def undeliverable_key(data: bytes) -> str:
    """Where a record stands that the KCL could not de-aggregate."""
    return f"{UNDELIVERABLE}{hashlib.sha256(data).hexdigest()}.ndjson.gz"
