"""Do the rollups equal the archive? Every archive object that says that it is counted is read, decoded as the consumer
decodes it and summed up; then each row of the table is compared with that.

In bounded memory: sums lie in a temporary database, and the table is read page by page.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from consumer.archive.format import READINGS, UnreadableLine, parse_line
from consumer.payload.contracts import Contracts
from consumer.payload.decode import decode
from consumer.payload.times import time as parse_time
from consumer.payload.values import Bad
from consumer.record import Position
from consumer.sinks.rollup_rows import DAY, Length, Row, attributes, parse, parse_window, place
from consumer.sinks.windows import Key, Window, windows
from producer.aws.stack import Stack
from producer.ops.archive_index import ArchiveIndex, Item, Span
from producer.ops.archive_reader import Bucket, Opened, parsed
from producer.ops.comparison import Findings
from producer.terminal import StatusLine

MAX_WINDOWS = 20_000
"""Windows that are held in memory, some 20 MB."""
Cell = tuple[str, str]
"""A row's key: device and window."""


@dataclass(slots=True)
class RollupCounts:
    """What was looked at. Of `otherwise` lines the archive says that another number of readings was rejected: the
    contracts were not these when it was written, and none of its readings is expected. `expired` rows may have been
    deleted by the table."""

    archive_objects: int = 0
    lines: int = 0
    readings: int = 0
    rollups: int = 0
    otherwise: int = 0
    expired: int = 0


class Sums:
    """What the archive comes to, by row."""

    def __init__(self, folder: Path) -> None:
        self._db = sqlite3.connect(folder / "rollups.sqlite")
        self._db.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE sums (device TEXT, window TEXT, sum BLOB, PRIMARY KEY (device, window)) WITHOUT ROWID"
        )

    def add(self, cell: Cell, window: Window) -> None:
        """Adds readings that are further on in the shard."""
        before = self.pop(cell)
        sum_ = msgspec.json.encode(attributes(before.merged(window) if before else window))
        self._db.execute("INSERT INTO sums VALUES (?, ?, ?)", (*cell, sum_))

    def pop(self, cell: Cell) -> Window | None:
        found = self._db.execute("DELETE FROM sums WHERE device = ? AND window = ? RETURNING sum", cell).fetchone()
        return parse_window(msgspec.json.decode(found[0])) if found else None

    def left(self) -> Iterator[Cell]:
        """Those that were not taken."""
        return iter(self._db.execute("SELECT device, window FROM sums"))


class RollupAudit:
    """One comparison. Fills `counts` and `findings`."""

    def __init__(self, stack: Stack, contracts: Contracts, folder: Path) -> None:
        self._stack = stack
        self._bucket = Bucket(stack.session, stack.bucket)
        self._contracts = contracts
        self._sums = Sums(folder)
        self._last: dict[str, Position] = {}
        """By shard, where the last archive object that was read begins."""
        self._kept = 0  # days, as the rows say; 0 for ever
        self.counts = RollupCounts()
        self.findings = Findings()

    def run(self) -> None:
        with StatusLine() as line, ArchiveIndex(self._bucket, READINGS, Span()) as index:
            for item, opened in self._bucket.open_each(index.by_shard()):
                if seconds := int(opened.metadata.get("rollup-seconds", "0")):
                    self._take(item, opened, seconds)
                line.say(lambda: f"{self.counts.archive_objects} of {index.objects} objects, {self.counts.lines} lines")
            for row in self._rows():
                self._compare(row)
                line.say(lambda: f"{self.counts.rollups} rollups; findings: {len(self.findings)}")
        for cell in self._sums.left():
            self._missing(cell)

    def _take(self, item: Item, opened: Opened, seconds: int) -> None:
        counts, found = self.counts, dict[Key, Window]()
        counts.archive_objects += 1
        try:
            for line, data in parsed(opened.lines, parse_line):
                self._last.setdefault(item.shard, line.position)
                decoded = decode(data, self._contracts, line.partition_key or "", line.arrival)
                counts.lines += 1
                if decoded.rejected != line.rejected:
                    counts.otherwise += 1
                    continue
                counts.readings += len(decoded.readings)
                windows(decoded.readings, seconds, found)
                if len(found) > MAX_WINDOWS:
                    self._add(item.shard, seconds, found)
        except UnreadableLine as error:
            self.findings.add("archive_object_wrong", f"{item.key}: unreadable: {error}")
        self._add(item.shard, seconds, found)
        first, _, sub = opened.metadata["first"].partition(".")
        self._last[item.shard] = int(first), int(sub)

    def _add(self, shard: str, seconds: int, found: dict[Key, Window]) -> None:
        for key, window in found.items():
            names = place(key, Length(seconds), shard)
            self._sums.add((names["SensorId"]["S"], names["Window"]["S"]), window)
        found.clear()

    def _rows(self) -> Iterator[dict[str, Any]]:
        pages: Iterable[Any] = (
            self._stack.session.client("dynamodb")
            .get_paginator("scan")
            .paginate(TableName=self._stack.rollup_table, ConsistentRead=True)
        )
        return (item for page in pages for item in page["Items"])

    def _compare(self, item: dict[str, Any]) -> None:
        cell = item["SensorId"]["S"], item["Window"]["S"]
        self.counts.rollups += 1
        due = self._sums.pop(cell)
        try:
            start, seconds, shard = cell[1].split("/")
            row, end = parse(item), parse_time(start, "Window") // 1000 + int(seconds)
        except (KeyError, TypeError, ValueError, ArithmeticError, Bad) as error:
            self.findings.add("rollup_wrong", f"{cell[0]} {cell[1]}: {error!r}")
            return
        if "ExpiresAt" in item:
            self._kept = max(self._kept, (int(item["ExpiresAt"]["N"]) - end) // DAY)
        held = self._as_listed(row, shard)
        if held != due:
            kind = "rollup_wrong" if held and due else "rollup_unexpected" if held else "rollup_missing"
            self.findings.add(kind, f"{cell[0]} {cell[1]}: {_told(held)}, the archive says {_told(due)}")

    def _as_listed(self, row: Row, shard: str) -> Window | None:
        """The row without an archive object that was stored since the archive was listed."""
        return row.window if row.counted.first <= self._last.get(shard, (0, 0)) else row.before

    def _missing(self, cell: Cell) -> None:
        start, seconds, _ = cell[1].split("/")
        end = parse_time(start, "Window") // 1000 + int(seconds)
        if self._kept and end + self._kept * DAY < time.time():
            self.counts.expired += 1
        else:
            self.findings.add("rollup_missing", f"{cell[0]} {cell[1]}")


def _told(window: Window | None) -> str:
    if window is None:
        return "nothing"
    sums = ", ".join(f"{name or 'value'} {summary.total}" for name, summary in window.numbers.items())
    return f"{window.readings} readings" + (f" (sums: {sums[:200]})" if sums else "")
