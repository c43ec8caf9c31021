"""Pure: a fleet whose messages are made after examples, for payloads that only a reading contract knows.

An example is a message and the rows that it gives, both as JSON text. The same parts of both texts are replaced: what
names the device, the times, and the numbers that stand in the rows. So the rows of each message are known without
reading it by its contract.
"""

import json
import random
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal

from producer.fleet.condition import Condition
from producer.fleet.malformed import malformed
from producer.fleet.message import ARRIVAL, Measurement, Message
from producer.fleet.order import Mix

DAY = 86_400
ALERT_CHANCE = 0.05  # of a message after the first of a device
UNITS = (1, 10**3, 10**6, 10**9)  # of a time, in a second
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?')
_TIME = re.compile(r"\d{4}-\d\d-\d\d(.)\d\d:\d\d:\d\d")


@dataclass(frozen=True, slots=True)
class Example:
    """A message, and its rows as `[[SensorId, Timestamp in ms, Value, Measures], ...]`. `names` are the texts that name
    the device in both, the first as partition key; `pattern` is that of its topic."""

    names: tuple[str, ...]
    payload: str
    rows: str
    pattern: int


@dataclass(frozen=True, slots=True)
class Family:
    """Examples that arrived at one time, in s since the epoch: a row of just that time has none of its own.

    `zone` is that of times without one. `value_name` is what alerts call a value; where it is empty, they call it by
    the last part of its device.
    """

    examples: tuple[Example, ...]
    arrival: int
    zone: tzinfo
    value_name: str = ""

    def rows(self, text: str, arrival_s: int) -> tuple[Measurement, ...]:
        """The rows of a message that was moved to another time of arrival."""
        return tuple(self._row(arrival_s, *row) for row in json.loads(text, parse_int=Decimal, parse_float=Decimal))

    def _row(
        self, arrival_s: int, device: str, time_ms: Decimal, value: Decimal | None, measures: dict[str, Decimal] | None
    ) -> Measurement:
        return Measurement(
            device,
            ARRIVAL if time_ms == arrival_s * 1000 else int(time_ms),
            "" if value is None else str(value),
            measures={name: str(number) for name, number in (measures or {}).items()},
            value_name=self.value_name or device.rpartition("/")[2],
        )


@dataclass(frozen=True, slots=True)
class Variation:
    """An example of another device, later by some seconds, with other numbers. `millis` are added to counts that are
    fine enough, so that messages of one second can differ."""

    family: Family
    example: Example
    device: str
    seconds: int
    numbers: Mapping[Decimal, str]
    millis: int = 0

    def message(self, number: int, *, repeats: bool) -> Message:
        """Its message of this number."""
        payload = self.payload().replace("{", f'{{"message":"#{number}",', 1)
        rows = self.family.rows(self._of(self.example.rows), self.family.arrival + self.seconds)
        return Message(number, self.device, payload.encode(), rows, repeats=repeats, pattern=self.example.pattern)

    def payload(self) -> str:
        """The example's payload, moved."""
        return self._of(self.example.payload)

    def _of(self, text: str) -> str:
        return _TOKEN.sub(self._token, text)

    def _token(self, found: re.Match[str]) -> str:
        text = found[0]
        if text in self.example.names:
            return json.dumps(self.device)
        if text.startswith('"'):
            return self._string(text)
        number = Decimal(text)
        for unit in UNITS:
            if abs(number / unit - self.family.arrival) < DAY:
                return str(number + self.seconds * unit + self.millis * (unit // 1000))
        return self.numbers.get(number, text)

    def _string(self, text: str) -> str:
        if found := _TIME.match(text, 1):
            time = datetime.fromisoformat(text[1:-1])
            own = time if time.tzinfo else time.replace(tzinfo=self.family.zone)
            if abs(own.timestamp() - self.family.arrival) < DAY:
                moved = datetime.fromtimestamp(own.timestamp() + self.seconds, own.tzinfo)
                return f'"{moved:%Y-%m-%d}{found[1]}{moved:%H:%M:%S}{text[found.end() :]}'
        for name in self.example.names:
            text = text.replace(name, self.device)
        return text


class ExampleFleet:
    """Devices that speak in turn, each by the examples of one name in turn. Of the mix `malformed` and `duplicates`
    count: text instead of JSON, and the same readings in one more message.

    The first message of each device that can raise an alert does so, and one of twenty after it.
    """

    def __init__(
        self,
        names: Sequence[str],
        family: Family,
        condition: Condition,
        mix: Mix,
        *,
        first_number: int,
        seed: int | None = None,
    ) -> None:
        self._family = family
        self._condition = condition
        self._mix = mix
        self._number = first_number
        self._rng = random.Random(seed)
        self._last: dict[str, Variation] = {}
        self._alerted: set[str] = set()
        keys = list(dict.fromkeys(example.names[0] for example in family.examples))
        own = [deque(each for each in family.examples if each.names[0] == key) for key in keys]
        self._devices = deque((name, own[i % len(own)].copy()) for i, name in enumerate(names))

    def next_message(self, now_ms: int) -> Message:
        """The message of the device whose turn it is."""
        name, examples = self._devices[0]
        self._devices.rotate(-1)
        self._number += 1
        if self._rng.random() < self._mix.malformed:
            return malformed(name, self._number - 1, kind=0, binary=False)
        repeats = name in self._last and self._rng.random() < self._mix.duplicates
        if not repeats:
            examples.rotate(-1)
            seconds = now_ms // 1000 - self._family.arrival
            self._last[name] = Variation(self._family, examples[-1], name, seconds, self._numbers(name, examples[-1]))
        return self._last[name].message(self._number - 1, repeats=repeats)

    def remaining(self) -> Iterator[Message]:
        """None: no message is held back."""
        return iter(())

    def _numbers(self, name: str, example: Example) -> dict[Decimal, str]:
        """Others for the numbers of an example's rows, but for 0 and 1, which may be switches."""
        rows = self._family.rows(example.rows, self._family.arrival)
        field = self._condition.field
        looked_at = {each for row in rows for part in (field, field.rpartition(".")[2]) if (each := row.number(part))}
        numbers = {each for row in rows for each in (row.value, *row.measures.values()) if each not in ("", "0", "1")}
        alerts = bool(looked_at) and (name not in self._alerted or self._rng.random() < ALERT_CHANCE)
        if alerts:
            self._alerted.add(name)
        return {
            Decimal(each): self._beyond(each) if alerts and each in looked_at else self._near(each)
            for each in sorted(numbers)
        }

    def _near(self, number: str) -> str:
        return _rounded(float(number) * self._rng.uniform(0.97, 1.03), number)

    def _beyond(self, number: str) -> str:
        """A number that raises an alert."""
        threshold = float(self._condition.threshold)
        margin = max(1.0, abs(threshold) * 0.1) * self._rng.uniform(0.6, 1.4)
        return _rounded(threshold + margin if self._condition.when == "above" else threshold - margin, number)


def _rounded(number: float, like: str) -> str:
    """With as many decimal places."""
    return f"{number:.{len(like.partition('.')[2])}f}"
