"""The recorded input: readings and the records that hold them, from a seed, so that every peer gets the same."""

import base64
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

FIRST_SEQUENCE = 49590338271490256608559692538361571095921575989136588898
"""A sequence number as Kinesis gives them; `part` 0 begins here."""
PART = 10**9
"""Distance in sequence numbers between two parts."""
DEVICES = 9999


@dataclass(frozen=True)
class Recorded:
    """One record of the stream: its number, its partition key, the payload, and its arrival in ms since the epoch."""

    sequence: int
    key: str
    data: bytes
    arrival: int


def reading(chance: random.Random, device: str, time_ms: int, padding: int = 0) -> bytes:
    """A payload of the second generation (docs/payloads.md) of a device at `time_ms`: about 110 bytes, and padding."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_ms / 1000))
    payload = {
        "name": device,
        "humidity": chance.randint(0, 100),
        "timeStampEpoch": time_ms,
        "timeStampIso": f"{moment}.{chance.randint(0, 999999):06d}",
    }
    if padding:
        payload["padding"] = "x" * padding
    return json.dumps(payload, separators=(",", ":")).encode()


def records(part: int, readings: int, since: int, per_record: int = 1, padding: int = 0) -> Iterator[Recorded]:
    """`readings` readings, measured and arrived from `since` (ms since the epoch) on, one a millisecond.

    `per_record` of them share a record as a JSON array. Parts follow each other in sequence numbers and in time."""
    chance = random.Random(part)
    start = since + part * readings
    for place in range(0, readings, per_record):
        count = min(per_record, readings - place)
        payloads = [reading(chance, _device(chance), start + place + i, padding) for i in range(count)]
        data = payloads[0] if per_record == 1 else b"[" + b",".join(payloads) + b"]"
        key = _device(chance)
        yield Recorded(FIRST_SEQUENCE + part * PART + place, key, data, start + place)


def _device(chance: random.Random) -> str:
    return f"soilSensor{chance.randint(1, DEVICES)}"


def deliveries(found: list[Recorded], size: int) -> list[bytes]:
    """The daemon's `processRecords` lines for records, `size` of them in each."""
    return [_line(found[i : i + size]) for i in range(0, len(found), size)]


def _line(found: list[Recorded]) -> bytes:
    """With the fields, and in the order, in which the daemon writes them."""
    action = {
        "action": "processRecords",
        "records": [
            {
                "data": base64.b64encode(each.data).decode(),
                "partitionKey": each.key,
                "sequenceNumber": str(each.sequence),
                "subSequenceNumber": 0,
                "approximateArrivalTimestamp": each.arrival,
                "action": "record",
            }
            for each in found
        ],
        "millisBehindLatest": 0,
    }
    return json.dumps(action, separators=(",", ":")).encode() + b"\n"
