"""Pure: texts that are the same where what they say is the same, for what comes back in another spelling."""

import json
import zlib
from collections.abc import Mapping
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation

MAX_DIGITS = 20  # digits beyond which a number is written with an exponent


def normal(value: str) -> str:
    """One text for one number (20.10 and 2.01e1 are 20.1); other values are unchanged."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        return value
    if not number.is_finite():
        return value
    if not number:
        return "0"
    number = Context(prec=len(value), Emax=MAX_EMAX, Emin=MIN_EMIN).normalize(number)  # the usual one keeps 28 digits
    return f"{number:f}" if abs(number.adjusted()) < MAX_DIGITS else str(number)


def row_text(value: str, measures: Mapping[str, str]) -> str:
    """What a row holds, value ("" for none) and measures: `41.3 humidity=20 temperature=7.5`."""
    named = [f"{name}={normal(number)}" for name, number in sorted(measures.items())]
    return " ".join([normal(value), *named] if value else named)


def document_crc(payload: bytes) -> int | None:
    """A checksum of one JSON document or one a line, whatever the order of its fields, its blanks and the spelling of
    its numbers; None for anything else."""
    for documents in ([payload], [line for line in payload.splitlines() if line.strip()]):
        try:
            read = [json.loads(each, parse_int=_number, parse_float=_number) for each in documents]
        except ValueError:
            continue
        return zlib.crc32(json.dumps(read, sort_keys=True).encode())
    return None


def _number(text: str) -> list[str]:
    """What no text of a document is equal to."""
    return [normal(text)]
