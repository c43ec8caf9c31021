"""Pure: parses the text of a setting; each function raises a ValueError that says what is wrong."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlsplit

from consumer.payload.reading import Fields

# Linux gives a Unix socket's path 107 bytes; the names of the files inside RUN_DIR need some of them.
RUN_DIR_BYTES = 85


def quoted(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


def url(text: str) -> str:
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


def decimal(text: str) -> Decimal:
    if re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", text) is None:
        raise ValueError(f"must be a number such as 35 or -1.5, not {quoted(text)}")
    return Decimal(text)


def path(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split("."))
    if not all(parts):
        raise ValueError(f"must name fields by dotted paths such as fix.speed, not {quoted(text)}")
    return parts


def fields(text: str) -> Fields:
    pairs = [pair.partition("=") for pair in text.split(",")]
    named = {name.strip(): path for name, _, path in pairs}
    if len(pairs) != 3 or named.keys() != {"device", "value", "time"}:
        raise ValueError(
            "must map device, value and time, once each, such as "
            f"device=tracker.id,value=fix.speed,time=fix.at, not {quoted(text)}"
        )
    return Fields(device=path(named["device"]), value=path(named["value"]), time=path(named["time"]))


def measures(text: str) -> tuple[tuple[str, ...], ...]:
    paths = tuple(path(part) for part in text.split(","))
    if len(set(paths)) != len(paths):
        raise ValueError(f"must name each field once, not {quoted(text)}")
    return paths


def run_dir(text: str) -> str:
    if not text.startswith("/") or not text.isprintable() or len(text.encode()) > RUN_DIR_BYTES:
        raise ValueError(f"must be an absolute path of at most {RUN_DIR_BYTES} bytes (a Unix socket lies in it)")
    return text
