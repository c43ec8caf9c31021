"""One audit of what a ledger says was published: stream, archive, table, dead letters and alerts, beside it."""

import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from consumer.archive.fence import belongs
from producer.aws.aggregation import unpacked
from producer.aws.errors import UserError
from producer.aws.stack import Stack
from producer.aws.stream_reader import Stream
from producer.fleet import ledger
from producer.fleet.message import number_of
from producer.fleet.normal import document_crc, row_text
from producer.ops.alert_history import AlertHistory
from producer.ops.alerts import Subscriber, alerts_file, received
from producer.ops.archive_reader import Bucket
from producer.ops.audit_format import DEAD_LETTERS, READINGS, UNDELIVERABLE, CheckedObject, overlaps
from producer.ops.comparison import Archived, Comparison, Findings
from producer.ops.episode_audit import Episodes, episodes

CLOCK_SKEW_MS = 300_000  # between this machine and the services


class LedgerAudit:
    """One pass; `folder` holds its database."""

    def __init__(self, stack: Stack, ledger_path: Path, folder: Path) -> None:
        self._stack = stack
        self._ledger = ledger_path
        self._bucket = Bucket(stack.session, stack.bucket)
        self._all = Comparison(folder)
        self._objects: list[CheckedObject] = []

    def run(self) -> tuple[dict[str, int], Findings, int]:
        """Counts, findings, and the number of archive objects. Raises UserError when there is nothing to compare."""
        try:
            self._all.add_sent(ledger.read(self._ledger))
            span = self._all.sent_between()
            if span is None:
                raise UserError(f"the ledger {self._ledger} is empty; was anything published?")
            told = self._read_alerts(self._ledger, span[0])
            self._read_archive(span)
            self._all.settle_times()
            self._all.add_streamed(_stream(self._stack, span[0]))
            self._all.add_rows(_rows(self._stack, list(self._all.keys())))
            counts, findings = self._all.compare()
            counts |= told.counts
            for device, rule in sorted(told.missing):
                findings.add("alert_episode_missing", f"{device} under the rule {rule}")
        finally:
            self._all.close()
        for checked in self._objects:
            for fault in checked.faults():
                findings.add("archive_object_wrong", f"{checked.key}: {fault}")
        for place in overlaps(self._objects):
            findings.add("archive_object_overlap", place)
        return counts, findings, len(self._objects)

    def _read_alerts(self, path: Path, since_ms: int) -> Episodes:
        """At the subscriber; with an AlertPolicy in the history of episodes."""
        if policy := self._stack.alert_policy:
            history = AlertHistory(self._stack.session.client("dynamodb"), self._stack.alert_table)
            return episodes(history, policy, self._stack.alerts, self._all.take_alerts(), since_ms)
        file = alerts_file(path)
        if queue := Subscriber.existing(self._stack, file):
            queue.drain()
        self._all.add_alerts(received(file))
        return Episodes({}, set())

    def _read_archive(self, span: tuple[int, int]) -> None:
        with_document = self._all.changed_on_the_way()
        for key in self._keys(READINGS, span):
            checked, lines = self._open(key)
            self._objects.append(checked)
            self._all.add_lines(_archived(checked, lines, with_document))
        archived = {checked.key: checked.metadata for checked in self._objects}
        for key in self._keys(DEAD_LETTERS, span):
            checked, lines = self._open(key)
            if not belongs(archived.get(READINGS + key.removeprefix(DEAD_LETTERS)), checked.metadata):
                continue
            self._all.add_dead(_dead(checked, lines))
            if checked.unreadable:
                self._objects.append(checked)

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

    def _open(self, key: str) -> tuple[CheckedObject, Iterator[bytes]]:
        metadata, lines = self._bucket.open(key)
        return CheckedObject(key, metadata), lines


def _archived(checked: CheckedObject, lines: Iterable[bytes], with_document: bool) -> Iterator[Archived]:
    for line, data in checked.read(lines):
        reasons = ",".join(r.reason for r in line.rejects)
        document = document_crc(data) if with_document and not line.rejected else None
        place = line.shard, line.sequence_number, line.sub_sequence_number
        yield *place, number_of(data), reasons, zlib.crc32(data), document, checked.key, line.arrival


def _dead(checked: CheckedObject, lines: Iterable[bytes]) -> Iterator[tuple[str, str, int, int | None, str]]:
    for line, data in checked.read(lines):
        yield line.shard, line.sequence_number, line.sub_sequence_number, number_of(data), checked.key


def _rows(stack: Stack, keys: list[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    """(device, time, `row_text`) of the rows of each (device, first time, last time)."""
    pages = stack.session.client("dynamodb").get_paginator("query")
    for device, first, last in keys:
        for page in pages.paginate(
            TableName=stack.table,
            ConsistentRead=True,
            KeyConditionExpression="SensorId = :d AND #t BETWEEN :a AND :b",
            ProjectionExpression="#t, #v, Measures",
            ExpressionAttributeNames={"#t": "Timestamp", "#v": "Value"},
            ExpressionAttributeValues={":d": {"S": device}, ":a": {"S": first}, ":b": {"S": last}},
        ):
            for item in page["Items"]:
                measures = {name: number["N"] for name, number in item.get("Measures", {"M": {}})["M"].items()}
                yield device, item["Timestamp"]["S"], row_text(item.get("Value", {"N": ""})["N"], measures)


def _stream(stack: Stack, since_ms: int) -> Iterator[tuple[str, str, int, int | None]]:
    """(shard, sequence number, sub-sequence number, message number) of the records that came since then, as far as they
    are still kept."""
    stream = Stream(stack.session, stack.stream)
    for shard in sorted(stream.shards):
        for record in stream.shard(shard, since_ms - CLOCK_SKEW_MS).rest():
            for sub, data in enumerate(unpacked(record.data)):
                yield shard, str(record.sequence), sub, number_of(data)
