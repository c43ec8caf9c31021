"""A histogram of the readings' ages that takes a whole batch at once: one observation each would cost more than the
decoding."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

BOUNDS: Final = (0.1, 0.25, 0.5, 1, 1.5, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400)
"""Seconds."""


class Ages(Collector):
    """The ages of readings when their row is durable. A time ahead of the clock counts as age 0."""

    def __init__(self) -> None:
        self._counts = [0] * len(BOUNDS)  # of ages up to each bound
        self._total = 0
        self._seconds = 0.0

    def observe(self, times: Sequence[int], now: float) -> None:
        """Counts readings of these times, in ms since the epoch, as `now` is."""
        ordered = sorted(times)
        past = bisect_right(ordered, now)
        self._seconds += (past * now - sum(ordered[:past])) / 1000
        self._total += len(ordered)
        for place, bound in enumerate(BOUNDS):
            self._counts[place] += len(ordered) - bisect_left(ordered, now - bound * 1000)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        buckets = [(str(float(bound)), count) for bound, count in zip(BOUNDS, self._counts, strict=True)]
        yield HistogramMetricFamily(
            "sensorstream_event_age_seconds",
            "Age of readings, by the device's clock, when their row is durable.",
            buckets=[*buckets, ("+Inf", self._total)],
            sum_value=self._seconds,
        )
