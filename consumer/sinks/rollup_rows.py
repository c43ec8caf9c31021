"""The rows of rollups, and the requests that write them. Pure: no I/O, no clock.

A row is one device's window as one shard's readings give it: `{SensorId, Window, Readings, First, Last, Value,
Measures}`, where `Window` is `2026-11-22T10:48:00Z/60/shardId-000000000000`. Beside that, `Counted` names the archive
object that was counted last, and `Before` is the rollup without it. See docs/decisions/0032-rollups.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec

from consumer.archive.format import parse_position, position_text
from consumer.payload.times import time, timestamp
from consumer.payload.values import fits
from consumer.record import Position
from consumer.sinks.windows import VALUE, Key, Summary, Window

DAY: Final = 86_400
_encode: Final = msgspec.json.encode
Item = Mapping[str, Any]
"""A row as DynamoDB's JSON has it."""


class Counted(NamedTuple):
    """An archive object: the position of its first record in the shard, and its owner's epoch.

    What a row has counted only grows: a newer owner's object takes the place of one that begins at the same record (it
    holds all its records: archive/fence.py), and is followed by one that begins behind it.
    """

    first: Position
    epoch: int


@dataclass(frozen=True, slots=True)
class Row:
    """A rollup as it stands: with the archive object `counted`, and `before` it (None: it is the first)."""

    counted: Counted
    before: Window | None
    window: Window


def count(row: Row | None, counted: Counted, window: Window) -> Row | None:
    """The row with what the archive object `counted` adds to it, which is `window`. None if there is nothing to do: it
    is counted already, or a newer owner has counted it, or a later one."""
    if row is None:
        return Row(counted, None, window)
    if row.counted >= counted:
        return None
    before = row.before if row.counted.first == counted.first else row.window
    return Row(counted, before, before.merged(window) if before else window)


class Length(NamedTuple):
    """Of windows, in seconds; and for how many days after a window's end its row is kept, 0 for ever."""

    seconds: int
    days: int = 0


def place(key: Key, length: Length, shard: str) -> Item:
    """The attributes that a row of this window and shard has from the beginning; rows of a device sort by time."""
    device, start = key
    found: dict[str, Any] = {
        "SensorId": {"S": device},
        "Window": {"S": f"{timestamp(start)[:19]}Z/{length.seconds}/{shard}"},
    }
    if length.days:
        found["ExpiresAt"] = {"N": str(start // 1000 + length.seconds + length.days * DAY)}
    return found


def put_body(table: str, place: Item, row: Row, was: Row | None) -> bytes:
    """The body of a PutItem that puts `row` in the place of `was` or of none, and of nothing else.

    Where it is refused, the answer holds the row that stands there.
    """
    item = {**place, "Counted": {"S": _text(row.counted)}, **attributes(row.window)}
    if row.before:
        item["Before"] = {"M": attributes(row.before)}
    request: dict[str, Any] = {"TableName": table, "Item": item, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    if was is None:
        request["ConditionExpression"] = "attribute_not_exists(SensorId)"
    else:
        request["ConditionExpression"] = "Counted = :was"
        request["ExpressionAttributeValues"] = {":was": {"S": _text(was.counted)}}
    return _encode(request)


def parse(item: Item) -> Row:
    """The row that stands in the table. Raises KeyError, TypeError, ValueError, ArithmeticError or Bad where another
    program wrote it."""
    before = item.get("Before")
    return Row(_counted(item["Counted"]["S"]), parse_window(before["M"]) if before else None, parse_window(item))


def _text(counted: Counted) -> str:
    return f"{position_text(counted.first)}/{counted.epoch}"


def _counted(text: str) -> Counted:
    first, _, epoch = text.partition("/")
    return Counted(parse_position(first), int(epoch))


def attributes(window: Window) -> dict[str, Any]:
    """What a row says of its readings; `parse_window` is the reverse."""
    numbers = {name: {"M": _summary(summary, window.last)} for name, summary in window.numbers.items()}
    found: dict[str, Any] = {
        "Readings": {"N": str(window.readings)},
        "First": {"S": timestamp(window.first)},
        "Last": {"S": timestamp(window.last)},
    }
    if value := numbers.pop(VALUE, None):
        found["Value"] = value
    if numbers:
        found["Measures"] = {"M": numbers}
    if window.left_out:
        found["LeftOut"] = {"N": str(window.left_out)}
    return found


def _summary(summary: Summary, last: int) -> dict[str, Any]:
    """`At` stands there only where the window's last reading has no such number."""
    found: dict[str, Any] = {
        "Last": _number(summary.last),
        "Min": _number(summary.low),
        "Max": _number(summary.high),
        "Sum": _number(summary.total),
        "Count": {"N": str(summary.count)},
    }
    if summary.at != last:
        found["At"] = {"S": timestamp(summary.at)}
    return found


def _number(number: Decimal) -> dict[str, str]:
    """A number that DynamoDB cannot hold, which only a sum can be, is written as text."""
    try:
        return {"N": str(fits(number) if number else 0)}
    except ArithmeticError:
        return {"S": str(number)}


def parse_window(item: Item) -> Window:
    """The readings that a row, or its `Before`, tells of. Raises as `parse` does."""
    first, last = (time(item[name]["S"], name) for name in ("First", "Last"))
    numbers = {name: _parsed(each["M"], last) for name, each in item.get("Measures", {"M": {}})["M"].items()}
    if value := item.get("Value"):
        numbers[VALUE] = _parsed(value["M"], last)
    left_out = int(item.get("LeftOut", {"N": "0"})["N"])
    return Window(first, last, int(item["Readings"]["N"]), numbers, left_out)


def _parsed(item: Item, last: int) -> Summary:
    number = {name: Decimal(next(iter(item[name].values()))) for name in ("Last", "Min", "Max", "Sum")}
    at = time(item["At"]["S"], "At") if "At" in item else last
    return Summary(number["Last"], at, number["Min"], number["Max"], number["Sum"], int(item["Count"]["N"]))
