"""Readings, or rollups of them, put together in buckets of time: their number, smallest, largest and mean. No I/O.

All arithmetic is decimal. A sum is exact; a mean is the exact sum divided, to 38 digits.
"""

from collections.abc import Iterable
from decimal import Context, Decimal, Inexact
from itertools import groupby
from typing import Any, NamedTuple

EXACT = Context(prec=400, traps=[Inexact])  # numbers of DynamoDB have digits from 10^125 down to 10^-130
ROUNDED = Context(prec=38)


class Part(NamedTuple):
    """What a reading, or a rollup, adds to a bucket."""

    size: int
    low: Decimal
    high: Decimal
    total: Decimal

    @classmethod
    def reading(cls, value: Decimal) -> "Part":
        return cls(1, value, value, value)


class Grid(NamedTuple):
    """Buckets of `every` milliseconds, one of which begins at `origin`, as far as they are within [low, high)."""

    low: int
    high: int
    origin: int
    every: int

    @classmethod
    def of(cls, low: int, high: int, every: int | None, number: int) -> "Grid":
        """With `every`, buckets begin at its multiples since the epoch; else there are `number` of them from `low`."""
        return cls(low, high, 0, every) if every else cls(low, high, low, -(-(high - low) // number))

    def start(self, at: int) -> int:
        """The beginning of the bucket that a time is in."""
        return max(self.low, at - (at - self.origin) % self.every)


def buckets(grid: Grid, parts: Iterable[tuple[int, Part]]) -> list[tuple[int, dict[str, Any]]]:
    """Start and contents of each bucket that has parts; they come with their times, in the order of time."""
    grouped = groupby(parts, key=lambda part: grid.start(part[0]))
    return [(start, _bucket([part for _, part in group])) for start, group in grouped]


def _bucket(parts: list[Part]) -> dict[str, Any]:
    count, total = 0, Decimal(0)
    for part in parts:
        count += part.size
        total = EXACT.add(total, part.total)
    mean = ROUNDED.divide(total, Decimal(count))
    return {
        "count": count,
        "min": min(part.low for part in parts),
        "max": max(part.high for part in parts),
        "mean": mean,
    }
