"""The way of one message, as it is seen: published, in the stream, its rows, its line in the archive."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from consumer.archive.format import UnreadableLine
from consumer.aws import codes
from producer.aws.errors import AWS_ERRORS, explain
from producer.console.archived import Archive
from producer.console.catalogue import Expected, Outcome
from producer.console.history import History
from producer.console.problems import denied
from producer.console.publishing import Published
from producer.fleet.message import iso_utc
from producer.fleet.normal import document_crc

Step = dict[str, Any]
"""`stage` (published, stream, row, archived), `device`, and either `at` (ms) with what was seen, or `problem`."""

SECONDS = 180.0  # longer than an archive object stays open by default
FAST, SLOW = 0.1, 0.5  # seconds between two looks: at rows, and at what takes longer
SLACK_MS = 2_000  # between this machine's clock and the stream's


class Travel:
    """One message's way from its acknowledgement on; `gone` says that nobody looks any more."""

    def __init__(
        self, sent: Published, outcome: Outcome, history: History, archive: Archive, gone: Callable[[], bool]
    ) -> None:
        self._sent = sent
        self._outcome = outcome
        self._history = history
        self._archive = archive
        self._gone = gone
        self._arrival = sent.at
        self._rows = list(outcome.readings)

    def steps(self) -> Iterator[Step]:
        """Each as soon as it is seen, in the order in which they happen; blocks in between."""
        yield self._step("published", at=self._sent.at)
        looks = {"stream": self._stream, "row": self._row, "archived": self._archived}
        started, next_slow = time.monotonic(), 0.0
        while looks and not self._gone():
            now = time.monotonic()
            if now - started > SECONDS:
                yield from (self._step(name, problem=f"not seen within {SECONDS:.0f} s") for name in looks)
                return
            for name in list(looks):
                if name == "archived" and now < next_slow:
                    continue
                if step := self._look(name, looks[name]):
                    del looks[name]
                    yield step
            next_slow = now + SLOW if now >= next_slow else next_slow
            time.sleep(FAST if now - started < 10 else SLOW)

    def _look(self, name: str, look: Callable[[], Step | None]) -> Step | None:
        try:
            return look()
        except (*AWS_ERRORS, UnreadableLine) as error:
            if denied(error):
                return self._step(name, problem="this role may not look; the operator's may", refused=True)
            if isinstance(error, UnreadableLine) or codes.code(error) in codes.NON_RETRYABLE:
                return self._step(name, problem=explain(error))
            return None  # the next look may succeed

    def _stream(self) -> Step | None:
        sent = self._sent
        if sent.sequence is None and sent.tail is None:
            return self._step("stream", problem="this role may not look; the operator's may", refused=True)
        if sent.sequence is None and sent.tail is not None:
            wanted = document_crc(sent.data)
            for record in sent.tail.read():
                if record.data == sent.data or (wanted is not None and document_crc(record.data) == wanted):
                    sent.shard, sent.sequence, self._arrival = sent.tail.shard, record.sequence, record.arrival
                    break
            else:
                return self._step("stream", problem="the shard was split or merged") if sent.tail.ended else None
        return self._step("stream", at=self._arrival, shard=sent.shard, sequence=str(sent.sequence))

    def _row(self) -> Step | None:
        if not self._outcome.readings:
            reasons = ", ".join(each["reason"] for each in self._outcome.rejects) or "no reading"
            return self._step("row", problem=f"none to come by this contract: {reasons}", expected=True)
        while self._rows and self._there(self._rows[0]):
            self._rows.pop(0)
        rows = [each.as_json() for each in self._outcome.readings]
        return None if self._rows else self._step("row", at=time.time_ns() // 1_000_000, rows=rows)

    def _there(self, wanted: Expected) -> bool:
        if wanted.time_ms is not None:
            return bool(self._history.within(wanted.device, wanted.time_ms, wanted.time_ms + 1, 1).rows)
        since = iso_utc(self._sent.at - SLACK_MS)
        return any(row.arrived and row.time >= since for row in self._history.newest(wanted.device))

    def _archived(self) -> Step | None:
        sent = self._sent
        if sent.sequence is None or sent.shard is None:
            if sent.tail is None:
                return self._step("archived", problem="this role may not look; the operator's may", refused=True)
            return None
        found = self._archive.find(sent.shard, sent.sequence, self._arrival)
        return found and self._step("archived", at=time.time_ns() // 1_000_000, record=found.as_json())

    def _step(self, stage: str, **seen: Any) -> Step:
        return {"device": self._sent.device, "stage": stage, **seen}
