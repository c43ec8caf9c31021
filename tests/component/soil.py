"""Soil that dries and is watered, as simple as it can be and still be learned from.

Each device's soil loses water by evaporation: little at night, more with the sun, in proportion to what it holds above
its dry rest, by a factor of the soil's own and one of the day's weather, which nobody knows beforehand. Below 30 % it
is watered the next morning. What is measured has noise.
"""

import math
import random
from collections.abc import Iterator
from typing import NamedTuple

STEP_MINUTES = 30
DRY, WATER_BELOW, WATERED_BY, WATERED_AT = 8.0, 30.0, 32.0, 6  # percent, percent, percent, hour of the day


class Measured(NamedTuple):
    """What one device measures; `humidity` in percent, `truth` without the noise."""

    minute: int
    device: str
    humidity: float
    truth: float


def sun(hour: float) -> float:
    """From 0 at night to 1 at noon."""
    return max(0.0, math.sin(math.pi * (hour - 6) / 12))


def drier(humidity: float, minute: int, soil: float, weather: float) -> float:
    """The humidity one step later, without irrigation."""
    loss = soil * weather * (0.15 + sun(minute / 60 % 24)) * (humidity - DRY) / 40
    return humidity - loss * STEP_MINUTES / 60


def simulate(seed: int, devices: int, days: int) -> Iterator[Measured]:
    """All devices' readings in the order of time, from midnight of the first day on."""
    chance = random.Random(seed)
    soils = [chance.uniform(0.6, 1.6) for _ in range(devices)]
    humidity = [chance.uniform(35.0, 60.0) for _ in range(devices)]
    weather = [chance.uniform(0.7, 1.3) for _ in range(days)]
    for minute in range(0, days * 24 * 60, STEP_MINUTES):
        for device in range(devices):
            if humidity[device] < WATER_BELOW and minute % (24 * 60) == WATERED_AT * 60:
                humidity[device] += WATERED_BY
            truth = humidity[device]
            yield Measured(minute, f"soil-{device}", round(truth + chance.gauss(0, 0.3), 2), truth)
            humidity[device] = drier(truth, minute, soils[device], weather[minute // (24 * 60)])
