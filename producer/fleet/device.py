"""Pure: one simulated device, its signal and the times of its readings."""

import random
from typing import Literal

from producer.fleet.message import Measurement

Profile = Literal["drift", "uniform"]

LATE_MS = (60_000, 3_600_000)  # a late reading is one minute to one hour old
DIP_CHANCE, DIP_READINGS = 0.002, 4  # about one reading in a hundred lies in a dip


class Device:
    """A soil sensor. `drift`: humidity wanders between 37 and 70 and rarely dips below the usual threshold
    of 35 for a few readings, so that alerts are a few percent at most; `uniform`: any whole number of
    20..45, as the old simulator."""

    def __init__(self, name: str, profile: Profile, rng: random.Random) -> None:
        self.name = name
        self.last: Measurement | None = None
        self._profile = profile
        self._rng = rng
        self._level = rng.uniform(42, 60)
        self._dip = 0
        self._last_ms = 0

    def next_reading(self, now_ms: int, *, late: bool = False) -> Measurement:
        """The next reading; its time is now, or a millisecond after the one before, so that it has a key
        of its own."""
        if late:
            time_ms = now_ms - self._rng.randint(*LATE_MS)
        else:
            time_ms = self._last_ms = max(now_ms, self._last_ms + 1)
        first = self.last is None
        reading = Measurement(self.name, time_ms, "20" if first else self._value(), quoted=first)
        self.last = reading
        return reading

    def _value(self) -> str:
        if self._profile == "uniform":
            return str(self._rng.randint(20, 45))
        self._level = min(70.0, max(37.0, self._level + self._rng.gauss(0, 0.4)))
        if self._dip == 0 and self._rng.random() < DIP_CHANCE:
            self._dip = DIP_READINGS
        if self._dip:
            self._dip -= 1
            return f"{self._rng.uniform(25, 34.9):.1f}"
        return f"{self._level:.1f}"
