"""Pure: what a device publishes, and what must become of it.

A `Message` travels with its expectation: the rows it must leave in the table, or the reasons why its
readings must be rejected. The ledger keeps that, the audit compares it with
what is there.

Every message carries its number as the field `n` (also the malformed ones, as text), or where another contract reads
it, as the text `"message":"#..."`, which no contract takes for a number. So it can be found again in the stream and in
the archive however it was wrapped on the way: see `number_of`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

Shape = Literal["humidity", "sensorid"]

ARRIVAL = 0
"""Instead of a reading's time: it is that of its arrival in the stream."""

_NUMBER = re.compile(rb'"(?:n|message)\\?"\s*:\s*(?:"#)?(\d+)')


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement: device name, time in ms since the epoch or ARRIVAL, the value exactly as it is sent.

    `value` is "" for a reading that has `measures` alone. `value_name` is what alerts call the value; "" for any name.
    """

    device: str
    time_ms: int
    value: str
    quoted: bool = False  # sent as a JSON string, as the first message of each device
    measures: Mapping[str, str] = field(default_factory=dict)
    value_name: str = ""

    def number(self, name: str) -> str | None:
        """What an alert on a field of this name looks at; None where the reading has no such number."""
        if name in self.measures:
            return self.measures[name]
        return self.value if self.value and (name == "value" or self.value_name in ("", name)) else None


@dataclass(frozen=True, slots=True)
class Message:
    """One publish. `rejects` are the reasons of the dead letter, in the order of the readings in the
    payload."""

    number: int
    device: str  # names the topic, the client and the partition key
    payload: bytes
    rows: tuple[Measurement, ...]
    rejects: tuple[str, ...] = ()
    repeats: bool = False  # uses a key (device, time) that was sent before
    pattern: int = 0  # which of the topic patterns it is published on, or the last one


def encode(reading: Measurement, number: int, shape: Shape) -> str:
    """One reading as JSON on one line. `humidity` is the shape of IoT devices, `sensorid` the older one."""
    value = f'"{reading.value}"' if reading.quoted else reading.value
    name = json.dumps(reading.device, ensure_ascii=False)
    if shape == "sensorid":
        return f'{{"sensorid":{name},"value":{value},"timestamp":"{iso_utc(reading.time_ms)}","n":{number}}}'
    local = datetime.fromtimestamp(reading.time_ms / 1000).isoformat()  # naive local time, as devices send
    return (
        f'{{"name":{name},"humidity":{value},"timeStampEpoch":{reading.time_ms},"timeStampIso":"{local}","n":{number}}}'
    )


def single(reading: Measurement, number: int, shape: Shape, *, repeats: bool = False) -> Message:
    payload = encode(reading, number, shape).encode()
    return Message(number, reading.device, payload, (reading,), repeats=repeats)


def batch(readings: Sequence[Measurement], number: int, shape: Shape, *, lines: bool) -> Message:
    """A gateway's message: one JSON array, or one document a line."""
    documents = [encode(reading, number, shape) for reading in readings]
    text = "\n".join(documents) if lines else f"[{','.join(documents)}]"
    return Message(number, readings[0].device, text.encode(), tuple(readings))


def iso_utc(time_ms: int) -> str:
    """The time as it stands in the table's sort key: `2026-11-22T10:48:16.123Z`."""
    seconds, millis = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def number_of(payload: bytes) -> int | None:
    """The number of the message that these bytes came from, or None when it is not ours."""
    found = _NUMBER.search(payload)
    return int(found[1]) if found else None
