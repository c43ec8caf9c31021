"""Is the archive whole? Every archive object is read, in the order of its shard, and compared with what the stream
still keeps.

In bounded memory: of what was read only the shard's last position is held, and the rejects of the archive object in
hand.
"""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from consumer.archive.fence import belongs
from producer.aws.stack import Stack
from producer.aws.stream_reader import AGGREGATED, Stream, StreamRecord
from producer.ops.archive_index import ArchiveIndex, Item, Span
from producer.ops.archive_objects import ArchiveObject, Position, text
from producer.ops.archive_reader import DEAD_LETTERS, READINGS, UNDELIVERABLE, Bucket, UnreadableLine, parsed
from producer.ops.comparison import Findings
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


@dataclass(slots=True)
class Inspection:
    """One pass over a bucket; `stream` None leaves the stream alone."""

    bucket: Bucket
    stream: Stream | None
    span: Span
    counts: Counts = field(default_factory=Counts)
    findings: Findings = field(default_factory=Findings)
    finished: set[str] = field(default_factory=set)  # shards whose children are archived, so they must be, too
    _line: StatusLine = field(default_factory=StatusLine)
    _shard: "_Shard | None" = None
    _dead_letters_since: str = ""  # those of earlier hours are no longer kept

    def run(self) -> None:
        """Fills `counts` and `findings`."""
        days = self.bucket.days_kept(DEAD_LETTERS)
        if days is not None:
            self._dead_letters_since = f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%d %Hh}"
        # The dead letters are listed last: an archive object that was listed has had the time to get its own.
        with self._line, ArchiveIndex(self.bucket, READINGS, self.span) as archive_objects:
            archived = archive_objects.shards()
            if self.stream:
                self.finished = {p for child, p in self.stream.parents if child in archived}
            with ArchiveIndex(self.bucket, DEAD_LETTERS, self.span) as dead:
                self._read(archive_objects, dead)
                self._unexpected(archive_objects, dead)
            for shard in sorted(self.stream.shards - archived) if self.stream else ():
                self.counts.waiting += _Beside(shard, self).rest()

    def _read(self, archive_objects: ArchiveIndex, dead: ArchiveIndex) -> None:
        for key in archive_objects.unexpected_keys():
            self.findings.add("archive_object_wrong", f"{key}: not an archive object's key")
        for item, (metadata, lines) in self.bucket.open_each(archive_objects.by_shard()):
            if self._shard is None or self._shard.name != item.shard:
                self._end_shard()
                self._shard = _Shard(item.shard, self)
            archive_object = ArchiveObject(item.key, metadata)
            rejected = self._shard.read(archive_object, lines)
            self.counts.archive_objects += 1
            if not archive_object.unreadable:
                self._dead_letters(item, metadata, rejected, dead)
            self._line.say(lambda: self._told(archive_objects.objects))
        self._end_shard()

    def _told(self, archive_objects: int) -> str:
        done = self.counts
        return (
            f"{done.archive_objects} of {archive_objects} objects, {done.lines} lines; findings: {len(self.findings)}"
        )

    def _end_shard(self) -> None:
        if self._shard:
            self.counts.waiting += self._shard.end()

    def _dead_letters(self, item: Item, metadata: dict[str, str], rejected: Rejected, dead: ArchiveIndex) -> None:
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
                opened = self.bucket.open(key)
                if not belongs(metadata, opened.metadata):
                    metadata, rejected = self._anew(item.key)
                if belongs(metadata, opened.metadata):
                    found = {line.position: zlib.crc32(data) for line, data in parsed(opened.lines)}
                else:
                    self.counts.outdated += 1
            except UnreadableLine as error:
                self.findings.add("dead_letters_wrong", f"{key}: unreadable: {error}")
                return
        self.counts.dead_letters += len(found)
        for position in rejected.keys() - found.keys():
            self.findings.add("dead_letter_missing", f"{item.shard} {text(position)} of {item.key}")
        for position in found.keys() - rejected.keys():
            self.findings.add("dead_letter_unexpected", f"{item.shard} {text(position)} in {key}")
        for position in found.keys() & rejected.keys():
            if found[position] != rejected[position]:
                self.findings.add("dead_letters_wrong", f"{item.shard} {text(position)} in {key}: other bytes")

    def _anew(self, key: str) -> tuple[dict[str, str], Rejected]:
        """An archive object's metadata and rejected records as they are now: it may have been replaced since it was
        read."""
        metadata, lines = self.bucket.open(key)
        return metadata, {line.position: zlib.crc32(data) for line, data in parsed(lines) if line.rejected}

    def _unexpected(self, archive_objects: ArchiveIndex, dead: ArchiveIndex) -> None:
        for item in dead.by_shard():
            if not archive_objects.has(READINGS + item.key.removeprefix(DEAD_LETTERS)):
                self.findings.add("dead_letter_unexpected", f"{item.key}: there is no such archive object")
        for key in dead.unexpected_keys():
            self.findings.add("dead_letters_wrong", f"{key}: not an archive object's name")


