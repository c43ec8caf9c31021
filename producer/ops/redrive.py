"""Dead letters: how many there are, and their records into the stream once more.

A redriven record is a new record of the stream, with a sequence number of its own: it stands in the archive a second
time, and if it is rejected again it becomes a new dead letter. Its rows are written again, which changes nothing.
"""

import uuid
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from producer.aws.errors import UserError
from producer.aws.pace import Pace
from producer.aws.put_records import Outgoing, Sender
from producer.aws.stack import Stack
from producer.fleet.message import iso_utc
from producer.ops.comparison import Findings
from producer.ops.dead_letters import DeadLetters, Letter, Selection
from producer.ops.redrive_records import Mark, RedriveRecord
from producer.terminal import StatusLine, table

By = Literal["reason", "day", "hour", "key"]
COLUMNS = ("RECORDS", "NEW", "REDRIVEN", "UNCERTAIN", "UNDELIVERABLE", "READABLE")


@dataclass(slots=True)
class Group:
    """Dead letters that have something in common; records with several reasons are in several groups."""

    records: int = 0
    new: int = 0
    redriven: int = 0
    uncertain: int = 0
    undeliverable: int = 0
    readable: int = 0
    first: int | None = None  # arrival, ms
    last: int | None = None

    def take(self, letter: Letter) -> None:
        self.records += 1
        setattr(self, letter.state, getattr(self, letter.state) + 1)
        self.readable += letter.readable
        if letter.arrival is not None:
            self.first = min(letter.arrival, self.first if self.first is not None else letter.arrival)
            self.last = max(letter.arrival, self.last or 0)

    def counts(self) -> dict[str, int]:
        return {name.lower(): getattr(self, name.lower()) for name in COLUMNS}

    def as_json(self) -> dict[str, Any]:
        times = {"first": self.first, "last": self.last}
        return {**self.counts(), **{name: None if ms is None else iso_utc(ms) for name, ms in times.items()}}


@dataclass(slots=True)
class Summary:
    """The groups by name, and all together."""

    by: By
    groups: dict[str, Group]
    total: Group
    objects: int
    findings: Findings

    def as_json(self) -> dict[str, Any]:
        groups = {name: group.as_json() for name, group in self.groups.items()}
        total = {"objects": self.objects, **self.total.as_json()}
        return {"by": self.by, "groups": groups, **total, "findings": self.findings.as_json()}

    def as_text(self) -> str:
        if not self.total.records:
            return "\n".join(["no dead letters", *self.findings.as_lines()])
        rows = []
        for name, group in [*self.groups.items(), ("all", self.total)]:
            times = ("" if ms is None else iso_utc(ms) for ms in (group.first, group.last))
            rows.append((name, *map(str, group.counts().values()), *times))
        counts = table((self.by.upper(), *COLUMNS, "FIRST (UTC)", "LAST (UTC)"), rows, right=COLUMNS)
        return "\n".join([counts, "", *self._next_step(), *self.findings.as_lines()])

    def _next_step(self) -> Iterator[str]:
        if self.total.new:
            yield f"--send would put {self.total.new} records into the stream again; nothing was sent"
        if self.total.undeliverable:
            yield f"{self.total.undeliverable} undeliverable aggregates are never sent: the KCL would fail again"
        if self.total.uncertain:
            yield f"{self.total.uncertain} uncertain: a redrive began to send them and did not end; --again sends them"


def summary(stack: Stack, selection: Selection, by: By) -> Summary:
    """Counts the selected dead letters."""
    letters = DeadLetters(stack, selection)
    made = Summary(by, {}, Group(), 0, letters.findings)
    for _, found in letters.objects():
        made.objects += 1
        for letter in found:
            made.total.take(letter)
            for name in _groups(letter, by):
                made.groups.setdefault(name, Group()).take(letter)
    order = (lambda item: (-item[1].records, item[0])) if by == "key" else None  # who sends most comes first
    made.groups = dict(sorted(made.groups.items(), key=order))
    return made


