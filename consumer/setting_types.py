"""Parses the text of a setting; each function raises a ValueError that says what is wrong.

What a function takes is its docstring, in Markdown: docs/settings.md shows it.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from consumer.payload.contract import parse
from consumer.payload.contracts import Contracts

# Linux gives a Unix socket's path 107 bytes; the names of the files inside RUN_DIR need some of them.
RUN_DIR_BYTES = 85
DAY: Final = 86_400
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": DAY}


def quoted(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


def url(text: str) -> str:
    """an address such as `http://localhost:4566`"""
    try:
        parts = urlsplit(text)
        fit = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fit = False
    if "@" in text:
        raise ValueError("must be an address without user and password, such as http://localhost:4566")
    if not fit or not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError(f"must be an address such as http://localhost:4566, not {quoted(text)}")
    return text


def position(text: str) -> datetime | None:
    """`TRIM_HORIZON`, `AT_TIMESTAMP:<ISO-8601 with zone>`"""
    kind, _, moment = text.partition(":")
    if text == "TRIM_HORIZON":
        return None
    if text == "LATEST":
        raise ValueError(
            "LATEST loses what arrives before the first checkpoint; use TRIM_HORIZON or AT_TIMESTAMP:<time>"
        )
    try:
        parsed = datetime.fromisoformat(moment) if kind == "AT_TIMESTAMP" else None
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise ValueError(
            "must be TRIM_HORIZON or AT_TIMESTAMP:<ISO-8601 with zone> such as "
            f"AT_TIMESTAMP:2026-11-22T10:48:16Z, not {quoted(text)}"
        )
    return parsed.astimezone(UTC)


def contracts(text: str) -> Contracts:
    """a JSON array, or the path of a file that holds one"""
    if text[:1] not in ("[", "{"):
        try:
            text = Path(text).read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "is no text"
            raise ValueError(f"must be a JSON array of contracts or a file that holds one: {text}: {reason}") from None
    return Contracts(parse(text.encode()))


def decimal(text: str) -> Decimal:
    """a number such as `35` or `-1.5`"""
    if re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", text) is None:
        raise ValueError(f"must be a number such as 35 or -1.5, not {quoted(text)}")
    return Decimal(text)


class Resolution(NamedTuple):
    """What the tables hold: a row per reading, if `readings`, and rollups of windows of `seconds`, unless 0."""

    readings: bool = True
    seconds: int = 0

    def __str__(self) -> str:
        return f"{'0,' * self.readings}{self.seconds}s" if self.seconds else "0"


def resolution(text: str) -> Resolution:
    """`0`: a row per reading; `10s`, `1m`, `1h` ..., a whole part of a day: a rollup of that length; `0,1m`: both"""
    found = re.fullmatch(r"(0|(?P<raw>0,)?(?P<count>[1-9][0-9]{0,4})(?P<unit>[smhd]))", text)
    if found and not found["count"]:
        return Resolution()
    seconds = int(found["count"]) * _UNITS[found["unit"]] if found else 0
    if found is None or seconds < 10 or DAY % seconds:
        raise ValueError(
            "must be 0 (a row per reading), a length of windows such as 10s, 1m or 1h, which is a whole part of a day "
            f"and at least 10s, or both such as 0,1m; not {quoted(text)}"
        )
    return Resolution(found["raw"] is not None, seconds)


def run_dir(text: str) -> str:
    """an absolute path of at most 85 bytes"""
    if not text.startswith("/") or not text.isprintable() or len(text.encode()) > RUN_DIR_BYTES:
        raise ValueError(f"must be an absolute path of at most {RUN_DIR_BYTES} bytes (a Unix socket lies in it)")
    return text


def whole(minimum: int, maximum: int, unit: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        # int() would also take "1_000" and the digits of other scripts
        if re.fullmatch(r"[0-9]{1,12}", text) is None or not minimum <= int(text) <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}, not {quoted(text)}")
        return int(text)

    parse.__doc__ = f"{minimum} to {maximum} {unit}".rstrip()
    return parse


def choice(*known: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(f"must be one of {', '.join(known)}, not {quoted(text)}")
        return text

    parse.__doc__ = ", ".join(f"`{each}`" for each in known)
    return parse


def flag(text: str) -> bool:
    """`true`, `false`"""
    if text not in ("true", "false"):
        raise ValueError(f"must be true or false, not {quoted(text)}")
    return text == "true"


def name(what: str, pattern: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"must be {what}, not {quoted(text)}")
        return text

    parse.__doc__ = what
    return parse


stream_name = name("a stream's name (1 to 128 of A-Z a-z 0-9 _ . -)", r"[A-Za-z0-9_.-]{1,128}")
table_name = name("a table's name (3 to 255 of A-Z a-z 0-9 _ . -)", r"[A-Za-z0-9_.-]{3,255}")
bucket_name = name("a bucket's name (3 to 63 of a-z 0-9 . -)", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
function_name = name(
    "a function's name or ARN", r"(arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:)?[A-Za-z0-9_-]{1,64}"
)
field = name(
    "a field's name or a dotted path, such as soil.moisture", r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*"
)
region = name("a region such as eu-central-1", r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")
worker_id = name("1 to 256 of A-Z a-z 0-9 . _ : / -", r"[A-Za-z0-9._:/-]{1,256}")
host = name("a host name or an address to listen on", r"[A-Za-z0-9.:_-]{1,253}")
_namespace = name(
    "a CloudWatch namespace (1 to 255 of A-Z a-z 0-9 . _ / # : -, not AWS/...) or off",
    r"(?!AWS/)[A-Za-z0-9._/#:-]{1,255}",
)


def namespace(text: str) -> str | None:
    return None if text == "off" else _namespace(text)


namespace.__doc__ = _namespace.__doc__
