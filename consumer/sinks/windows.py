"""Rollups, pure: what the readings of one device in one window of time come to.

Nothing is rounded: a sum has as many digits as it needs. Two rollups are merged in the order of the stream; the order
matters only to the last value, where two readings have the same time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Context, Decimal, InvalidOperation, Overflow, Rounded
from typing import Final

from consumer.payload.reading import Reading

VALUE: Final = ""
"""The name of a reading's value among the numbers of a window; measures have a name."""
MAX_NUMBERS: Final = 200
"""Different names in one window, so that a row stays below DynamoDB's 400 KB; numbers of further names are counted."""

# Numbers lie between 1E-130 and 9.99E+125 (payload/values.py): sums of them have some 260 digits.
_sum: Final = Context(prec=400, traps=[InvalidOperation, Overflow, Rounded]).add

Key = tuple[str, int]
"""A device, and the first millisecond (since the epoch) of a window."""


@dataclass(slots=True)
class Summary:
    """The numbers of one name; `at` is the time of the reading with the last one, in ms since the epoch."""

    last: Decimal
    at: int
    low: Decimal
    high: Decimal
    total: Decimal
    count: int = 1

    def add(self, number: Decimal, at: int) -> None:
        """Takes in the number of a reading that is further on in the stream."""
        if at >= self.at:
            self.last, self.at = number, at
        if number < self.low:
            self.low = number
        elif number > self.high:
            self.high = number
        self.total = _sum(self.total, number)
        self.count += 1

    def merged(self, later: "Summary") -> "Summary":
        """Both; `later` is of readings that are further on in the stream."""
        end = later if later.at >= self.at else self
        low, high = min(self.low, later.low), max(self.high, later.high)
        return Summary(end.last, end.at, low, high, _sum(self.total, later.total), self.count + later.count)


@dataclass(slots=True)
class Window:
    """The readings of one device in one window: the times of the first and last measurement, their count, and their
    numbers by name. `left_out` counts numbers beyond MAX_NUMBERS names."""

    first: int
    last: int
    readings: int = 0
    numbers: dict[str, Summary] = field(default_factory=dict)
    left_out: int = 0

    def add(self, reading: Reading) -> None:
        """Takes in a reading that is further on in the stream."""
        at = reading.time_ms
        self.first, self.last = min(self.first, at), max(self.last, at)
        self.readings += 1
        if reading.value is not None:
            self._add(VALUE, reading.value, at)
        for name, number in reading.measures.items() if reading.measures else ():
            self._add(name, number, at)

    def _add(self, name: str, number: Decimal, at: int) -> None:
        if summary := self.numbers.get(name):
            summary.add(number, at)
        elif len(self.numbers) < MAX_NUMBERS:
            self.numbers[name] = Summary(number, at, number, number, number)
        else:
            self.left_out += 1

    def merged(self, later: "Window") -> "Window":
        """Both; `later` is of readings that are further on in the stream."""
        numbers, left_out = dict(self.numbers), self.left_out + later.left_out
        for name, summary in later.numbers.items():
            if name in numbers:
                numbers[name] = numbers[name].merged(summary)
            elif len(numbers) < MAX_NUMBERS:
                numbers[name] = summary
            else:
                left_out += summary.count
        first, last = min(self.first, later.first), max(self.last, later.last)
        return Window(first, last, self.readings + later.readings, numbers, left_out)


def windows(readings: Iterable[Reading], seconds: int, found: dict[Key, Window]) -> None:
    """Takes readings, in the order of the stream, into the windows `found`, which begin at whole multiples of `seconds`
    since the epoch."""
    length = seconds * 1000
    for reading in readings:
        at = reading.time_ms
        key = reading.device, at - at % length
        window = found.get(key)
        if window is None:
            window = found[key] = Window(at, at)
        window.add(reading)
