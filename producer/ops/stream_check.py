"""One shard's archive objects, one after the other, and its records in the stream beside them. What is found is
yielded; nothing else is changed."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from producer.aws.aggregation import AGGREGATED, unpacked
from producer.aws.stream_reader import StreamRecord, StreamShard
from producer.ops.audit_format import CheckedObject, Position, text

CHILDREN = "at the end of a shard whose children are archived"


class Fault(NamedTuple):
    """So many faults of a kind at one place."""

    kind: str
    place: str
    times: int = 1


class ShardOrder:
    """Whether the archive objects of a shard follow one another, and their records within them.

    `middle`: the audit may begin in the middle of an aggregate.
    """

    def __init__(self, shard: str, middle: bool) -> None:
        self._shard = shard
        self._middle = middle
        self._last: Position | None = None
        self._last_key = ""

    def records(self, before: Position | None, position: Position, key: str) -> Iterator[Fault]:
        """The records of one KPL aggregate are numbered from 0 without a gap. `before`: the position before it in its
        archive object."""
        before = before or self._last
        if before is None and self._middle:
            return
        wanted = before[1] + 1 if before and before[0] == position[0] else 0
        if position[1] > wanted:
            gap = f"{self._shard} {position[0]}.{wanted} up to .{position[1] - 1} of an aggregate"
            yield Fault("record_missing", f"{gap}, before a record in {key}")

    def object(self, checked: CheckedObject) -> Iterator[Fault]:
        """Takes the next archive object, which was read."""
        for fault in checked.faults():
            yield Fault("archive_object_wrong", f"{checked.key}: {fault}")
        if checked.first is None or checked.last is None:
            return
        if self._last and checked.first <= self._last:
            begin = f"{checked.key} begins at {text(checked.first)}"
            yield Fault("archive_object_overlap", f"{self._last_key} ends at {text(self._last)}, {begin}")
        if not self._last or checked.last > self._last:
            self._last, self._last_key = checked.last, checked.key


class StreamCheck:
    """One shard's records in the stream beside its lines in the archive; both go forward only.

    `compared` lines were found in the stream; `waiting` records follow the last line.
    """

    def __init__(self, shard: str, reader: StreamShard, undeliverable: Callable[[bytes], bool]) -> None:
        """`undeliverable` says whether an aggregate's bytes are among those that could not be de-aggregated."""
        self._shard = shard
        self._reader = reader
        self._undeliverable = undeliverable
        self._advance()
        self._first = self._record.sequence if self._record else None
        self._gap: list[StreamRecord] = []  # first and last of the records that are missing here
        self._lost = 0
        self.compared = 0
        self.waiting = 0

    def line(self, position: Position, data: bytes, key: str) -> Iterator[Fault]:
        """Takes the shard's next line."""
        sequence = position[0]
        if self._first is None or sequence < self._first:
            return  # the stream does not keep it any more
        while (record := self._record) and record.sequence < sequence:
            yield from self._unmet(record, f"before {text(position)} in {key}")
            self._advance()
        yield from self._gaps(f"before {text(position)} in {key}")
        if record is None or record.sequence > sequence:
            yield Fault("record_unknown", f"{self._shard} {text(position)} in {key} is not in the stream")
            return
        self._met = position[1] + 1
        self.compared += 1
        if [data] != self._parts[position[1] : self._met]:
            yield Fault("record_different", f"{self._shard} {text(position)} in {key} has other bytes")

    def rest(self, end: int | None, finished: bool) -> Iterator[Fault]:
        """Takes the records up to `end` (ms) that follow the last line. In a finished shard there may be none."""
        while (record := self._record) and (end is None or record.arrival < end):
            if finished:
                yield from self._unmet(record, CHILDREN)
            elif self._met < len(self._parts):
                self.waiting += 1
            self._advance()
        yield from self._gaps(CHILDREN)

    def _advance(self) -> None:
        """To the next record, which is several where it is an aggregate; `_met` of them had their lines."""
        self._record, self._met = self._reader.next(), 0
        self._parts = unpacked(self._record.data) if self._record else []

    def _unmet(self, record: StreamRecord, where: str) -> Iterator[Fault]:
        """What of the record has no line; the records of an aggregate before the last line are looked at by order."""
        if not self._met:
            self._missing(record)
        elif (left := len(self._parts) - self._met) > 0:
            place = f"{self._shard} {record.sequence}.{self._met} up to .{len(self._parts) - 1} of an aggregate"
            yield Fault("record_missing", f"{place}, {where}", left)

    def _missing(self, record: StreamRecord) -> None:
        if record.data.startswith(AGGREGATED) and self._undeliverable(record.data):
            return
        self._gap = [*self._gap[:1], record]
        self._lost += 1

    def _gaps(self, where: str) -> Iterator[Fault]:
        if not self._lost:
            return
        first, last = self._gap[0], self._gap[-1]
        range_ = f"{first.sequence}" + (f" up to {last.sequence}, {self._lost} records" if self._lost > 1 else "")
        if self._lost == 1 and first.data.startswith(AGGREGATED):
            where += ", a KPL aggregate: was it made for another shard?"
        yield Fault("record_missing", f"{self._shard} {range_}, {where}", self._lost)
        self._gap, self._lost = [], 0
