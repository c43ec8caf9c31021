"""The audit: is what was published in the stream, the archive, the table, the dead letters and at the subscriber?

It trusts nothing of the consumer but the formats: the ledger says what was sent, the stream itself is read again.
Without a ledger it looks at the archive alone, and at what the stream still keeps of it: integrity.py.
"""

import json
import sqlite3
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from consumer.archive.fence import belongs
from producer.aws.errors import UserError
from producer.aws.stack import Stack
from producer.aws.stream_reader import Stream
from producer.fleet import ledger
from producer.fleet.message import iso_utc, number_of
from producer.ops.alerts import Subscriber, alerts_file, received
from producer.ops.archive_index import Span
from producer.ops.archive_objects import ArchiveObject, overlaps
from producer.ops.archive_reader import DEAD_LETTERS, READINGS, UNDELIVERABLE, Bucket, Line, UnreadableLine, parsed
from producer.ops.comparison import Comparison, Findings, content, normal
from producer.ops.integrity import Counts, inspect

CLOCK_SKEW_MS = 300_000  # between this machine and the services


@dataclass(frozen=True, slots=True)
class Report:
    """Counts by name, findings by kind. `archive objects` is the number of objects read. With `nothing`, a reason,
    there was nothing to compare, which is neither clean nor a fault."""

    counts: dict[str, int]
    findings: Findings
    archive_objects: int
    nothing: str | None = None

    @property
    def ok(self) -> bool:
        """Something was compared, and all of it is right."""
        return not self.findings and not self.nothing

    @property
    def exit_code(self) -> int:
        """0 clean, 1 not, 3 nothing compared."""
        return 1 if self.findings else 3 if self.nothing else 0

    def as_json(self) -> dict[str, Any]:
        return {
            **self.counts,
            "archive_objects": self.archive_objects,
            "findings": self.findings.as_json(),
            "ok": self.ok,
        } | ({"nothing": self.nothing} if self.nothing else {})

    def as_text(self) -> str:
        lines = [f"{name.replace('_', ' '):<24}{count:>12}" for name, count in self.as_json().items() if _shown(count)]
        lines += self.findings.as_lines()
        verdict = f"NOTHING compared: {self.nothing}" if self.nothing else "clean"
        lines += ["", "NOT clean" if self.findings else verdict]
        return "\n".join(lines)


def _shown(count: object) -> bool:
    return isinstance(count, int) and not isinstance(count, bool)


def audit(stack: Stack, ledger_path: Path, wait: float = 0) -> Report:
    """Repeats for up to `wait` seconds until nothing is found. Raises UserError when there is no ledger or no disk."""

    def once() -> Report:
        with tempfile.TemporaryDirectory(prefix="sensorstream-audit-") as folder:
            return _Audit(stack, ledger_path, Path(folder)).run()

    return _until_clean(once, wait)


def audit_archive(stack: Stack, span: Span, with_stream: bool, wait: float = 0) -> Report:
    """Any archive by itself, and beside the stream. Repeats for up to `wait` seconds until nothing is found."""

    def once() -> Report:
        made = inspect(stack, span, with_stream)
        counts = asdict(made.counts)
        return Report(counts, made.findings, counts.pop("archive_objects"), _nothing(made.counts, span))

    return _until_clean(once, wait)


def _nothing(counts: Counts, span: Span) -> str | None:
    """Why nothing was compared; None when something was."""
    if counts.lines:
        return None
    told = "no archive object" + ("" if span == Span() else " of that time")
    if counts.waiting:
        told += f"; {counts.waiting} records wait in the stream for theirs, ask again with --wait"
    return told


def _until_clean(once: Callable[[], Report], wait: float) -> Report:
    deadline = time.monotonic() + wait
    while True:
        try:
            report = once()
        except sqlite3.OperationalError as error:
            raise UserError(f"the audit's temporary database in {tempfile.gettempdir()}: {error}") from None
        if report.ok or time.monotonic() >= deadline:
            return report
        time.sleep(min(2.0, max(0.0, deadline - time.monotonic())))


