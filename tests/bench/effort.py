"""How long the bench takes: the amounts of each figure, for `make bench`, for QUICK=1, and for the smoke test."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Effort:
    """Readings and repetitions of each figure; without a field's shards or rates the figure is left out."""

    name: str = "full"
    repetitions: int = 5
    readings: Mapping[int, int] = field(
        default_factory=lambda: {1: 1_000, 10: 5_000, 100: 20_000, 500: 40_000, 5000: 40_000}
    )
    """Readings of one repetition by the records in a delivery."""
    warm_up: int = 40_000
    """Readings before the first that count: nearly all devices are in the list of devices then, as in a service that
    has been running for some minutes."""
    seed_readings: int = 500
    shards: tuple[int, ...] = (1, 16, 64, 128)
    shard_readings: int = 64_000
    profile_seconds: int = 15
    task_readings: int = 240_000
    drain_readings: int = 1_000_000
    drain_shards: int = 32
    latency_rates: tuple[int, ...] = (100, 2000)
    latency_seconds: int = 60
    warm_seconds: int = 90
    """From ready to warm, before an idle task is looked at."""
    idle_seconds: int = 60
    live_seconds: int = 180
    """Of the measurement at a low rate; its warm-up takes as long, but half a minute at most."""
    recoveries: int = 3
    lines: int = 200_000
    """Lines of the archive for audit, replay and redrive."""


FULL = Effort()
QUICK = Effort(
    name="quick",
    repetitions=2,
    readings={1: 300, 10: 2_000, 100: 6_000, 500: 10_000, 5000: 10_000},
    seed_readings=150,
    shard_readings=12_800,
    profile_seconds=5,
    task_readings=60_000,
    drain_readings=100_000,
    drain_shards=16,
    latency_seconds=8,
    warm_seconds=60,
    idle_seconds=15,
    live_seconds=20,
    recoveries=1,
    lines=50_000,
)


def spread(values: list[float]) -> dict[str, Any]:
    """Median, least and greatest of the repetitions of a figure."""
    return {
        "median": round(median(values), 2),
        "least": round(min(values), 2),
        "greatest": round(max(values), 2),
        "repetitions": len(values),
    }