class _Shard:
    """The archive objects of one shard, one after the other."""

    def __init__(self, name: str, all_of_it: Inspection) -> None:
        self.name = name
        self._all = all_of_it
        self._last: Position | None = None
        self._last_key = ""
        self._stream: _Beside | None = None
        if all_of_it.stream and name in all_of_it.stream.shards:
            self._stream = _Beside(name, all_of_it)

    def read(self, archive_object: ArchiveObject, lines: Iterator[bytes]) -> Rejected:
        """Checks one archive object and its place; returns its rejected records."""
        rejected: Rejected = {}
        before = self._last
        try:
            for line, data in parsed(lines):
                position = line.position
                archive_object.take(line.shard, position, line.arrival, line.rejected > 0)
                if position[1] or (before and position[0] == before[0]):
                    self._sub(before, position, archive_object.key)
                before = position
                if line.rejected:
                    rejected[position] = zlib.crc32(data)
                if self._stream:
                    self._stream.line(position, data, archive_object.key)
        except UnreadableLine as error:
            archive_object.unreadable = str(error)
        self._all.counts.lines += archive_object.records
        for fault in archive_object.faults():
            self._all.findings.add("archive_object_wrong", f"{archive_object.key}: {fault}")
        self._place(archive_object)
        return rejected

    def _place(self, archive_object: ArchiveObject) -> None:
        if archive_object.first is None or archive_object.last is None:
            return
        if self._last and archive_object.first <= self._last:
            begin = f"{archive_object.key} begins at {text(archive_object.first)}"
            place = f"{self._last_key} ends at {text(self._last)}, {begin}"
            self._all.findings.add("archive_object_overlap", place)
        if not self._last or archive_object.last > self._last:
            self._last, self._last_key = archive_object.last, archive_object.key

    def _sub(self, before: Position | None, position: Position, key: str) -> None:
        """The records of one KPL aggregate are numbered from 0 without a gap."""
        if before is None and self._all.span.start is not None:
            return  # the audit begins in the middle of it
        wanted = before[1] + 1 if before and before[0] == position[0] else 0
        if position[1] > wanted:
            gap = f"{self.name} {position[0]}.{wanted} up to .{position[1] - 1} of an aggregate"
            self._all.findings.add("record_missing", f"{gap}, before a record in {key}")

    def end(self) -> int:
        """After the last archive object: how many records the stream has beyond it."""
        return self._stream.rest() if self._stream else 0


class _Beside:
    """One shard's records in the stream beside its lines in the archive; both go forward only."""

    def __init__(self, shard: str, all_of_it: Inspection) -> None:
        assert all_of_it.stream  # noqa: S101
        self._shard = shard
        self._all = all_of_it
        self._reader = all_of_it.stream.shard(shard, all_of_it.span.start)
        self._record = self._reader.next()
        self._first = self._record.sequence if self._record else None
        self._met = False  # the record has a line
        self._gap: list[StreamRecord] = []  # first and last of the records that are missing here
        self._lost = 0

    def line(self, position: Position, data: bytes, key: str) -> None:
        """Takes the shard's next line."""
        sequence = position[0]
        if self._first is None or sequence < self._first:
            return  # the stream does not keep it any more
        while (record := self._record) and record.sequence < sequence:
            if not self._met:
                self._missing(record)
            self._advance()
        if self._lost:
            self._tell_gap(f"before {text(position)} in {key}")
        if record is None or record.sequence > sequence:
            self._all.findings.add("record_unknown", f"{self._shard} {text(position)} in {key} is not in the stream")
            return
        self._met = True
        self._all.counts.compared += 1
        if data != record.data and not record.data.startswith(AGGREGATED):
            self._all.findings.add("record_different", f"{self._shard} {text(position)} in {key} has other bytes")

    def rest(self) -> int:
        """How many records follow the last line. In a finished shard there may be none."""
        count = 0
        end = self._all.span.end
        while (record := self._record) and (end is None or record.arrival < end):
            if not self._met and self._shard in self._all.finished:
                self._missing(record)
            elif not self._met:
                count += 1
            self._advance()
        if self._lost:
            self._tell_gap("at the end of a shard whose children are archived")
        return count

    def _advance(self) -> None:
        self._record, self._met = self._reader.next(), False

    def _missing(self, record: StreamRecord) -> None:
        if record.data.startswith(AGGREGATED):
            name = f"{UNDELIVERABLE}{hashlib.sha256(record.data).hexdigest()}.ndjson.gz"
            if self._all.bucket.exists(name):
                return
        self._gap = [*self._gap[:1], record]
        self._lost += 1

    def _tell_gap(self, where: str) -> None:
        first, last = self._gap[0], self._gap[-1]
        range_ = f"{first.sequence}" + (f" up to {last.sequence}, {self._lost} records" if self._lost > 1 else "")
        if self._lost == 1 and first.data.startswith(AGGREGATED):
            where += ", a KPL aggregate: was it made for another shard?"
        self._all.findings.add("record_missing", f"{self._shard} {range_}, {where}", self._lost)
        self._gap, self._lost = [], 0


def inspect(stack: Stack, span: Span, with_stream: bool) -> Inspection:
    """Reads the whole archive of a span. Raises UserError when there is none."""
    made = Inspection(
        Bucket(stack.session, stack.bucket), Stream(stack.session, stack.stream) if with_stream else None, span
    )
    made.run()
    return made
