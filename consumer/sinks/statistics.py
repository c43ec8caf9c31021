"""Statistic sets of the readings, per minute of measurement time, for CloudWatch. Pure but for the clock."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from consumer.payload.reading import Reading

METRIC: Final = "SensorData"
MAX_SETS: Final = 50_000  # ~15 MB; a minute of readings makes two or three, with a dimension as many per sensor
# CloudWatch takes times from 14 days ago to 2 hours ahead; the margins are for the time until they are sent.
OLDEST_MINUTES: Final = 14 * 24 * 60 - 5
NEWEST_MINUTES: Final = 2 * 60 - 1
MAX_MAGNITUDE: Final = 2.0**360  # magnitudes that CloudWatch takes, also as a sum
MIN_MAGNITUDE: Final = 2.0**-360
MAX_DIMENSION: Final = 1024  # characters


class Key(NamedTuple):
    """The key of a statistic set; `minute` counts from the epoch."""

    metric: str
    minute: int
    sensor: str | None


class Statistics(msgspec.Struct, gc=False):
    """A statistic set: `count` numbers, their sum, their minimum and maximum."""

    count: int = 0
    total: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf

    def include(self, count: int, total: float, minimum: float, maximum: float) -> bool:
        """Adds further numbers; False, without a change, if the sum would leave CloudWatch's range."""
        if abs(self.total + total) > MAX_MAGNITUDE:
            return False
        self.count += count
        self.total += total
        self.minimum = min(self.minimum, minimum)
        self.maximum = max(self.maximum, maximum)
        return True


class Sums:
    """The statistic sets not yet sent. What CloudWatch would refuse is left out and counted in `omitted`, by reason."""

    def __init__(self, per_sensor: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.omitted: dict[str, int] = {}
        self._per_sensor = per_sensor
        self._clock = clock
        self._sets: dict[Key, Statistics] = {}

    def add(self, readings: Iterable[Reading]) -> None:
        """Counts readings whose rows are durable."""
        now = int(self._clock() // 60)
        groups: defaultdict[tuple[str, int, str | None], list[float]] = defaultdict(list)
        for reading in readings:
            if reading.value is None:
                continue
            minute = reading.time_ms // 60_000
            value = float(reading.value)
            if not -OLDEST_MINUTES <= minute - now <= NEWEST_MINUTES:
                self._omit("too-old" if minute < now else "too-new")
            elif value and not MIN_MAGNITUDE <= abs(value) <= MAX_MAGNITUDE:
                self._omit("out-of-range")
            else:
                groups[METRIC, minute, None].append(value)
                if self._per_sensor:
                    groups[METRIC, minute, reading.device].append(value)
        for key, values in groups.items():
            self.include(Key(*key), len(values), sum(values), min(values), max(values))

    def include(self, key: Key, count: int, total: float, minimum: float, maximum: float) -> None:
        """Adds `count` numbers to a set, if there is room."""
        if key.sensor is not None and not _dimension(key.sensor):
            self._omit("sensor-name", count)
            return
        found = self._sets.get(key)
        if found is None:
            if len(self._sets) >= MAX_SETS:
                self._omit("full", count)
                return
            found = self._sets[key] = Statistics()
        if not found.include(count, total, minimum, maximum):
            self._omit("out-of-range", count)

    def take(self) -> dict[Key, Statistics]:
        """Removes and returns the sets, without those that have become too old."""
        oldest = int(self._clock() // 60) - OLDEST_MINUTES
        taken, self._sets = self._sets, {}
        for key in [key for key in taken if key.minute < oldest]:
            self._omit("too-old", taken.pop(key).count)
        return taken

    def give_back(self, sets: Mapping[Key, Statistics]) -> None:
        """Takes back what could not be sent."""
        for key, found in sets.items():
            self.include(key, found.count, found.total, found.minimum, found.maximum)

    def _omit(self, why: str, count: int = 1) -> None:
        self.omitted[why] = self.omitted.get(why, 0) + count


def _dimension(sensor: str) -> bool:
    """Whether CloudWatch takes the name as a dimension's value."""
    return (
        len(sensor) <= MAX_DIMENSION
        and sensor.isascii()
        and sensor.isprintable()
        and not sensor.isspace()
        and not sensor.startswith(":")
    )
