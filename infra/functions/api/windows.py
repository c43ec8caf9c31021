"""Rollups as the table has them, a row per window and shard, put together by window. No I/O.

A number is `{"last", "min", "max", "sum", "mean", "count"}`; sums are exact, means have 38 digits.
"""

from collections.abc import Iterable
from decimal import Decimal
from itertools import groupby
from typing import Any

from .parameters import moment, timestamp
from .series import EXACT, ROUNDED

Rollup = dict[str, Any]


def window(row: Rollup) -> str:
    """Begin and length of a row's window, as in its key without the shard: `2026-11-22T10:48:00Z/60`."""
    return str(row["Window"]).rpartition("/")[0]


def merged(rows: Iterable[Rollup]) -> list[tuple[str, Rollup]]:
    """Each window with what its rows hold together; they come in the order of their keys, or in the reverse."""
    return [(name, _rollup(name, list(parts))) for name, parts in groupby(rows, key=window)]


def _rollup(name: str, rows: list[Rollup]) -> Rollup:
    start, seconds = name.split("/")
    found: Rollup = {
        "time": timestamp(moment(start)),
        "seconds": int(seconds),
        "readings": sum(int(row["Readings"]) for row in rows),
        "first": min(row["First"] for row in rows),
        "last": max(row["Last"] for row in rows),
    }
    if values := [(row, row["Value"]) for row in rows if "Value" in row]:
        found["value"] = _number(values)
    names = dict.fromkeys(each for row in rows for each in row.get("Measures", {}))
    if names:
        of = {each: [(row, row["Measures"][each]) for row in rows if each in row.get("Measures", {})] for each in names}
        found["measures"] = {each: _number(parts) for each, parts in of.items()}
    if left_out := sum(int(row.get("LeftOut", 0)) for row in rows):
        found["leftOut"] = left_out
    return found


def _number(parts: list[tuple[Rollup, Rollup]]) -> Rollup:
    """Of rows, each with its part of a number."""
    total = Decimal(0)
    for _, part in parts:
        total = EXACT.add(total, Decimal(part["Sum"]))
    count = sum(int(part["Count"]) for _, part in parts)
    latest = max(parts, key=lambda pair: str(pair[1].get("At", pair[0]["Last"])))
    return {
        "last": latest[1]["Last"],
        "min": min(part["Min"] for _, part in parts),
        "max": max(part["Max"] for _, part in parts),
        "mean": ROUNDED.divide(total, Decimal(count)),
        "sum": total,
        "count": count,
    }
