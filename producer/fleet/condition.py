"""Pure: for which readings a deployment raises alerts, and which of a message's must be heard of.

The data stack's outputs say it: who tests the condition (AlertSource), the field, the direction, the threshold, and the
greatest age at arrival.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Self

from producer.fleet.message import ARRIVAL, Message

NAMES = ("Source", "Field", "When", "Threshold", "MaxAge")
_SQL_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE]-?\d+)?")


class Condition(NamedTuple):
    """The parameters of the template, with their defaults."""

    source: str = "rule"
    field: str = "humidity"
    when: str = "below"
    threshold: Decimal = Decimal(35)
    max_age: int = 86_400  # seconds; 0 for any

    @classmethod
    def of(cls, outputs: Mapping[str, str]) -> Self:
        """That of a data stack; raises KeyError for an output that is missing."""
        source, field, when, threshold, max_age = (outputs[f"Alert{name}"] for name in NAMES)
        return cls(source, field, when, Decimal(threshold), int(max_age))

    def meets(self, value: Decimal | int) -> bool:
        """Compared as decimals, as rule and consumer do: no float lies between."""
        return value > self.threshold if self.when == "above" else value < self.threshold

    def expected(self, message: Message, at: int, *, through_rules: bool) -> list[tuple[str, str]]:
        """(device, value as written) of each alert that a message, published at this time (ms), must raise.

        The consumer looks at every reading; the rule at single messages, and only where they came through it.
        """
        if self.source == "consumer":
            numbers = [(row.device, row.number(self.field)) for row in message.rows if self._young(at, row.time_ms)]
            return [(device, number) for device, number in numbers if number and self.meets(Decimal(number))]
        found = self.of_payload(message.payload, message.device) if through_rules else None
        old = any(not self._young(at, row.time_ms) for row in message.rows)
        return [found] if found and not old else []

    def of_payload(self, payload: bytes, device: str) -> tuple[str, str] | None:
        """What the rule finds in a payload, by AWS IoT SQL's conversions: a number, or a string that looks like one;
        anything else is Undefined and fires nothing, and so is an array. `device` is that of the topic."""
        try:
            document = json.loads(payload, parse_float=Decimal, parse_constant=_no_number)
        except ValueError:
            return None
        if not isinstance(document, dict):
            return None
        value: Any = document
        for key in self.field.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str):
            if not _SQL_NUMBER.fullmatch(value.strip()):
                return None
        elif isinstance(value, bool) or not isinstance(value, int | Decimal):
            return None
        return (str(document.get("name", device)), str(value)) if self.meets(Decimal(value)) else None

    def _young(self, at: int, time_ms: int) -> bool:
        return not self.max_age or time_ms == ARRIVAL or at - time_ms <= self.max_age * 1000


def _no_number(name: str) -> None:
    """NaN and the infinities are no JSON."""
    raise ValueError(name)
