"""Pure: what a message in the queue of undelivered messages is, and where it has to go.

Two senders share the queue. An IoT rule's error action writes what failed with the device's payload in base64
(AWS IoT developer guide, "Error handling (error action)"):

    {"ruleName": ..., "topic": "device/a/devicePayload", "cloudwatchTraceId": ..., "clientId": ...,
     "base64OriginalPayload": ..., "failures": [{"failedAction": "KinesisAction", "failedResource": ...,
     "errorMessage": ...}]}

Lambda writes the record of an asynchronous invocation that it gave up (Lambda developer guide, "Capturing records of
Lambda asynchronous invocations"):

    {"version": "1.0", "timestamp": ..., "requestContext": {"functionArn": ..., "condition": "RetriesExhausted", ...},
     "requestPayload": {...}, "responseContext": {...}, "responsePayload": {"errorType": ..., ...}}
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

import msgspec

from producer.fleet.topics import Pattern, device_of

MAX_RECORD = 1024 * 1024  # bytes of a record of Kinesis, its partition key included
MAX_KEY = 256  # characters
MAX_EVENT = 1024 * 1024  # bytes of an asynchronous invocation
STREAM, FUNCTION = "KinesisAction", "LambdaAction"
CODES = (
    re.compile(r"Error Code: ([A-Za-z.]+)"),
    re.compile(r"\b([A-Z][A-Za-z]*(?:Exception|Error|Denied|Exceeded))\b"),
)


class Failure(msgspec.Struct):
    """One failed action of a rule."""

    failedAction: str
    errorMessage: str = ""


class RuleError(msgspec.Struct):
    """What an error action receives, as far as it is needed."""

    topic: str
    base64OriginalPayload: str
    failures: list[Failure]


class Context(msgspec.Struct):
    """Of an invocation record."""

    condition: str


class Invocation(msgspec.Struct):
    """Lambda's record of an invocation; the payload stays as it is written, so that no number changes."""

    requestContext: Context
    requestPayload: msgspec.Raw = msgspec.Raw()
    responsePayload: Any = None


@dataclass(frozen=True, slots=True)
class Task:
    """What has to be done with a message: put `record` (partition key, data) into the stream, call the alert function
    with `event` (JSON), or both; `reason` says why it was not delivered. Neither: `reason` says why it cannot be."""

    reason: str
    record: tuple[str, bytes] | None = None
    event: bytes | None = None

    @property
    def sendable(self) -> bool:
        return self.record is not None or self.event is not None

    @property
    def goes_to(self) -> str:
        """For people and reports."""
        ways = [name for name, part in (("stream", self.record), ("function", self.event)) if part is not None]
        return "+".join(ways) or "nowhere"


_rule_errors, _invocations = msgspec.json.Decoder(RuleError), msgspec.json.Decoder(Invocation)


def task_of(body: str, topics: list[Pattern]) -> Task:
    """What to do with a message of this body; never raises. `topics` are those of the rules."""
    try:
        keys = msgspec.json.decode(body, type=dict[str, msgspec.Raw]).keys()
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Task("malformed: not a JSON object")
    try:
        if "base64OriginalPayload" in keys:
            return _of_rule(_rule_errors.decode(body), topics)
        if "requestContext" in keys:
            return _of_function(_invocations.decode(body))
    except (msgspec.DecodeError, RecursionError) as error:
        return Task(f"malformed: {error}")
    return Task("malformed: neither a rule's error nor an invocation record")


def _of_rule(error: RuleError, topics: list[Pattern]) -> Task:
    try:
        payload = base64.b64decode(error.base64OriginalPayload, validate=True)
    except (binascii.Error, ValueError):
        return Task("malformed: base64OriginalPayload is not base64")
    device = device_of(topics, error.topic)
    failed = {failure.failedAction: failure.errorMessage for failure in error.failures}
    if not failed.keys() & {STREAM, FUNCTION}:
        return Task(f"malformed: no failed action of ours ({', '.join(sorted(failed)) or 'none'})")
    reason = ", ".join(f"{action}: {_code(failed[action])}" for action in (STREAM, FUNCTION) if action in failed)
    record, event = None, None
    if STREAM in failed:
        key = device
        if not key or len(key) > MAX_KEY:
            return Task(f"malformed: no partition key in the topic {error.topic!r}")
        if len(payload) + len(key.encode()) > MAX_RECORD:
            return Task("too large: the stream takes 1 MB a record")
        record = (key, payload)
    if FUNCTION in failed:
        if problem := _no_event(payload):
            return Task(problem)
        event = _of_topic(payload, device)
    return Task(reason, record, event)


def _of_function(invocation: Invocation) -> Task:
    event = bytes(invocation.requestPayload)
    if problem := _no_event(event):
        return Task(problem)
    response = invocation.responsePayload
    kind = response.get("errorType") if isinstance(response, dict) else None
    return Task(": ".join(filter(None, ("alert function", invocation.requestContext.condition, kind))), event=event)


def _of_topic(payload: bytes, device: str | None) -> bytes:
    """The event as the rule would have made it, of which the queue keeps the message alone; every digit stays."""
    fields = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    return msgspec.json.encode(fields | {"sensorstreamDevice": device} if device else fields)


def _no_event(payload: bytes) -> str | None:
    """Why the alert function cannot be called with it; None when it can."""
    if len(payload) > MAX_EVENT:
        return "too large: an asynchronous invocation takes 1 MB"
    try:
        msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return "malformed: the alert function's event is not a JSON object"
    return None


def _code(message: str) -> str:
    """The error's name in a message for people; `other` when it has none."""
    return next((found[1] for code in CODES if (found := code.search(message))), "other")
