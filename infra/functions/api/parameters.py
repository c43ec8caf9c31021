"""The parameters of a query string, each checked. No I/O.

Times are whole milliseconds since the epoch, the resolution of the table.
"""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

MAX_NAME = 2048  # bytes, DynamoDB's bound for a partition key
MAX_MEASURE = 255  # characters
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
FIRST = (datetime(1, 1, 1, tzinfo=UTC) - EPOCH) // MILLISECOND
LAST = (datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC) - EPOCH) // MILLISECOND
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)", re.ASCII)
DURATION = re.compile(r"([1-9][0-9]{0,8})(ms|s|m|h|d)")
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

Parser = Callable[[str], Any]
"""Raises ValueError, whose text goes on behind the parameter's name."""


class BadRequest(Exception):
    """What is wrong with a request, and with which field of it, for the one who sent it."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field} {detail}")
        self.field = field


def parsed(query: str, parsers: Mapping[str, Parser], required: Collection[str] = ()) -> dict[str, list[Any]]:
    """The values of each parameter, at least one each. Raises BadRequest."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict") if query else []
    except ValueError:
        raise BadRequest("query", "must be name=value pairs, encoded as percent-encoded UTF-8") from None
    found: dict[str, list[Any]] = {}
    for name, text in pairs:
        if name not in parsers:
            raise BadRequest(name, f"is unknown here; there is: {', '.join(parsers) or 'no parameter'}")
        try:
            found.setdefault(name, []).append(parsers[name](text))
        except ValueError as error:
            raise BadRequest(name, str(error)) from None
    for name in required:
        if name not in found:
            raise BadRequest(name, "is missing")
    return found


def once(found: Mapping[str, list[Any]], *many: str) -> dict[str, Any]:
    """The value of each parameter but those that may be given several times. Raises BadRequest."""
    for name, values in found.items():
        if name not in many and len(values) > 1:
            raise BadRequest(name, "is given more than once")
    return {name: values[0] for name, values in found.items() if name not in many}


def device(text: str) -> str:
    """A device's name."""
    if not 0 < len(text.encode()) <= MAX_NAME:
        raise ValueError(f"must be a text of 1..{MAX_NAME} bytes")
    return text


def measure(text: str) -> str:
    """The name of a measure."""
    if not 0 < len(text) <= MAX_MEASURE:
        raise ValueError(f"must be a text of 1..{MAX_MEASURE} characters")
    return text


def moment(text: str) -> int:
    """A time of RFC 3339; one between two milliseconds counts as the later."""
    try:
        if not MOMENT.fullmatch(text):
            raise ValueError
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            "must be a time with its zone such as 2026-11-22T10:48:16Z (a + is written %2B in an address)"
        ) from None
    return max(FIRST, min(LAST, -((EPOCH - at) // MILLISECOND)))


def timestamp(at: int) -> str:
    """The time as the table has it: 2026-11-22T10:48:16.123Z."""
    return (EPOCH + at * MILLISECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration(text: str) -> int:
    """`500ms`, `30s`, `5m`, `1h` or `1d`, in milliseconds."""
    found = DURATION.fullmatch(text)
    if not found:
        raise ValueError("must be a whole number and its unit such as 500ms, 30s, 5m, 1h or 1d")
    return int(found[1]) * UNITS[found[2]]


def whole(most: int) -> Parser:
    """A parser for a number of 1..`most`."""

    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= most:
            raise ValueError(f"must be a whole number of 1..{most}")
        return int(text)

    return parse


def one_of(*known: str) -> Parser:
    """A parser for one of these words."""

    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        return text

    return parse
