"""The audit: is what was published in the stream, the archive, the table, the dead letters and at the subscriber?

It trusts nothing of the consumer but the formats: the ledger says what was sent, the stream itself is read again.
Without a ledger it looks at the archive alone, and at what the stream still keeps of it: integrity.py.
"""

import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from producer.aws.errors import UserError
from producer.aws.stack import Stack
from producer.ops.archive_index import Span
from producer.ops.comparison import Findings
from producer.ops.contract import consumer_settings
from producer.ops.integrity import Counts, Inspection
from producer.ops.ledger_audit import LedgerAudit
from producer.ops.rollup_audit import RollupAudit

SUMMARY = (
    "published", "stream_records", "rows_expected", "rows", "archived", "archive_missing", "archive_duplicates",
    "dead_letters_expected", "dead_letters", "alerts_expected", "alerts", "superseded",
)  # fmt: skip
"""Views of comparison.sql without their prefix, count_ or found_."""


@dataclass(frozen=True, slots=True)
class AuditResult:
    """Counts by name, findings by kind, and how many archive objects were read. With `nothing`, a reason, there was
    nothing to compare, which is neither clean nor a fault."""

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

    def summary(self) -> dict[str, int]:
        """The counts and findings that say how a run with a ledger went (SUMMARY)."""
        found = {kind: finding.count for kind, finding in self.findings.items()}
        return {name: self.counts.get(name, found.get(name, 0)) for name in SUMMARY}

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


def audit(stack: Stack, ledger_path: Path, wait: float = 0) -> AuditResult:
    """Repeats for up to `wait` seconds until nothing is found. Raises UserError when there is no ledger or no disk."""

    def once() -> AuditResult:
        with tempfile.TemporaryDirectory(prefix="sensorstream-audit-") as folder:
            return AuditResult(*LedgerAudit(stack, ledger_path, Path(folder)).run())

    return _until_clean(once, wait)


def audit_archive(stack: Stack, span: Span, with_stream: bool, wait: float = 0) -> AuditResult:
    """Checks an archive alone, and against the stream. Repeats for up to `wait` seconds until nothing is found."""

    def once() -> AuditResult:
        made = Inspection(stack, span, with_stream)
        made.run()
        counts = asdict(made.counts)
        return AuditResult(counts, made.findings, counts.pop("archive_objects"), _nothing(made.counts, span))

    return _until_clean(once, wait)


def audit_rollups(stack: Stack, chosen: Mapping[str, str | None], wait: float = 0) -> AuditResult:
    """Compares the rollups with the archive, read by `chosen` settings of the consumer.

    Repeats for up to `wait` seconds until nothing is found. Raises UserError.
    """
    contracts = consumer_settings(stack, None, chosen).reading_contracts

    def once() -> AuditResult:
        with tempfile.TemporaryDirectory(prefix="sensorstream-audit-") as folder:
            made = RollupAudit(stack, contracts, Path(folder))
            made.run()
        counts = asdict(made.counts)
        nothing = None if made.counts.lines else "no archive object that is counted in rollups"
        return AuditResult(counts, made.findings, counts.pop("archive_objects"), nothing)

    return _until_clean(once, wait)


def _nothing(counts: Counts, span: Span) -> str | None:
    """Why nothing was compared; None when something was."""
    if counts.lines:
        return None
    text = "no archive object" + ("" if span == Span() else " of that time")
    if counts.waiting:
        text += f"; {counts.waiting} records wait in the stream for theirs, ask again with --wait"
    return text


def _until_clean(once: Callable[[], AuditResult], wait: float) -> AuditResult:
    deadline = time.monotonic() + wait
    while True:
        try:
            report = once()
        except sqlite3.OperationalError as error:
            raise UserError(f"the audit's temporary database in {tempfile.gettempdir()}: {error}") from None
        if report.ok or time.monotonic() >= deadline:
            return report
        time.sleep(min(2.0, max(0.0, deadline - time.monotonic())))
