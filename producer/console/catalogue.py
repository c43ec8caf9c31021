"""What may be published: the payloads of docs/devices and of the built-in contracts, with their contracts.

`catalogue.json` is made from those pages (make docs), since a wheel holds none of them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from consumer.payload.contract import parse
from consumer.payload.contracts import Contracts
from consumer.payload.decode import decode
from producer.fleet.examples import Example, Family, Variation
from producer.fleet.message import iso_utc

FILE = Path(__file__).with_name("catalogue.json")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of device. `arrival` is when its examples arrived, in s since the epoch."""

    name: str
    title: str
    contracts: Contracts
    family: Family

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Kind":
        """From an entry of the file."""
        examples = tuple(
            Example(tuple(each["names"]), each["payload"], "[]", each["pattern"]) for each in entry["examples"]
        )
        zone = ZoneInfo(entry["zone"])
        contracts = Contracts(parse(json.dumps(entry["contract"]).encode()))
        return cls(entry["name"], entry["title"], contracts, Family(examples, entry["arrival"], zone))

    def as_json(self) -> dict[str, Any]:
        """For the page that publishes."""
        examples = [{"device": each.names[0], "payload": each.payload} for each in self.family.examples]
        return {"name": self.name, "title": self.title, "examples": examples}

    def payload(self, example: int, text: str, device: str, now_ms: int) -> bytes:
        """The text, which was this example before a person changed it, for a device and as of now: names and times are
        replaced as far as they are still the example's."""
        source = self.family.examples[example]
        changed = Example(source.names, text, "[]", source.pattern)
        seconds = now_ms // 1000 - self.family.arrival
        return Variation(self.family, changed, device, seconds, {}, now_ms % 1000).payload().encode()

    def outcome(self, data: bytes, device: str, now_ms: int) -> "Outcome":
        """What this contract makes of a payload that arrives now."""
        decoded = decode(data, self.contracts, device, now_ms)
        readings = [
            Expected(reading.device, None if reading.arrived else reading.time_ms, _numbers(reading))
            for reading in decoded.readings
        ]
        return Outcome(readings, [{"reason": each.reason, "detail": each.detail} for each in decoded.rejects])


@dataclass(frozen=True, slots=True)
class Expected:
    """A row to come. `time_ms` is None where it will be that of its arrival."""

    device: str
    time_ms: int | None
    numbers: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        time = None if self.time_ms is None else iso_utc(self.time_ms)
        return {"device": self.device, "time": time, "numbers": self.numbers}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rows and the rejects of one message."""

    readings: list[Expected]
    rejects: list[dict[str, str]]

    def as_json(self) -> dict[str, Any]:
        return {"readings": [each.as_json() for each in self.readings], "rejects": self.rejects}


def _numbers(reading: Any) -> dict[str, str]:
    value = {} if reading.value is None else {reading.field or "value": str(reading.value)}
    return value | {name: str(number) for name, number in (reading.measures or {}).items()}


@cache
def kinds() -> dict[str, Kind]:
    """All of them by name, the built-in one first."""
    return {entry["name"]: Kind.of(entry) for entry in json.loads(FILE.read_text())}
