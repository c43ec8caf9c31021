"""The readings of devices, as the deployment's own query function gives them: the client's role may call it.

The only module of the console that knows how the function is asked.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from producer.aws.stack import Stack
from producer.fleet.message import iso_utc
from producer.ops import console

PAGE = console.PAGE


class Row(NamedTuple):
    """A reading. Numbers are texts, with every digit of the table: a browser's numbers have 16 of them."""

    time: str  # as in the table, such as 2026-11-22T10:48:16.123Z
    value: str | None
    measures: dict[str, str]
    arrived: bool  # the time is that of its arrival

    @classmethod
    def of(cls, item: dict[str, Any]) -> "Row":
        """From an item of the function's answer."""
        value = item.get("Value")
        measures = {name: str(number) for name, number in item.get("Measures", {}).items()}
        return cls(item["Timestamp"], None if value is None else str(value), measures, "TimeSource" in item)


class Found(NamedTuple):
    """Rows, newest first; `more`: there are older ones in the range."""

    rows: list[Row]
    more: bool


class History:
    """Asks as whoever the stack's session is. Raises UserError or one of AWS_ERRORS."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._client = stack.session.client("lambda")

    def newest(self, device: str, limit: int = PAGE) -> list[Row]:
        """The newest rows of a device, newest first."""
        return self.within(device, None, None, limit).rows

    def within(self, device: str, start: int | None, end: int | None, limit: int) -> Found:
        """Rows of a range of times (ms, without its end), newest first."""
        rows: list[Row] = []
        for row in self._backwards(device, end, limit):
            if start is not None and row.time < iso_utc(start):
                return Found(rows, False)
            if len(rows) == limit:
                return Found(rows, True)
            rows.append(row)
        return Found(rows, False)

    def _backwards(self, device: str, end: int | None, limit: int) -> Iterator[Row]:
        key = None if end is None else {"SensorId": device, "Timestamp": iso_utc(end)}
        while True:
            page = console.page(self._client, self._stack.api_function, device, min(limit, PAGE), key)
            yield from map(Row.of, page["Items"])
            key = page.get("LastEvaluatedKey")
            if key is None:
                return
