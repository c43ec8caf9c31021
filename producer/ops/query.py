"""The readings of a device, as the query API gives them, in the forms that the command prints.

An item is `{"SensorId", "Timestamp"[, "Value"][, "Measures"][, "TimeSource"]}`, as in the table; its numbers are
Decimals (or ints) with every digit.
"""

import csv
import io
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from producer.aws.query_api import QueryApi
from producer.exact_json import as_json
from producer.fleet.message import iso_utc
from producer.terminal import table

PAGE = 1000  # readings, the API's limit
FOLLOW_SECONDS = 1.0
COLUMNS = ("SensorId", "Timestamp", "Value", "Measures")
ROLLUP_COLUMNS = ("SensorId", "Window", "Seconds", "Readings", "Last", "Min", "Max", "Mean", "Sum", "Count", "Measures")
NAMES = {"time": "Timestamp", "value": "Value", "measures": "Measures", "timeSource": "TimeSource"}

Item = dict[str, Any]


def newest(api: QueryApi, device: str, start: int | None, end: int | None, limit: int | None) -> Iterator[Item]:
    """Its readings from `start` until before `end` (ms since the epoch), the newest first; `limit` at most."""
    span = {"from_": _text(start), "to": _text(end)}
    pages = api.pages("/readings", device=device, limit=min(limit or PAGE, PAGE), **span)
    return islice((_item(device, each) for page in pages for each in page["readings"]), limit)


def rollups(api: QueryApi, device: str, start: int | None, end: int | None, limit: int | None) -> Iterator[Item]:
    """Its rollups whose windows begin in that time, the newest first; `limit` at most.

    `{"SensorId", "Window", "Seconds", "Readings", "First", "Last"[, "Value"][, "Measures"]}`, where a number is
    `{"Last", "Min", "Max", "Mean", "Sum", "Count"}`.
    """
    span = {"from_": _text(start), "to": _text(end)}
    pages = api.pages("/rollups", device=device, limit=min(limit or PAGE, PAGE), **span)
    return islice((_rollup(device, each) for page in pages for each in page["rollups"]), limit)


def follow(api: QueryApi, device: str, start: int | None, limit: int) -> Iterator[Item]:
    """The newest readings, the oldest of them first, and then every one with a later time, as they come."""
    shown = list(newest(api, device, start, None, limit))
    yield from reversed(shown)
    last = shown[0]["Timestamp"] if shown else None
    while True:
        asked = last or _text(start)
        for page in api.pages("/readings", device=device, order="asc", limit=PAGE, from_=asked):
            for each in page["readings"]:
                if each["time"] != last:
                    last = each["time"]
                    yield _item(device, each)
        time.sleep(FOLLOW_SECONDS)


def _text(moment: int | None) -> str | None:
    return None if moment is None else iso_utc(moment)


def _item(device: str, reading: dict[str, Any]) -> Item:
    return {"SensorId": device} | {theirs: reading[ours] for ours, theirs in NAMES.items() if ours in reading}


def _rollup(device: str, rollup: dict[str, Any]) -> Item:
    found = {"SensorId": device, "Window": rollup["time"]}
    found |= {name[0].upper() + name[1:]: each for name, each in rollup.items() if name not in ("time", "measures")}
    if "value" in rollup:
        found["Value"] = _number(rollup["value"])
    if "measures" in rollup:
        found["Measures"] = {name: _number(number) for name, number in rollup["measures"].items()}
    return found


def _number(number: dict[str, Any]) -> Item:
    return {name.capitalize(): each for name, each in number.items()}


def as_csv(values: tuple[Any, ...]) -> str:
    """One line of CSV without its end."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()


def csv_values(item: Item) -> tuple[Any, ...]:
    """By COLUMNS; the measures are a JSON object."""
    measures = as_json(item["Measures"]) if item.get("Measures") else ""
    return (item["SensorId"], item["Timestamp"], item.get("Value", ""), measures)


def csv_rollup(item: Item) -> tuple[Any, ...]:
    """By ROLLUP_COLUMNS: the numbers of the value, which are empty without one; the measures are a JSON object."""
    value = item.get("Value", {})
    numbers = (value.get(name, "") for name in ("Last", "Min", "Max", "Mean", "Sum", "Count"))
    measures = as_json(item["Measures"]) if "Measures" in item else ""
    return (item["SensorId"], item["Window"], item["Seconds"], item["Readings"], *numbers, measures)


def rollup_history(items: list[Item]) -> str:
    """The rollups as aligned lines under a headline; of measures their means."""
    rows = [_rollup_cells(item) for item in items]
    last = "MEASURES (MEAN)" if any(row[-1] for row in rows) else ""
    heads = ("SENSOR", "WINDOW (UTC)", "SECONDS", "READINGS", "LAST", "MIN", "MEAN", "MAX", last)
    return table(heads, rows, right=heads[2:8])


def _rollup_cells(item: Item) -> tuple[str, ...]:
    value = item.get("Value", {})
    mean = f"{value['Mean']:.6g}" if value else ""
    numbers = (str(value.get("Last", "")), str(value.get("Min", "")), mean, str(value.get("Max", "")))
    measures = " ".join(f"{name}={number['Mean']:.6g}" for name, number in item.get("Measures", {}).items())
    return (item["SensorId"], item["Window"], str(item["Seconds"]), str(item["Readings"]), *numbers, measures)


def history(items: list[Item]) -> str:
    """The items as aligned lines under a headline; measures where there are some."""
    rows = [_cells(item) for item in items]
    last = "MEASURES" if any(row[3] for row in rows) else ""
    return table(("SENSOR", "TIME (UTC)", "VALUE", last), rows, right=["VALUE"])


def as_line(item: Item) -> str:
    """One line that stands alone."""
    return "  ".join(_cells(item)).rstrip()


def _cells(item: Item) -> tuple[str, str, str, str]:
    measures = " ".join(f"{name}={value}" for name, value in item.get("Measures", {}).items())
    return str(item["SensorId"]), str(item["Timestamp"]), str(item.get("Value", "")), measures
