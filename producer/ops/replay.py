"""Archived records once more: into the table, as the consumer writes them, or into another stream, byte for byte.

The order is the stream's (index.by_time), one record after the other through all shards, so that of two readings
with one key the later one has the row, as before.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

from consumer.archive.format import READINGS, Line, UnreadableLine, parse_line, position_text
from consumer.aws.clients import Clients
from consumer.payload.decode import decode
from consumer.settings import Settings
from consumer.sinks.rows import Arrived
from consumer.sinks.table import Table, expiry
from consumer.telemetry.metrics import Metrics, total
from producer.aws.errors import UserError
from producer.aws.pace import Pace
from producer.aws.put_records import Outgoing, Sender
from producer.aws.stack import Stack
from producer.ops.archive_index import ArchiveIndex, Item, Span
from producer.ops.archive_reader import Bucket, parsed
from producer.ops.comparison import Findings
from producer.terminal import StatusLine

CHUNK = 2000  # readings that are written at once; the next ones wait until they are durable


@dataclass(slots=True)
class Replayed:
    """What a replay did. `expired` counts readings whose rows the table would have forgotten by now, `otherwise`
    records that give other rejects than when they were archived: they are read with other settings now. `not_counted`
    are archive objects from before there were rollups."""

    target: str
    archive_objects: int = 0
    records: int = 0
    readings: int = 0
    rows: int = 0
    rejected: int = 0
    expired: int = 0
    otherwise: int = 0
    repeated: int = 0
    not_counted: int = 0
    findings: Findings = field(default_factory=Findings)

    @property
    def ok(self) -> bool:
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        counts = {each.name: getattr(self, each.name) for each in fields(self) if each.type is int}
        return {"target": self.target, **counts, "findings": self.findings.as_json(), "ok": self.ok}

    def as_text(self) -> str:
        lines = [f"{self.records} records of {self.archive_objects} archive objects to {self.target}"]
        if self.readings or self.rejected:
            lines.append(f"{self.readings} readings, {self.rows} rows written, {self.rejected} readings rejected")
        if self.expired:
            lines.append(
                f"{self.expired} readings left out: their rows have expired (without days to keep them they stay)"
            )
        if self.otherwise:
            lines.append(
                f"{self.otherwise} records are read otherwise than when they were archived: by other contracts"
            )
        if self.not_counted:
            lines.append(f"{self.not_counted} archive objects left out: they are not counted in rollups")
        if self.repeated:
            lines.append(f"{self.repeated} records may be in the stream twice: their first answer was lost")
        return "\n".join([*lines, *self.findings.as_lines()])


class Source:
    """The records of a span in the order of the stream. Keeps the report's counts and shows the progress."""

    def __init__(self, stack: Stack, span: Span, report: Replayed) -> None:
        self._bucket = Bucket(stack.session, stack.bucket)
        self._span = span
        self._report = report
        self._line = StatusLine()

    def records(self) -> Iterator[tuple[Line, bytes]]:
        """Raises UserError when the archive has nothing of that time. What cannot be read is reported and left out."""
        report = self._report
        with self._line, ArchiveIndex(self._bucket, READINGS, self._span) as index:
            if not index.objects:
                raise UserError("the archive holds no archive object of that time")
            for key in index.unexpected_keys():
                report.findings.add("archive_object_wrong", f"{key}: is not named as an archive object")
            done = 0
            for item, (_, lines) in self._bucket.open_each(index.by_time()):
                report.archive_objects += 1
                share = f"archive object {report.archive_objects} of {index.objects}, {done / index.bytes:.0%}"
                shown = partial(self._shown, f"{share}, {item.hour} {item.shard}")
                for found in self._read(item, lines):
                    self._line.say(shown)
                    yield found
                done += item.size

    def _shown(self, where: str) -> str:
        return f"{where}: {self._report.records} records"

    def _read(self, item: Item, lines: Iterator[bytes]) -> Iterator[tuple[Line, bytes]]:
        """An archive object's records that belong to the span."""
        report = self._report
        try:
            for found in parsed(lines, parse_line):
                if self._span.holds(found[0].arrival):
                    report.records += 1
                    yield found
        except UnreadableLine as error:
            report.findings.add("archive_object_wrong", f"{item.key}: unreadable: {error}")


def to_stream(stack: Stack, stream: str, span: Span, pace: Pace) -> Replayed:
    """Puts the records' original bytes into another stream under their partition keys. Raises UserError."""
    if stream == stack.stream:
        raise UserError(
            f"{stream} is the stack's own stream: all records would be archived once more; --to-table fills the table"
        )
    report = Replayed(f"stream {stream}")
    stack.session.client("kinesis").describe_stream_summary(StreamName=stream)  # before the archive is read
    sender = Sender(stack.session, stream, pace)
    outgoing = (
        Outgoing(position_text(line.position), line.partition_key or line.shard, data)
        for line, data in Source(stack, span, report).records()
    )
    sent = sum(1 for _ in sender.send(outgoing))
    report.records, report.repeated = sent, sender.repeated
    return report


def to_table(stack: Stack, settings: Settings, span: Span, pace: Pace) -> Replayed:
    """Writes the rows that the consumer makes of the records, with its own code and the given settings of it.

    Writing them again changes nothing. Raises UserError, and ClientError when there is no such table.
    """
    report = Replayed(f"table {settings.sensor_table}")
    stack.session.client("dynamodb").describe_table(TableName=settings.sensor_table)
    asyncio.run(_write(Source(stack, span, report), settings, pace, report))
    return report


async def _write(source: Source, settings: Settings, pace: Pace, report: Replayed) -> None:
    metrics = Metrics()
    chunks = _chunks(source, settings, pace.most(CHUNK), report)
    async with Clients(settings, only_rows=True) as clients:
        table = Table(
            clients.batch_write.send,
            settings.sensor_table,
            settings.row_ttl_days,
            settings.table_concurrency,
            metrics,
        )
        coming = asyncio.create_task(asyncio.to_thread(next, chunks, None))
        while (chunk := await coming) is not None:
            coming = asyncio.create_task(asyncio.to_thread(next, chunks, None))
            await asyncio.sleep(pace.delay(len(chunk)))
            await table.put(chunk, lambda: None)
            report.rows = int(total(metrics.rows))


def _expired(arrived: Arrived, ttl_days: int, now: float) -> bool:
    """Whether a row would expire at once, or, where that was more than five years ago, never: DynamoDB's rule."""
    at = expiry(arrived, ttl_days).at
    return at is not None and at <= now


def _chunks(source: Source, settings: Settings, most: int, report: Replayed) -> Iterator[list[Arrived]]:
    chunk: list[Arrived] = []
    contracts, ttl_days, now = settings.reading_contracts, settings.row_ttl_days, time.time()
    for line, data in source.records():
        decoded = decode(data, contracts, line.partition_key or "", line.arrival)
        report.readings += len(decoded.readings)
        report.rejected += decoded.rejected
        report.otherwise += decoded.rejected != line.rejected
        for reading in decoded.readings:
            arrived = reading, line.arrival
            if ttl_days and _expired(arrived, ttl_days, now):
                report.expired += 1
                continue
            chunk.append(arrived)
            if len(chunk) >= most:
                yield chunk
                chunk = []
    if chunk:
        yield chunk
