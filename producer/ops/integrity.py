"""Is the archive whole? Every archive object is read, in the order of its shard, and compared with what the stream
still keeps.

In bounded memory: of what was read only the shard's last position is held, and the rejects of the archive object in
hand.
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from consumer.archive.fence import belongs
from consumer.archive.format import UnreadableLine
from producer.aws.stack import Stack
from producer.aws.stream_reader import Stream
from producer.ops.archive_index import ArchiveIndex, Item, Span
from producer.ops.archive_reader import Bucket, Opened, parsed
from producer.ops.audit_format import (
    DEAD_LETTERS,
    READINGS,
    CheckedObject,
    Position,
    parse,
    text,
    undeliverable_key,
)
from producer.ops.comparison import Findings
from producer.ops.stream_check import Fault, ShardOrder, StreamCheck
from producer.terminal import StatusLine

Rejected = dict[Position, int]
"""CRC-32 of the bytes of each rejected record."""


@dataclass(slots=True)
class Counts:
    """What was looked at. `compared` lines were found in the stream again; `waiting` records of the stream follow the
    last archive object of their shard; `outdated` dead-letter objects are of an owner whose archive object was
    replaced."""

    archive_objects: int = 0
    lines: int = 0
    dead_letters: int = 0
    compared: int = 0
    waiting: int = 0
    outdated: int = 0


class Inspection:
    """One pass over a bucket, and over the stream if it is `with_stream`. Fills `counts` and `findings`."""

    def __init__(self, stack: Stack, span: Span, with_stream: bool) -> None:
        self._bucket = Bucket(stack.session, stack.bucket)
        self._stream = Stream(stack.session, stack.stream) if with_stream else None
        self._span = span
        self.counts = Counts()
        self.findings = Findings()
        days = self._bucket.days_kept(DEAD_LETTERS)
        oldest = datetime.now(UTC) - timedelta(days=days) if days is not None else None
        self._dead_letters_since = f"{oldest:%Y-%m-%d %Hh}" if oldest else ""  # those of earlier hours are not kept

    def run(self) -> None:
        # The dead letters are listed last: an archive object that was listed has had the time to get its own.
        with StatusLine() as line, ArchiveIndex(self._bucket, READINGS, self._span) as index:
            archived = index.shards()
            parents = self._stream.parents if self._stream else ()
            finished = {parent for child, parent in parents if child in archived}  # so they must be archived, too
            with ArchiveIndex(self._bucket, DEAD_LETTERS, self._span) as dead:
                for key in index.unexpected_keys():
                    self.findings.add("archive_object_wrong", f"{key}: not an archive object's key")
                opened = self._bucket.open_each(index.by_shard())
                for shard, objects in groupby(opened, lambda each: each[0].shard):
                    stream = self._beside(shard)
                    for item, checked, rejected in self._objects(shard, objects, stream):
                        if not checked.unreadable:
                            self._found(self._dead_letters(item, checked.metadata, rejected, dead))
                        line.say(lambda: self._told(index.objects))
                    self._end(stream, shard in finished)
                self._found(_unexpected(index, dead))
            for shard in sorted(self._stream.shards - archived) if self._stream else ():
                self._end(self._beside(shard), shard in finished)

    def _found(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self.findings.add(*fault)

    def _told(self, objects: int) -> str:
        done = self.counts
        return f"{done.archive_objects} of {objects} objects, {done.lines} lines; findings: {len(self.findings)}"

    def _beside(self, shard: str) -> StreamCheck | None:
        """None where the stream has no such shard any more, or is left alone."""
        if not self._stream or shard not in self._stream.shards:
            return None
        reader = self._stream.shard(shard, self._span.start)
        return StreamCheck(shard, reader, lambda data: self._bucket.exists(undeliverable_key(data)))

    def _end(self, stream: StreamCheck | None, finished: bool) -> None:
        if stream:
            self._found(stream.rest(self._span.end, finished))
            self.counts.compared += stream.compared
            self.counts.waiting += stream.waiting

    def _objects(
        self, shard: str, objects: Iterable[tuple[Item, Opened]], stream: StreamCheck | None
    ) -> Iterator[tuple[Item, CheckedObject, Rejected]]:
        """Reads and checks the archive objects of a shard."""
        order = ShardOrder(shard, self._span.start is not None)
        for item, (metadata, lines) in objects:
            checked = CheckedObject(item.key, metadata)
            rejected: Rejected = {}
            before: Position | None = None
            for line, data in checked.read(lines):
                self._found(order.records(before, line.position, item.key))
                if line.rejected:
                    rejected[line.position] = zlib.crc32(data)
                if stream:
                    self._found(stream.line(line.position, data, item.key))
                before = line.position
            self._found(order.object(checked))
            self.counts.archive_objects += 1
            self.counts.lines += checked.records
            yield item, checked, rejected

    def _dead_letters(
        self, item: Item, metadata: dict[str, str], rejected: Rejected, dead: ArchiveIndex
    ) -> Iterator[Fault]:
        """An archive object's rejected records must stand once more in the dead-letter object of its name, and nothing
        else.

        The object of an earlier owner counts as if it were not there.
        """
        key = DEAD_LETTERS + item.key.removeprefix(READINGS)
        there = dead.has(key)
        if not there and item.hour < self._dead_letters_since:
            return
        found: Rejected = {}
        if there:
            try:
                opened = self._bucket.open(key)
                if not belongs(metadata, opened.metadata):
                    metadata, rejected = self._anew(item.key)
                if belongs(metadata, opened.metadata):
                    found = {line.position: zlib.crc32(data) for line, data in parsed(opened.lines, parse)}
                else:
                    self.counts.outdated += 1
            except UnreadableLine as error:
                yield Fault("dead_letters_wrong", f"{key}: unreadable: {error}")
                return
        self.counts.dead_letters += len(found)
        for position in rejected.keys() - found.keys():
            yield Fault("dead_letter_missing", f"{item.shard} {text(position)} of {item.key}")
        for position in found.keys() - rejected.keys():
            yield Fault("dead_letter_unexpected", f"{item.shard} {text(position)} in {key}")
        for position in found.keys() & rejected.keys():
            if found[position] != rejected[position]:
                yield Fault("dead_letters_wrong", f"{item.shard} {text(position)} in {key}: other bytes")

    def _anew(self, key: str) -> tuple[dict[str, str], Rejected]:
        """An archive object's metadata and rejected records as they are now: it may have been replaced since it was
        read."""
        metadata, lines = self._bucket.open(key)
        return metadata, {line.position: zlib.crc32(data) for line, data in parsed(lines, parse) if line.rejected}


def _unexpected(index: ArchiveIndex, dead: ArchiveIndex) -> Iterator[Fault]:
    for item in dead.by_shard():
        if not index.has(READINGS + item.key.removeprefix(DEAD_LETTERS)):
            yield Fault("dead_letter_unexpected", f"{item.key}: there is no such archive object")
    for key in dead.unexpected_keys():
        yield Fault("dead_letters_wrong", f"{key}: not an archive object's name")
