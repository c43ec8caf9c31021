"""The audit: is what was published in the stream, the archive, the table, the dead letters and at the subscriber?

It trusts nothing of the consumer but the formats: the ledger says what was sent, the stream itself is read again.
"""

import json
import sqlite3
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3

from producer import ledger
from producer.alerts import Subscriber, alerts_file, received
from producer.archive import DEAD_LETTERS, PARCELS, UNDELIVERABLE, Bucket, Line, UnreadableLine, parse
from producer.comparison import Comparison, Finding, content, normal
from producer.errors import UserError
from producer.message import iso_utc, number_of
from producer.parcels import Parcel, overlaps
from producer.stack import Stack

PLACES = 20  # of each kind of finding that the report shows
CLOCK_SKEW = timedelta(minutes=5)  # between this machine and the services


@dataclass(frozen=True, slots=True)
class Report:
    """Counts by name, findings by kind. `parcels` is the number of objects read."""

    counts: dict[str, int]
    findings: dict[str, Finding]
    parcels: int
    with_ledger: bool

    @property
    def ok(self) -> bool:
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        found = {kind: {"count": f.count, "places": f.places} for kind, f in self.findings.items()}
        counts = self.counts if self.with_ledger else {"lines": self.counts["lines"]}
        return {**counts, "parcels": self.parcels, "findings": found, "ok": self.ok}

    def as_text(self) -> str:
        lines = [f"{name.replace('_', ' '):<24}{count:>12}" for name, count in self.as_json().items() if _shown(count)]
        for kind, finding in self.findings.items():
            lines += ["", f"{kind.replace('_', ' ')}: {finding.count}"]
            lines += [f"  {place}" for place in finding.places]
            if finding.count > len(finding.places):
                lines.append(f"  ... and {finding.count - len(finding.places)} more")
        lines += ["", "clean" if self.ok else "NOT clean"]
        return "\n".join(lines)


def _shown(count: object) -> bool:
    return isinstance(count, int) and not isinstance(count, bool)


def audit(stack: Stack, ledger_path: Path | None, wait: float = 0) -> Report:
    """Repeats for up to `wait` seconds until nothing is found. Raises UserError when there is no ledger or no disk."""
    deadline = time.monotonic() + wait
    while True:
        with tempfile.TemporaryDirectory(prefix="sensorstream-audit-") as folder:
            try:
                report = _Audit(stack, ledger_path, Path(folder)).run()
            except sqlite3.OperationalError as error:
                raise UserError(f"the audit's temporary database in {folder}: {error}") from None
        if report.ok or time.monotonic() >= deadline:
            return report
        time.sleep(min(2.0, max(0.0, deadline - time.monotonic())))


class _Audit:
    """One pass."""

    def __init__(self, stack: Stack, ledger_path: Path | None, folder: Path) -> None:
        self._stack = stack
        self._ledger = ledger_path
        self._bucket = Bucket(stack.bucket)
        self._all = Comparison(folder)
        self._parcels: list[Parcel] = []

    def run(self) -> Report:
        try:
            span = None
            if self._ledger:
                self._all.add_sent(ledger.read(self._ledger))
                span = self._all.sent_between()
                if span is None:
                    raise UserError(f"the ledger {self._ledger} is empty; was anything published?")
                self._read_alerts(self._ledger)
            self._read_archive(span)
            if span:
                self._all.add_streamed(_stream(self._stack.stream, span[0]))
                self._all.add_rows(_rows(self._stack.table, list(self._all.keys())))
            counts, findings = self._all.compare(PLACES)
        finally:
            self._all.close()
        for kind, places in self._parcel_findings():
            if places:
                findings[kind] = Finding(len(places), places[:PLACES])
        return Report(counts, findings, len(self._parcels), self._ledger is not None)

    def _parcel_findings(self) -> Iterator[tuple[str, list[str]]]:
        yield "parcel_wrong", [f"{p.key}: {fault}" for p in self._parcels for fault in p.faults()]
        yield "parcel_overlap", list(overlaps(self._parcels))

    def _read_alerts(self, path: Path) -> None:
        file = alerts_file(path)
        if queue := Subscriber.existing(self._stack.name, file):
            queue.drain()
        self._all.add_alerts(received(file))

    def _read_archive(self, span: tuple[int, int] | None) -> None:
        with_content = span is not None and self._all.changed_on_the_way()
        for key in self._keys(PARCELS, span):
            parcel, lines = self._open(key)
            self._parcels.append(parcel)
            self._all.add_lines(_archived(parcel, lines, with_content))
        for key in self._keys(DEAD_LETTERS, span):
            parcel, lines = self._open(key)
            self._all.add_dead(_dead(parcel, lines))
            if parcel.unreadable:
                self._parcels.append(parcel)

    def _keys(self, prefix: str, span: tuple[int, int] | None) -> Iterator[str]:
        """Only of the days that the ledger's records can be in; 1970 is where those without an arrival time are."""
        if span is None:
            yield from (k for k in self._bucket.keys(prefix) if not k.startswith(UNDELIVERABLE))
            return
        first, last = (datetime.fromtimestamp(ms / 1000, UTC) for ms in span)
        day, end = (first - timedelta(hours=1)).date(), (last + timedelta(days=1)).date()
        yield from self._bucket.keys(f"{prefix}date=1970-01-01/")
        while day <= end:
            yield from self._bucket.keys(f"{prefix}date={day}/")
            day += timedelta(days=1)

    def _open(self, key: str) -> tuple[Parcel, Iterator[bytes]]:
        metadata, lines = self._bucket.open(key)
        return Parcel(key, metadata), lines


