"""What the console's page of a device is told of a long range: rollups where they show more than rows of readings."""

import json
from decimal import Decimal
from typing import Any

import pytest

from consumer.payload.reading import Reading
from consumer.payload.times import timestamp
from consumer.sinks import rollup_rows
from consumer.sinks.rollup_rows import Counted, Length, place, put_body
from consumer.sinks.windows import Key, Window, windows
from producer.aws.stack import Stack
from producer.console.history import History, Row
from tests.conftest import Deployed

T0 = 1_795_341_600_000
MINUTE = 60_000
HOURS = T0 + 2 * 60 * MINUTE


@pytest.fixture(scope="module")
def history(stack: Deployed) -> History:
    return History(Stack.load(stack.session, stack.name))


def roll(stack: Deployed, device: str, minutes: range, seconds: int = 60) -> None:
    """A rollup a minute, of two readings."""
    for minute in minutes:
        at = T0 + minute * MINUTE
        both = [Reading(device, at + n, Decimal(minute + n), {"c": Decimal(n)} if n else None) for n in range(2)]
        found: dict[Key, Window] = {}
        windows(both, seconds, found)
        for key, window in found.items():
            where = place(key, Length(seconds), "shardId-000000000000")
            item = json.loads(put_body("rollups", where, rollup_rows.Row(Counted((minute, 0), 1), None, window), None))[
                "Item"
            ]
            stack.session.client("dynamodb").put_item(TableName=stack.outputs["RollupTable"], Item=item)


def put(stack: Deployed, device: str, at: int) -> None:
    item: Any = {"SensorId": {"S": device}, "Timestamp": {"S": timestamp(at)}, "Value": {"N": "1"}}
    stack.session.client("dynamodb").put_item(TableName=stack.outputs["SensorTable"], Item=item)


def test_without_rows_any_range_is_made_of_rollups(stack: Deployed, history: History) -> None:
    roll(stack, "only-rolled", range(10))
    found = history.rollups("only-rolled", T0, T0 + 5 * MINUTE, 300)
    assert found
    assert (found.seconds, list(found.series)) == (60, ["value", "c"])
    assert found.series["value"].buckets[1] == ("2026-11-22T10:01:00.000Z", 2, "1", "2", "1.5")
    assert [len(series.buckets) for series in found.series.values()] == [5, 5]


def test_without_rows_the_newest_are_the_last_of_each_rollup(stack: Deployed, history: History) -> None:
    roll(stack, "only-windows", range(3))
    newest = [Row(timestamp(T0 + n * MINUTE + 1), str(n + 1), {"c": "1"}, False) for n in (2, 1)]
    assert history.newest("only-windows", 2) == newest
    assert history.latest(["only-windows"]) == {"only-windows": newest[0]}
    put(stack, "only-windows", T0 - MINUTE)
    assert [row.value for row in history.newest("only-windows")] == ["1"], "a reading, as there is one"


def test_a_long_range_with_rows_is_made_of_rollups_in_whole_windows(stack: Deployed, history: History) -> None:
    roll(stack, "both", range(122))
    put(stack, "both", T0 + 2000)
    assert history.rollups("both", T0, T0 + 59 * MINUTE, 300) is None, "readings show more of a short range"
    found = history.rollups("both", T0 + 1000, HOURS + MINUTE, 7)
    assert found
    assert found.series["value"].every_seconds == 18 * 60
    assert sum(count for _, count, *_ in found.series["value"].buckets) == 2 * 120


def test_readings_from_before_the_rollups_are_shown(stack: Deployed, history: History) -> None:
    roll(stack, "begun", range(60, 70))
    put(stack, "begun", T0 + 5 * MINUTE)
    assert history.rollups("begun", T0, HOURS, 300) is None
    assert history.rollups("begun", T0 + 10 * MINUTE, HOURS, 300)


def test_rollups_of_two_lengths_are_put_together_in_multiples_of_both(stack: Deployed, history: History) -> None:
    roll(stack, "changed", range(10))
    roll(stack, "changed", range(10, 20, 5), seconds=300)
    found = history.rollups("changed", T0, HOURS, 300)
    assert found
    assert [(time, count) for time, count, *_ in found.series["value"].buckets] == [
        (f"2026-11-22T10:{minute:02}:00.000Z", count) for minute, count in ((0, 10), (5, 10), (10, 2), (15, 2))
    ]


def test_without_rollups_there_are_none(history: History) -> None:
    assert history.rollups("nobody", T0, HOURS, 300) is None
