"""The hours of a span, one after the other: which of them are to be written, and what became of each."""

import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from consumer.archive.format import KEY, READINGS, UnreadableLine
from consumer.payload.contracts import Contracts
from producer.aws.errors import UserError
from producer.aws.stack import Stack
from producer.compact.hour import Changed, Store, compact
from producer.compact.layout import Curated, Hour, inputs
from producer.compact.verify import NotEqual
from producer.ops.archive_index import Span, within
from producer.ops.archive_reader import Bucket, Listed
from producer.ops.comparison import Findings
from producer.terminal import StatusLine, table

TRIES = 3
KINDS = {UnreadableLine: "archive_object_wrong", NotEqual: "compacted_wrong", UserError: "hour_too_large"}
COLUMNS = ("hour", "outcome", "objects", "lines", "readings")


@dataclass(slots=True)
class Compacted:
    """What became of each hour: `written`, `current` (nothing to do), `kept` (archive objects are gone, what was made
    of them stays), `failed` (see the findings), or with --dry-run `to-write`. `unfinished` hours were left out."""

    hours: list[dict[str, Any]] = field(default_factory=list)
    missing: list[Hour] = field(default_factory=list)
    """Those that have no current object: failed, or to write."""
    unfinished: int = 0
    findings: Findings = field(default_factory=Findings)

    @property
    def ok(self) -> bool:
        return not self.findings

    def add(self, hour: Hour, outcome: str, objects: int, says: Curated | None) -> None:
        counts = (says.lines, says.readings) if says else (None, None)
        self.hours.append(dict(zip(COLUMNS, (str(hour), outcome, objects, *counts), strict=True)))
        if outcome in ("failed", "to-write"):
            self.missing.append(hour)

    def as_json(self) -> dict[str, Any]:
        return {
            "hours": self.hours,
            "missing": len(self.missing),
            "unfinished": self.unfinished,
            "findings": self.findings.as_json(),
            "ok": self.ok,
        }

    def as_text(self) -> str:
        shown = [["" if value is None else str(value) for value in hour.values()] for hour in self.hours]
        lines = [table(COLUMNS, shown, COLUMNS[2:])] if shown else ["no hour to compact"]
        if self.missing:
            lines.append(f"{len(self.missing)} of {len(self.hours)} hours are not compacted")
        if self.unfinished:
            lines.append(f"{self.unfinished} hours are not finished: 65 minutes after their end they are")
        return "\n".join([*lines, *self.findings.as_lines()])


class Run:
    """Compacts the finished hours of a span, or with `dry` says what there is to do."""

    def __init__(self, stack: Stack, contracts: Contracts, dry: bool) -> None:
        self._bucket = Bucket(stack.session, stack.bucket)
        self._store = Store(stack.session, stack.bucket)
        self._contracts = contracts
        self._dry = dry
        self._line = StatusLine()
        self.report = Compacted()

    def span(self, span: Span) -> Compacted:
        """All finished hours that may hold what arrived in the span."""
        now = time.time() * 1000
        with self._line:
            for hour, objects in self._hours(span):
                if hour.finished_ms > now:
                    self.report.unfinished += 1
                else:
                    self._one(hour, objects)
        return self.report

    def hour(self, hour: Hour) -> Compacted:
        """One hour, finished or not: what comes later is taken in by the next run. Raises UserError for none."""
        with self._line:
            objects = self._objects(self._bucket.objects(hour.prefix))
            if not objects:
                raise UserError(f"the archive holds no archive object of {hour}")
            self._one(hour, objects)
        return self.report

    def _hours(self, span: Span) -> Iterator[tuple[Hour, list[Listed]]]:
        for folder, listed in itertools.groupby(within(self._bucket, READINGS, span), lambda each: each.key[:33]):
            hour, objects = Hour(folder.removeprefix(READINGS)), self._objects(listed)
            if objects and (span.end is None or hour.begin_ms < span.end):
                yield hour, objects

    def _objects(self, listed: Iterable[Listed]) -> list[Listed]:
        objects = []
        for each in listed:
            if KEY.fullmatch(each.key, len(READINGS)):
                objects.append(each)
            else:
                self.report.findings.add("archive_object_wrong", f"{each.key}: is not named as an archive object")
        return objects

    def _one(self, hour: Hour, objects: list[Listed]) -> None:
        """Several times, if archive objects come or another run writes the hour meanwhile."""
        for _ in range(TRIES):
            self._line.say(
                partial("{}: {} archive objects; {} hours before it".format, hour, len(objects), len(self.report.hours))
            )
            try:
                self._compact(hour, objects)
            except Changed:
                objects = self._objects(self._bucket.objects(hour.prefix))
                continue
            except (UnreadableLine, NotEqual, UserError) as error:  # the next hour is not concerned
                self.report.findings.add(KINDS[type(error)], f"{hour}: {error}")
                self.report.add(hour, "failed", len(objects), None)
            return
        self.report.findings.add("archive_changing", f"{hour}: its objects change while they are read; try again")
        self.report.add(hour, "failed", len(objects), None)

    def _compact(self, hour: Hour, objects: list[Listed]) -> None:
        says, etag = self._store.curated(hour) or (None, None)
        if says and says.inputs == inputs(objects, self._contracts):
            outcome = "current"
        elif says and len(objects) < says.objects:
            outcome = "kept"
        elif self._dry:
            outcome = "to-write"
        else:
            says, outcome = compact(self._store, hour, objects, self._contracts, etag), "written"
        self.report.add(hour, outcome, len(objects), says)
