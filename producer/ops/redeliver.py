"""The queue of undelivered messages: how many there are and why, and each of them to where it should have gone.

At least once: a message is deleted after the stream, or Lambda, has taken it. A run that dies in between leaves it in
the queue, and the next one delivers it again: its row is written over with the same values, the archive holds its
record twice, an alert is sent twice.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from consumer.aws.codes import code
from producer.aws.errors import AWS_ERRORS, UserError, explain
from producer.aws.pace import Pace
from producer.aws.put_records import Outgoing, Sender
from producer.aws.stack import Stack
from producer.fleet.message import iso_utc
from producer.ops.undelivered_queue import Held, Queue
from producer.terminal import StatusLine, table

ROUND = 500  # messages held at once
ROUND_SECONDS = 120.0  # of a round at a bounded rate, well within the queue's HIDDEN_SECONDS
MOST_COUNTED = 10_000  # SQS hides at most 120,000
REFUSED = {"RequestTooLargeException", "InvalidRequestContentException"}  # of one event; others may do


@dataclass(slots=True)
class Group:
    """Messages with one reason."""

    goes_to: str
    messages: int = 0
    oldest: int | None = None  # ms

    def take(self, held: Held) -> None:
        self.messages += 1
        self.oldest = held.sent_ms if self.oldest is None else min(self.oldest, held.sent_ms)

    def as_json(self) -> dict[str, Any]:
        oldest = None if self.oldest is None else iso_utc(self.oldest)
        return {"goes_to": self.goes_to, "messages": self.messages, "oldest": oldest}


@dataclass(slots=True)
class Redelivery:
    """What was seen, and with `sending` what became of it. `left` are messages by the reason why they stay."""

    queue: str
    sending: bool
    waiting: int  # before, as SQS estimates it
    groups: dict[str, Group] = field(default_factory=dict)
    to_stream: int = 0
    to_function: int = 0
    left: dict[str, int] = field(default_factory=dict)
    newer: int = 0  # came while this run worked
    repeated: int = 0
    undeleted: int = 0
    stopped: str | None = None

    @property
    def messages(self) -> int:
        return sum(group.messages for group in self.groups.values())

    @property
    def ok(self) -> bool:
        """Nothing needs a person: with `sending`, all that was there is where it belongs."""
        malformed = any(group.goes_to == "nowhere" for group in self.groups.values())
        return not (malformed or self.left or self.undeleted or self.stopped)

    def take(self, held: Held) -> None:
        self.groups.setdefault(held.task.reason, Group(held.task.goes_to)).take(held)

    def leave(self, reason: str) -> None:
        self.left[reason] = self.left.get(reason, 0) + 1

    def as_json(self) -> dict[str, Any]:
        names = ("queue", "waiting", "messages", "newer")
        sent = ("to_stream", "to_function", "left", "repeated", "undeleted", "stopped") if self.sending else ()
        groups = {name: group.as_json() for name, group in sorted(self.groups.items())}
        return {**{name: getattr(self, name) for name in (*names, *sent)}, "reasons": groups, "ok": self.ok}

    def as_text(self) -> str:
        return "\n".join([*self._table(), *(self._sent() if self.sending else self._next_step())])

    def _table(self) -> Iterator[str]:
        if not self.groups:
            yield "no undelivered messages"
            return
        rows = [
            (name, str(group.messages), group.goes_to, iso_utc(group.oldest or 0))
            for name, group in sorted(self.groups.items())
        ]
        yield table(("REASON", "MESSAGES", "GOES TO", "OLDEST (UTC)"), rows, right=["MESSAGES"])

    def _next_step(self) -> Iterator[str]:
        if self.messages + self.newer < self.waiting:
            yield f"looked at {self.messages} of about {self.waiting} messages"
        if sendable := sum(group.messages for group in self.groups.values() if group.goes_to != "nowhere"):
            yield f"\n--send would deliver {sendable} messages and delete them; nothing was sent, all are in the queue"

    def _sent(self) -> Iterator[str]:
        yield f"\n{self.to_stream} into the stream, {self.to_function} to the alert function; deleted from the queue"
        yield from (f"{count} left in the queue: {reason}" for reason, count in sorted(self.left.items()))
        if self.newer:
            yield f"{self.newer} came meanwhile and are left for another run"
        if self.repeated:
            yield f"{self.repeated} may be in the stream twice: their first answer was lost"
        if self.undeleted:
            yield f"{self.undeleted} delivered but not deleted: another run would deliver them again"
        if self.stopped:
            yield f"stopped: {self.stopped}; what is not delivered is in the queue, run it again"


def look(stack: Stack, most: int = MOST_COUNTED) -> Redelivery:
    """Counts up to `most` messages by reason and leaves them all where they are."""
    queue = Queue(stack.session, stack.undelivered_queue, stack.topics)
    report = Redelivery(queue.name, False, queue.waiting)
    held: dict[str, Held] = {}
    line = StatusLine()
    try:
        while len(held) < most and (found := queue.receive(most - len(held))):
            known = len(held)
            held |= {each.id: each for each in found}
            line.say(f"{len(held)} messages".__str__)
            if len(held) == known or all(each.sent_ms > queue.opened_ms for each in found):
                break  # what the queue gives now was seen, or came meanwhile
    finally:
        queue.release(list(held.values()))
        line.clear()
    for each in held.values():
        if each.sent_ms > queue.opened_ms:
            report.newer += 1
        else:
            report.take(each)
    return report


def send(stack: Stack, pace: Pace, most: int | None = None) -> Redelivery:
    """Delivers what is in the queue now, up to `most` messages; what comes meanwhile is left.

    An error of AWS ends the run and stands in the report; what was delivered until then is deleted.
    """
    queue = Queue(stack.session, stack.undelivered_queue, stack.topics)
    report = Redelivery(queue.name, True, queue.waiting)
    delivery = _Delivery(stack, queue, pace, report)
    try:
        while (most is None or report.messages < most) and delivery.round(most):
            pass
    except (UserError, *AWS_ERRORS) as error:
        report.stopped = str(error) if isinstance(error, UserError) else explain(error)
    finally:
        delivery.close()
    report.repeated = delivery.sender.repeated
    return report


class _Delivery:
    """One run, in rounds of messages that are held, delivered and deleted."""

    def __init__(self, stack: Stack, queue: Queue, pace: Pace, report: Redelivery) -> None:
        self._stack = stack
        self._queue = queue
        self._pace = pace
        self._report = report
        self._lambda = stack.session.client("lambda")
        self.sender = Sender(stack.session, stack.stream, pace)
        self._done: set[str] = set()  # delivered, although perhaps not deleted
        self._unsent: dict[str, Held] = {}  # stay in the queue, to be released at the end
        self._line = StatusLine()

    def round(self, most: int | None) -> bool:
        """False when there is nothing more to do."""
        held: dict[str, Held] = {}
        wanted = self._pace.within(ROUND_SECONDS, ROUND)
        if most is not None:
            wanted = min(wanted, most - self._report.messages)
        more = True
        try:
            while more and len(held) < wanted:
                found = self._queue.receive(wanted - len(held))
                more = sum(self._sort(each, held) for each in found) > 0
            self._deliver(held)
        finally:
            delivered = [each for each in held.values() if each.id in self._done]
            self._unsent |= {each.id: each for each in held.values() if each.id not in self._done}
            self._report.undeleted += self._queue.delete(delivered)
        return more

    def close(self) -> None:
        """Gives back what is not delivered."""
        self._line.clear()
        self._queue.release(list(self._unsent.values()))

    def _sort(self, each: Held, held: dict[str, Held]) -> bool:
        """Whether it was in the queue when the run began and is seen for the first time; else no more is to come."""
        if each.id in self._done or each.id in held:  # not deleted, or held for too long: only the last handle is good
            held[each.id] = each
            return False
        fresh = each.id not in self._unsent
        if fresh and each.sent_ms > self._queue.opened_ms:
            self._report.newer += 1
            self._unsent[each.id] = each
            return False
        if fresh:
            self._report.take(each)
            if each.task.sendable:
                held[each.id] = each
                return True
            self._report.leave(each.task.reason)
        self._unsent[each.id] = each
        return fresh

    def _deliver(self, held: dict[str, Held]) -> None:
        """The stream first: an alert that cannot be sent must not delay a reading."""
        fresh = [each for each in sorted(held.values(), key=lambda h: h.sent_ms) if each.id not in self._done]
        records = ((each.id, each.task.record) for each in fresh)
        in_stream = set()
        try:
            for sent in self.sender.send(Outgoing(name, *record) for name, record in records if record):
                in_stream.add(sent.name)
                self._report.to_stream += 1
                self._line.say(lambda: f"{self._report.to_stream} records sent")
        finally:  # whatever stops the run
            self._done |= {name for name in in_stream if held[name].task.event is None}
        for each in fresh:
            if each.task.event is not None and self._call(each.task.event):
                self._done.add(each.id)

    def _call(self, event: bytes) -> bool:
        """Whether Lambda has taken the event."""
        time.sleep(self._pace.delay(1))
        try:
            self._lambda.invoke(FunctionName=self._stack.alert_function, InvocationType="Event", Payload=event)
        except ClientError as error:
            if code(error) not in REFUSED:
                raise
            self._report.leave(f"refused by the alert function: {code(error)}")
            return False
        self._report.to_function += 1
        self._line.say(lambda: f"{self._report.to_function} alerts sent")
        return True
