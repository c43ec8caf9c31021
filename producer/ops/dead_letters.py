"""Reads dead letters: which there are of a selection, what is in them, and whether they were sent again before."""

import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from consumer.archive.format import (
    DEAD_LETTERS,
    UNDELIVERABLE,
    Line,
    UnreadableLine,
    parse_line,
    parse_undeliverable,
    position_text,
)
from consumer.payload.contracts import DEFAULT, Contracts
from consumer.payload.decode import decode
from producer.aws.stack import Stack
from producer.fleet.message import iso_utc
from producer.ops.archive_index import ArchiveIndex, Span
from producer.ops.archive_reader import Bucket, Listed, parsed
from producer.ops.comparison import Findings
from producer.ops.redrive_records import REDRIVEN, Mark, Marks, RedriveRecord, redrive_record_key
from producer.terminal import StatusLine

State = Literal["new", "redriven", "uncertain", "undeliverable"]
"""`uncertain`: a redrive began to send it and did not say that it ended. `undeliverable`: an aggregate that the KCL
cannot take apart; sending it again would only fail again."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters. `reasons`: any of them (empty: all); `readable`: those that `contracts` now read whole."""

    span: Span = Span()  # noqa: RUF009
    reasons: frozenset[str] = frozenset()
    sequence: str | None = None
    readable: bool = False
    contracts: Contracts = DEFAULT


class Letter(NamedTuple):
    """One dead letter. `position` is empty for an undeliverable one; `readable`: it would not be rejected now."""

    key: str
    line: Line
    data: bytes
    arrival: int | None  # ms; for an undeliverable one when it was stored
    readable: bool
    state: State
    mark: Mark | None

    @property
    def position(self) -> str:
        return position_text(self.line.position) if self.line.sequence_number else ""

    def as_json(self) -> dict[str, Any]:
        line = self.line
        return {
            "object": self.key,
            "shard": line.shard,
            "position": self.position or None,
            "partitionKey": line.partition_key,
            "arrival": iso_utc(self.arrival) if self.arrival else None,
            "rejected": line.rejected,
            "rejects": [{"index": r.index, "reason": r.reason, "detail": r.detail} for r in line.rejects],
            "state": self.state,
            "redriven": {"at": self.mark.at, "shard": self.mark.shard, "sequenceNumber": self.mark.sequence_number}
            if self.mark
            else None,
            "readable": self.readable,
            "bytes": len(self.data),
            **payload(self.data),
        }

    def as_text(self) -> str:
        line = self.line
        when = iso_utc(self.arrival) if self.arrival else "?"
        head = (
            f"{line.shard} {self.position}  {when}  key {line.partition_key}"
            if line.shard
            else f"undeliverable  {when}"
        )
        lines = [head, f"  in {self.key}", f"  {line.rejected} rejected" + (", readable now" if self.readable else "")]
        lines += [f"    [{r.index}] {r.reason}: {r.detail}" for r in line.rejects]
        if self.mark and self.mark.sent:
            lines.append(f"  redriven {self.mark.at} -> {self.mark.shard} {self.mark.sequence_number}")
        elif self.mark:
            lines.append(f"  a redrive began to send it at {self.mark.at} and did not say that it ended")
        ((form, content),) = payload(self.data).items()
        return "\n".join([*lines, f"  {len(self.data)} bytes" + ("" if form == "text" else f" ({form})"), content, ""])


def payload(data: bytes) -> dict[str, str]:
    """The original bytes as `text`, or as `base64` where they are no UTF-8."""
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


class DeadLetters:
    """The dead letters of a bucket. What cannot be read goes to `findings`."""

    def __init__(self, stack: Stack, selection: Selection) -> None:
        self._name = stack.bucket
        self._s3 = stack.session.client("s3")
        self._bucket = Bucket(stack.session, stack.bucket)
        self._selection = selection
        self._marked = {item.key for item in self._bucket.objects(REDRIVEN)}
        self._line = StatusLine()
        self.findings = Findings()

    def redrive_record(self, key: str) -> RedriveRecord:
        """The redrive record of a dead-letter object."""
        return RedriveRecord(self._s3, self._name, key)

    def objects(self) -> Iterator[tuple[str, list[Letter]]]:
        """Each dead-letter object (key) with those of its letters that are selected, in the order of the stream; the
        undeliverable ones last. Objects of which none is selected are left out."""
        with self._line, ArchiveIndex(self._bucket, DEAD_LETTERS, self._selection.span) as index:
            for key in index.unexpected_keys():
                self.findings.add("dead_letters_wrong", f"{key}: not an archive object's name")
            for number, (item, (_, lines)) in enumerate(self._bucket.open_dead_letters(index.by_time()), 1):
                self._say(number, index.objects)
                marks = self.redrive_record(item.key).marks if redrive_record_key(item.key) in self._marked else {}
                if letters := [letter for letter in self._letters(item.key, lines, marks) if self._selects(letter)]:
                    yield item.key, letters
        for listed, (_, lines) in self._bucket.open_each(self._bucket.objects(UNDELIVERABLE)):
            if letters := self._undeliverable(listed, lines):
                yield listed.key, letters

    def _say(self, number: int, objects: int) -> None:
        self._line.say(lambda: f"reading dead letters: object {number} of {objects}")

    def _letters(self, key: str, lines: Iterator[bytes], marks: Marks) -> Iterator[Letter]:
        try:
            for line, data in parsed(lines, parse_line):
                mark = marks.get(position_text(line.position))
                state: State = "new" if mark is None else "redriven" if mark.sent else "uncertain"
                # Sent again, it is a record that arrives now.
                now, key = int(time.time() * 1000), line.partition_key or ""
                readable = not decode(data, self._selection.contracts, key, now).rejected
                yield Letter(key, line, data, line.arrival, readable, state, mark)
        except UnreadableLine as error:
            self.findings.add("dead_letters_wrong", f"{key}: unreadable: {error}")

    def _undeliverable(self, listed: Listed, lines: Iterator[bytes]) -> list[Letter]:
        stored = int(listed.modified.timestamp() * 1000)
        try:
            found = [Letter(listed.key, *parse_undeliverable(t), stored, False, "undeliverable", None) for t in lines]
        except UnreadableLine as error:
            self.findings.add("dead_letters_wrong", f"{listed.key}: unreadable: {error}")
            return []
        return [letter for letter in found if self._selects(letter)]

    def _selects(self, letter: Letter) -> bool:
        wanted = self._selection
        return (
            wanted.span.holds(letter.arrival)
            and (not wanted.reasons or any(r.reason in wanted.reasons for r in letter.line.rejects))
            and wanted.sequence in (None, letter.line.sequence_number, letter.position)
            and (letter.readable or not wanted.readable)
        )
