"""Parses the text of a setting; each function raises a ValueError that says what is wrong."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

from consumer.payload.contract import parse
from consumer.payload.contracts import Contracts

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


def contracts(text: str) -> Contracts:
    """Reading contracts, as JSON or as the path of a file that holds it."""
    if text[:1] not in ("[", "{"):
        try:
            text = Path(text).read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "is no text"
            raise ValueError(f"must be a JSON array of contracts or a file that holds one: {text}: {reason}") from None
    return Contracts(parse(text.encode()))


def decimal(text: str) -> Decimal:
    if re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", text) is None:
        raise ValueError(f"must be a number such as 35 or -1.5, not {quoted(text)}")
    return Decimal(text)


def run_dir(text: str) -> str:
    if not text.startswith("/") or not text.isprintable() or len(text.encode()) > RUN_DIR_BYTES:
        raise ValueError(f"must be an absolute path of at most {RUN_DIR_BYTES} bytes (a Unix socket lies in it)")
    return text
