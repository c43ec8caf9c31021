"""When each device's soil will need water: a forecast of humidity, learned from the archive. docs/forecast.md

Reads hourly means as `sensorstream sql --csv` prints them (device, hour_start, mean); prints a line for each device.
"""

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

HOUR = 3600
BACK = 6  # hours of which a forecast knows
AHEAD = 48  # hours that it looks ahead
WATERED = 3.0  # a rise within an hour that only irrigation or rain makes
Series = dict[int, float]
"""Humidity by the hour since the epoch; an hour without a reading is not in it."""


class Example(NamedTuple):
    """What is known at an hour of a device, and what became of it `ahead` hours later."""

    known: list[float]
    change: float
    hour: int


def series(rows: Iterable[dict[str, str]]) -> dict[str, Series]:
    """The rows of the query, by device."""
    found: dict[str, Series] = defaultdict(dict)
    for row in rows:
        at = datetime.fromisoformat(row["hour_start"]).replace(tzinfo=UTC)
        found[row["device"]][int(at.timestamp()) // HOUR] = float(row["mean"])
    return found


def known(of: Series, hour: int, ahead: int) -> list[float]:
    """Level, changes, hour of the day and distance; NaN, which the model knows, where there was no reading."""
    now, before, first = (of.get(hour - back, np.nan) for back in (0, 1, BACK))
    angle = 2 * np.pi * (hour % 24) / 24
    return [now, now - before, now - first, float(np.sin(angle)), float(np.cos(angle)), float(ahead)]


def dry(of: Series, start: int, end: int) -> bool:
    """Whether all hours are there and none brought water: what is learned is how soil dries."""
    values = [of.get(hour, np.nan) for hour in range(start, end + 1)]
    return all(later - earlier < WATERED for earlier, later in pairwise(values))


def examples(of: Series, distances: Iterable[int]) -> Iterator[Example]:
    """All that a device's readings can teach."""
    for ahead in distances:
        for hour in of:
            if dry(of, hour - BACK, hour + ahead):
                yield Example(known(of, hour, ahead), of[hour + ahead] - of[hour], hour)


def learn(found: list[Example]) -> HistGradientBoostingRegressor:
    """A model of the change of humidity. The same examples give the same model."""
    model = HistGradientBoostingRegressor(max_iter=100, random_state=1)
    return model.fit(np.array([each.known for each in found]), np.array([each.change for each in found]))


def errors(model: HistGradientBoostingRegressor, found: list[Example]) -> tuple[float, float]:
    """Mean absolute errors, the model's and that of persistence: "as now"."""
    changes = np.array([each.change for each in found])
    predicted = model.predict(np.array([each.known for each in found]))
    return float(np.mean(np.abs(predicted - changes))), float(np.mean(np.abs(changes)))


def due(model: HistGradientBoostingRegressor, of: Series, threshold: float) -> int | None:
    """After how many hours the humidity is below the threshold: 0 is now; None is not within AHEAD."""
    hour = max(of)
    if of[hour] < threshold:
        return 0
    asked = [known(of, hour, ahead) for ahead in range(1, AHEAD + 1)]
    level = of[hour] + model.predict(np.array(asked))
    below = np.flatnonzero(level < threshold)
    return int(below[0]) + 1 if below.size else None


def main() -> int:
    """Learns from all but the last quarter of the time, says how good that is there, and then what is due."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threshold", type=float, default=30.0, help="humidity below which a device needs water")
    threshold = parser.parse_args().threshold
    devices = series(csv.DictReader(sys.stdin))
    if not devices:
        sys.exit("forecast: no rows; give it what sensorstream sql --csv prints")
    hours = [hour for of in devices.values() for hour in of]
    split = min(hours) + (max(hours) - min(hours)) * 3 // 4
    distances = (1, 2, 3, 6, 12, 24, 36, AHEAD)
    found = [each for of in devices.values() for each in examples(of, distances)]
    past = [each for each in found if each.hour + each.known[-1] <= split]
    later = [each for each in found if each.hour > split]
    if not past or not later:
        sys.exit("forecast: too few hours to learn from; a week or more is needed")
    model = learn(past)
    ours, persistence = errors(model, later)
    print(f"# mean error on the last quarter: {ours:.2f}, of persistence {persistence:.2f}")
    print("device,humidity,due_in_hours")
    for device, of in sorted(devices.items()):
        hours_left = due(model, of, threshold)
        print(f"{device},{of[max(of)]:.1f},{'' if hours_left is None else hours_left}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
