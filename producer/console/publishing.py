"""Messages that a person publishes: over MQTT as devices whose certificates are here, or straight into the stream."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal

from producer.aws.errors import UserError
from producer.aws.pace import Pace
from producer.aws.put_records import Outgoing, Sender
from producer.aws.stack import Stack, ca_file, devices_dir
from producer.aws.stream_reader import Tail
from producer.fleet.credentials import Credentials
from producer.fleet.message import Message
from producer.fleet.provision import provision
from producer.ops.undelivered import MAX_KEY

Way = Literal["mqtt", "kinesis"]
MOST = 20  # devices of one publish
SECONDS = 20.0  # for the acknowledgements
_numbers = count(1)


@dataclass(slots=True)
class Published:
    """A message that was acknowledged at `at` (ms). Over MQTT its place in the stream is not known yet."""

    device: str
    data: bytes
    at: int
    shard: str | None = None
    sequence: int | None = None
    tail: Tail | None = None  # where it will be seen in the stream; None where this role may not look


def certificates() -> list[str]:
    """The devices whose certificates and keys are here."""
    folder = devices_dir()
    names = sorted(path.parent.name for path in folder.glob("*/device.json"))
    return [name for name in names if Credentials(name, folder / name).certificate_id()]


def make_certificate(stack: Stack, device: str) -> None:
    """Registers a device with a certificate of its own; one that is there is kept."""
    provision(stack.session, [device], stack.device_policy, devices_dir())


def check(devices: Sequence[str]) -> None:
    """Raises UserError for names that cannot be published for."""
    if not 0 < len(devices) <= MOST:
        raise UserError(f"1 to {MOST} devices at a time, not {len(devices)}")
    if twice := {name for name in devices if devices.count(name) > 1}:
        raise UserError(f"device {min(twice)} is named twice")
    for name in devices:
        if not 0 < len(name) <= MAX_KEY:
            raise UserError(f"a device's name has 1..{MAX_KEY} characters, since it is the stream's partition key")


def into_stream(stack: Stack, payloads: dict[str, bytes]) -> list[Published]:
    """One record for each device; returns when all are in the stream."""
    outgoing = (Outgoing(device, device, data) for device, data in payloads.items())
    sent = Sender(stack.session, stack.stream, Pace(None)).send(outgoing)
    return [
        Published(put.name, payloads[put.name], time.time_ns() // 1_000_000, put.shard, int(put.sequence_number))
        for put in sent
    ]


def over_mqtt(stack: Stack, payloads: dict[str, bytes], tails: dict[str, Tail | None], topic: int) -> list[Published]:
    """One message for each device on its topic, with its own certificate; returns when all are acknowledged.

    Raises UserError for a device without a certificate here, or whose message was not acknowledged.
    """
    from producer.fleet.mqtt import MqttTransport  # the device SDK takes a while to import

    devices = [Credentials(name, devices_dir() / name) for name in payloads]
    for device in devices:
        if device.certificate_id() is None:
            raise UserError(f"device {device.name} has no certificate here; make one, or put it into the stream")
    published: list[Published] = []
    refused: list[str] = []
    lock = threading.Lock()

    def done(message: Message, _at: int, acknowledged: bool, _attempts: int) -> None:
        now, name = time.time_ns() // 1_000_000, message.device
        with lock:
            if acknowledged:
                published.append(Published(name, message.payload, now, tail=tails.get(name)))
            else:
                refused.append(name)

    pattern = stack.topics[min(topic, len(stack.topics) - 1)]
    topics = {name: pattern.topic(name) for name in payloads}
    transport = MqttTransport(
        stack.iot_host, stack.iot_port, ca_file(), devices, lambda message: topics[message.device], done
    )
    try:
        for name, data in payloads.items():
            transport.publish(Message(next(_numbers), name, data, ()))
    finally:
        transport.close(SECONDS)
    if refused:
        raise UserError(f"the broker has not acknowledged the message of {', '.join(sorted(refused))}")
    return published
