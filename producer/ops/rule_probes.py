"""Messages of every odd kind through IoT Core, and what came out of the stream: what the rules' SQL makes of them.

They are published under the device name `<stack>-probe` (over HTTPS, by IAM: no certificate is needed), one after the
other, and read again from the stream, so the consumer's own work is not touched. The first is a reading and leaves a
row of that device; the others become dead letters. None is low enough to raise an alert.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple

from producer.aws.errors import UserError
from producer.aws.stack import Stack
from producer.aws.stream_reader import Tail
from producer.ops.doctor import Check

SECONDS = 10.0  # for one of them to arrive


class Probe(NamedTuple):
    """`must` arrive, else readings get lost; of the others the documents do not say it all."""

    name: str
    payload: bytes
    must: bool


def messages(device: str, now_ms: int) -> list[Probe]:
    """What is published, in this order."""
    reading = f'{{"name":"{device}","humidity":99.0,"timeStampEpoch":{now_ms}}}'
    return [
        Probe("reading", reading.encode(), True),
        Probe("34 digits", b'{"probe":0.1234567890123456789012345678901234}', True),
        Probe("35 digits", b'{"probe":0.12345678901234567890123456789012345}', True),
        Probe("duplicate keys", b'{"probe":1,"probe":2}', True),
        Probe("array", b'[{"probe":1},{"probe":2}]', False),
        Probe("string", b'"probe"', False),
        Probe("lines", b'{"probe":1}\n{"probe":2}', False),
        Probe("binary", b"\xff\xfe\x00probe", False),
        Probe("empty", b"", False),
    ]


def probe(stack: Stack, seconds: float = SECONDS) -> Iterator[Check]:
    """Publishes each message, waits for it, and returns what arrived."""
    device = f"{stack.name}-probe"
    tail, publisher = Tail(stack.session, stack.stream, device), stack.session.client("iot-data")
    for each in messages(device, time.time_ns() // 1_000_000):
        publisher.publish(topic=stack.topics[0].topic(device), qos=1, payload=each.payload)
        yield judged(each, [record.data for record in tail.next(seconds)])
        if tail.ended:
            raise UserError("the stream's shards changed meanwhile; run it again")


def judged(each: Probe, came: list[bytes]) -> Check:
    """What became of one of them."""
    name = f"probe: {each.name}"
    if not came and each.must:
        remedy = "the readings rule does not deliver: see what is undelivered (above), the rule's metrics, IoT's log"
        return Check(name, "finding", "published, and not in the stream", remedy)
    if not came:
        return Check(name, "ok", "does not reach the stream: do not send such payloads")
    if len(came) > 1:
        return Check(name, "ok", f"reaches the stream {len(came)} times: {_shown(came[0])}")
    if came[0] == each.payload:
        return Check(name, "ok", "reaches the stream byte for byte")
    return Check(name, "ok", f"{_shown(each.payload)} is in the stream as {_shown(came[0])}")


def _shown(data: bytes) -> str:
    """For people, on one line."""
    text = data.decode(errors="backslashreplace")
    return text.replace("\n", "\\n") if text else "nothing"