class _Audit:
    """One pass."""

    def __init__(self, stack: Stack, ledger_path: Path, folder: Path) -> None:
        self._stack = stack
        self._ledger = ledger_path
        self._bucket = Bucket(stack.session, stack.bucket)
        self._all = Comparison(folder)
        self._archive_objects: list[ArchiveObject] = []

    def run(self) -> Report:
        try:
            self._all.add_sent(ledger.read(self._ledger))
            span = self._all.sent_between()
            if span is None:
                raise UserError(f"the ledger {self._ledger} is empty; was anything published?")
            self._read_alerts(self._ledger)
            self._read_archive(span)
            self._all.add_streamed(_stream(self._stack, span[0]))
            self._all.add_rows(_rows(self._stack, list(self._all.keys())))
            counts, findings = self._all.compare()
        finally:
            self._all.close()
        for kind, place in self._archive_object_findings():
            findings.add(kind, place)
        return Report(counts, findings, len(self._archive_objects))

    def _archive_object_findings(self) -> Iterator[tuple[str, str]]:
        yield from (
            ("archive_object_wrong", f"{p.key}: {fault}") for p in self._archive_objects for fault in p.faults()
        )
        yield from (("archive_object_overlap", place) for place in overlaps(self._archive_objects))

    def _read_alerts(self, path: Path) -> None:
        file = alerts_file(path)
        if queue := Subscriber.existing(self._stack, file):
            queue.drain()
        self._all.add_alerts(received(file))

    def _read_archive(self, span: tuple[int, int]) -> None:
        with_content = self._all.changed_on_the_way()
        for key in self._keys(READINGS, span):
            archive_object, lines = self._open(key)
            self._archive_objects.append(archive_object)
            self._all.add_lines(_archived(archive_object, lines, with_content))
        archived = {archive_object.key: archive_object.metadata for archive_object in self._archive_objects}
        for key in self._keys(DEAD_LETTERS, span):
            archive_object, lines = self._open(key)
            if not belongs(archived.get(READINGS + key.removeprefix(DEAD_LETTERS)), archive_object.metadata):
                continue
            self._all.add_dead(_dead(archive_object, lines))
            if archive_object.unreadable:
                self._archive_objects.append(archive_object)

    def _keys(self, prefix: str, span: tuple[int, int]) -> Iterator[str]:
        """Only of the days that the ledger's records can be in; 1970 is where those without an arrival time are."""
        first, last = (datetime.fromtimestamp(ms / 1000, UTC) for ms in span)
        day, end = (first - timedelta(hours=1)).date(), (last + timedelta(days=1)).date()
        days = [date(1970, 1, 1)]
        while day <= end:
            days.append(day)
            day += timedelta(days=1)
        for day in days:
            for item in self._bucket.objects(f"{prefix}date={day}/"):
                if not item.key.startswith(UNDELIVERABLE):
                    yield item.key

    def _open(self, key: str) -> tuple[ArchiveObject, Iterator[bytes]]:
        metadata, lines = self._bucket.open(key)
        return ArchiveObject(key, metadata), lines


Archived = tuple[str, str, int, int | None, str, int, int | None, str]


def _archived(archive_object: ArchiveObject, lines: Iterable[bytes], with_content: bool) -> Iterator[Archived]:
    for line, data in _read(archive_object, lines):
        reasons = ",".join(r.reason for r in line.rejects)
        readings = _content(data) if with_content and not line.rejected else None
        yield (
            line.shard,
            line.sequence_number or "",
            line.sub_sequence_number,
            number_of(data),
            reasons,
            zlib.crc32(data),
            readings,
            archive_object.key,
        )


def _dead(archive_object: ArchiveObject, lines: Iterable[bytes]) -> Iterator[tuple[str, str, int, int | None, str]]:
    for line, data in _read(archive_object, lines):
        yield line.shard, line.sequence_number or "", line.sub_sequence_number, number_of(data), archive_object.key


def _read(archive_object: ArchiveObject, lines: Iterable[bytes]) -> Iterator[tuple[Line, bytes]]:
    """The lines up to the first that cannot be read; what goes by is noted in the archive object."""
    try:
        for line, data in parsed(lines):
            archive_object.take(line.shard, line.position, line.arrival, line.rejected > 0)
            yield line, data
    except UnreadableLine as error:
        archive_object.unreadable = str(error)


def _content(payload: bytes) -> int | None:
    """`content` of the readings in a payload of either shape; None when there are none to be found."""
    try:
        document = json.loads(payload, parse_float=Decimal)
    except ValueError:
        try:
            document = [json.loads(line, parse_float=Decimal) for line in payload.splitlines() if line.strip()]
        except ValueError:
            return None
    try:
        return content(_fields(d) for d in (document if isinstance(document, list) else [document]))
    except (KeyError, TypeError):
        return None


def _fields(document: Any) -> tuple[str, str, str]:
    if "sensorid" in document:
        return document["sensorid"], document["timestamp"], normal(str(document["value"]))
    return document["name"], iso_utc(document["timeStampEpoch"]), normal(str(document["humidity"]))


def _rows(stack: Stack, keys: list[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    """(device, time, value) of the rows of each (device, first time, last time)."""
    pages = stack.session.client("dynamodb").get_paginator("query")
    for device, first, last in keys:
        for page in pages.paginate(
            TableName=stack.table,
            ConsistentRead=True,
            KeyConditionExpression="SensorId = :d AND #t BETWEEN :a AND :b",
            ProjectionExpression="#t, #v",
            ExpressionAttributeNames={"#t": "Timestamp", "#v": "Value"},
            ExpressionAttributeValues={":d": {"S": device}, ":a": {"S": first}, ":b": {"S": last}},
        ):
            for item in page["Items"]:
                yield device, item["Timestamp"]["S"], item["Value"]["N"]


def _stream(stack: Stack, since_ms: int) -> Iterator[tuple[str, str, int | None]]:
    """(shard, sequence number, message number) of the records that came since then, as far as they are still kept."""
    stream = Stream(stack.session, stack.stream)
    for shard in sorted(stream.shards):
        for record in stream.shard(shard, since_ms - CLOCK_SKEW_MS).rest():
            yield shard, str(record.sequence), number_of(record.data)