Archived = tuple[str, str, int, int | None, str, int, int | None, str]


def _archived(parcel: Parcel, lines: Iterable[bytes], with_content: bool) -> Iterator[Archived]:
    for line, data in _read(parcel, lines):
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
            parcel.key,
        )


def _dead(parcel: Parcel, lines: Iterable[bytes]) -> Iterator[tuple[str, str, int, int | None, str]]:
    for line, data in _read(parcel, lines):
        yield line.shard, line.sequence_number or "", line.sub_sequence_number, number_of(data), parcel.key


def _read(parcel: Parcel, lines: Iterable[bytes]) -> Iterator[tuple[Line, bytes]]:
    """The lines up to the first that cannot be read; what goes by is noted in the parcel."""
    try:
        for text in lines:
            line, data = parse(text)
            parcel.take(line.shard, line.position)
            yield line, data
    except UnreadableLine as error:
        parcel.unreadable = f"line {parcel.records + 1}: {error}"


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


def _rows(table: str, keys: list[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    """(device, time, value) of the rows of each (device, first time, last time)."""
    pages = boto3.client("dynamodb").get_paginator("query")
    for device, first, last in keys:
        for page in pages.paginate(
            TableName=table,
            ConsistentRead=True,
            KeyConditionExpression="SensorId = :d AND #t BETWEEN :a AND :b",
            ProjectionExpression="#t, #v",
            ExpressionAttributeNames={"#t": "Timestamp", "#v": "Value"},
            ExpressionAttributeValues={":d": {"S": device}, ":a": {"S": first}, ":b": {"S": last}},
        ):
            for item in page["Items"]:
                yield device, item["Timestamp"]["S"], item["Value"]["N"]


def _stream(name: str, since_ms: int) -> Iterator[tuple[str, str, int | None]]:
    """(shard, sequence number, message number) of the records that came since then, as far as they are still kept."""
    client = boto3.client("kinesis")
    start = datetime.fromtimestamp(since_ms / 1000, UTC) - CLOCK_SKEW
    for page in client.get_paginator("list_shards").paginate(StreamName=name):
        for shard in page["Shards"]:
            shard_id = shard["ShardId"]
            iterator: str | None = client.get_shard_iterator(
                StreamName=name, ShardId=shard_id, ShardIteratorType="AT_TIMESTAMP", Timestamp=start
            )["ShardIterator"]
            while iterator:
                answer = client.get_records(ShardIterator=iterator, Limit=10_000)
                for record in answer["Records"]:
                    yield shard_id, record["SequenceNumber"], number_of(record["Data"])
                if not answer["Records"] and not answer.get("MillisBehindLatest"):
                    break
                iterator = answer.get("NextShardIterator")
