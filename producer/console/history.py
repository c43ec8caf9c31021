"""The readings of devices, as the deployment's query API gives them: the client's role may ask it."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from producer.aws.query_api import QueryApi
from producer.aws.stack import Stack
from producer.fleet.message import iso_utc

READINGS, DEVICES, LATEST = 1000, 1000, 50  # that the API gives at most in one answer
SERIES_PAGES = 20  # that are asked for one chart, each of up to 5,000 readings
WINDOWS = 60  # of rollups, that a chart is made of at least where there are readings, too


class Row(NamedTuple):
    """A reading. Numbers are texts, with every digit of the table: a browser's numbers have 16 of them."""

    time: str  # as in the table, such as 2026-11-22T10:48:16.123Z
    value: str | None
    measures: dict[str, str]
    arrived: bool  # the time is that of its arrival

    @classmethod
    def of(cls, item: dict[str, Any]) -> "Row":
        """From a reading of an answer."""
        value = item.get("value")
        measures = {name: str(number) for name, number in item.get("measures", {}).items()}
        return cls(item["time"], None if value is None else str(value), measures, "timeSource" in item)


class Found(NamedTuple):
    """Rows, newest first; `more`: there are older ones in the range."""

    rows: list[Row]
    more: bool


class Series(NamedTuple):
    """Readings of a range put together: start (ISO), count, min, max and mean (texts) of each bucket that has some;
    `more`: the range goes on behind the last one."""

    buckets: list[tuple[str, int, str, str, str]]
    every_seconds: float
    more: bool


class Rollups(NamedTuple):
    """A range made of rollups of so many seconds: the series of each number, by its name; `value` is the reading's."""

    seconds: int
    series: dict[str, Series]


class History:
    """Asks as whoever the stack's session is. Raises UserError or one of AWS_ERRORS."""

    def __init__(self, stack: Stack) -> None:
        self._api = QueryApi(stack.session, stack.query_url)

    def newest(self, device: str, limit: int = 20) -> list[Row]:
        """The newest rows of a device, newest first; without any, the last of each number in its newest rollups."""
        if rows := self.readings(device, limit):
            return rows
        return [_last(item) for item in self._api.get("/rollups", device=device, limit=limit)["rollups"]]

    def readings(self, device: str, limit: int) -> list[Row]:
        """The newest rows of a device, newest first."""
        return self.within(device, None, None, limit).rows

    def within(self, device: str, start: int | None, end: int | None, limit: int = READINGS) -> Found:
        """Rows of a range of times (ms, without its end), newest first."""
        answer = self._api.get("/readings", device=device, **_range(start, end), limit=limit)
        return Found([Row.of(item) for item in answer["readings"]], "next" in answer)

    def series(self, device: str, measure: str | None, start: int, end: int, buckets: int) -> Series:
        """A range (ms, without its end) in that many buckets; of the value without a measure."""
        return self._series(device=device, measure=measure, buckets=buckets, **_range(start, end))

    def rollups(self, device: str, start: int, end: int, buckets: int) -> Rollups | None:
        """The same from rollups, of all numbers. None where rows of readings show more: for a short range, or one that
        has readings from before the first of its rollups, which may be a window later than the range."""
        span = {"device": device, **_range(start, end)}
        oldest = self._api.get("/rollups", **span, order="asc", limit=1)["rollups"]
        if not oldest:
            return None
        reading = self._api.get("/readings", **span, order="asc", limit=1)["readings"]
        newest = self._api.get("/rollups", **span, limit=1)["rollups"][0]
        seconds = math.lcm(oldest[0]["seconds"], newest["seconds"])
        if reading and (end - start < WINDOWS * seconds * 1000 or _gap(reading[0], oldest[0]) > seconds):
            return None
        every = seconds * max(1, math.ceil((end - start) / buckets / seconds / 1000))
        names = {"value": None} if "value" in newest else {}
        names |= {name: name for name in newest.get("measures", {})}
        series = {
            name: self._series(**span, measure=measure, every=f"{every}s", source="rollups")
            for name, measure in names.items()
        }
        return Rollups(newest["seconds"], series)

    def _series(self, **asked: Any) -> Series:
        found: list[tuple[str, int, str, str, str]] = []
        every, more = 0.0, False
        for answer in islice(self._api.pages("/series", **asked), SERIES_PAGES):
            every, more = float(answer["everySeconds"]), "next" in answer
            found += [
                (each["time"], each["count"], str(each["min"]), str(each["max"]), str(each["mean"]))
                for each in answer["buckets"]
            ]
        return Series(found, every, more)

    def latest(self, devices: Sequence[str]) -> dict[str, Row]:
        """The newest row of each device that has one; of LATEST devices at most."""
        return {item["device"]: Row.of(item) for item in self._api.get("/latest", device=list(devices))["latest"]}

    def devices(self) -> Iterator[list[tuple[str, str, Row]]]:
        """Page by page each device that was seen: its name, when (ISO), and a reading of about then."""
        for answer in self._api.pages("/devices", limit=DEVICES):
            yield [(item["device"], item["seen"], Row.of(item)) for item in answer["devices"]]


def _last(rollup: dict[str, Any]) -> Row:
    value = rollup.get("value")
    measures = {name: str(number["last"]) for name, number in rollup.get("measures", {}).items()}
    return Row(rollup["last"], None if value is None else str(value["last"]), measures, False)


def _gap(reading: dict[str, Any], rollup: dict[str, Any]) -> float:
    """Seconds from one to the other."""
    at, start = (datetime.fromisoformat(each["time"]) for each in (reading, rollup))
    return (start - at).total_seconds()


def _range(start: int | None, end: int | None) -> dict[str, str | None]:
    return {
        "from_": None if start is None else iso_utc(start),
        "to": None if end is None else iso_utc(end),
    }