def _groups(letter: Letter, by: By) -> list[str]:
    match by:
        case "reason":
            return sorted({reject.reason for reject in letter.line.rejects})
        case "key":
            return [letter.line.partition_key or "?"]
        case "day" | "hour":
            return [iso_utc(letter.arrival or 0)[: 10 if by == "day" else 13]]


@dataclass(slots=True)
class Redriven:
    """What was sent. `skipped` were redriven before, `uncertain` may have been."""

    stream: str
    sent: int = 0
    objects: int = 0
    skipped: int = 0
    uncertain: int = 0
    undeliverable: int = 0
    repeated: int = 0
    findings: Findings = field(default_factory=Findings)

    @property
    def ok(self) -> bool:
        return not self.uncertain and not self.findings

    def as_json(self) -> dict[str, Any]:
        names = ("stream", "sent", "objects", "skipped", "uncertain", "undeliverable", "repeated")
        return {**{name: getattr(self, name) for name in names}, "findings": self.findings.as_json(), "ok": self.ok}

    def as_text(self) -> str:
        lines = [f"{self.sent} records of {self.objects} dead-letter objects sent to stream {self.stream}"]
        if self.skipped:
            lines.append(f"{self.skipped} not sent: redriven before")
        if self.uncertain:
            lines.append(
                f"{self.uncertain} not sent: a redrive began to send them and did not end; --again sends them anyway"
            )
        if self.undeliverable:
            lines.append(f"{self.undeliverable} not sent: aggregates that the KCL cannot de-aggregate")
        if self.repeated:
            lines.append(f"{self.repeated} may be in the stream twice: their first answer was lost")
        return "\n".join([*lines, *self.findings.as_lines()])


def send(stack: Stack, selection: Selection, pace: Pace, again: bool) -> Redriven:
    """Sends the selected dead letters, each once; with `again` also the uncertain ones.

    Raises UserError when another redrive is at work or the stream takes nothing; what was sent until then is marked.
    """
    report = Redriven(stack.stream)
    letters = DeadLetters(stack, selection)
    sender = Sender(stack.session, stack.stream, pace)
    run = uuid.uuid4().hex
    line = StatusLine()
    for key, found in letters.objects():
        states = {letter.position: letter.state for letter in found}
        wanted = [a for a in found if a.state == "new" or (again and a.state == "uncertain")]
        report.undeliverable += sum(state == "undeliverable" for state in states.values())
        report.skipped += sum(state == "redriven" for state in states.values())
        report.uncertain += 0 if again else sum(state == "uncertain" for state in states.values())
        if wanted:
            report.objects += 1
            with line, closing(_send_object(letters.redrive_record(key), wanted, sender, run)) as sending:
                for _ in sending:
                    report.sent += 1
                    line.say(lambda: f"{report.sent} records sent")
    report.repeated, report.findings = sender.repeated, letters.findings
    return report


def _send_object(
    redrive_record: RedriveRecord, wanted: list[Letter], sender: Sender, run: str
) -> Generator[None, None, None]:
    """Claims, sends, completes; yields for each record that is in the stream."""
    for letter in wanted:
        if redrive_record.marks.get(letter.position) != letter.mark:  # changed since the dead letters were read
            raise UserError(f"another redrive is at work on the same dead letters ({redrive_record.key})")
    claim = Mark(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", run)
    before = {letter.position: redrive_record.marks.get(letter.position) for letter in wanted}
    redrive_record.marks |= {letter.position: claim for letter in wanted}
    redrive_record.save()
    outgoing = (Outgoing(a.position, a.line.partition_key or a.line.shard, a.data) for a in wanted)
    try:
        for sent in sender.send(outgoing):
            redrive_record.marks[sent.name] = Mark(claim.at, run, sent.shard, sent.sequence_number)
            yield
    finally:
        _release(redrive_record, before, sender.in_doubt)
        redrive_record.save()


def _release(redrive_record: RedriveRecord, before: dict[str, Mark | None], in_doubt: set[str]) -> None:
    """What was claimed and certainly not sent is as it was before."""
    for position, mark in before.items():
        if redrive_record.marks[position].sent or position in in_doubt:
            continue
        if mark:
            redrive_record.marks[position] = mark
        else:
            del redrive_record.marks[position]
