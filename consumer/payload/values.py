"""Pure: converts one field's value from parsed JSON to a device, number or time; raises `Bad` where it is invalid.

JSON is parsed with exact numbers: int or Decimal, never float.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, Subnormal, Underflow
from functools import lru_cache
from typing import Final

MAX_DETAIL: Final = 200  # characters
MAX_DEVICE_BYTES: Final = 2048  # of UTF-8, DynamoDB's limit of a partition key
FIRST_MS: Final = 946_684_800_000  # 2000-01-01T00:00:00Z; seconds sent as milliseconds fall below
END_MS: Final = 4_102_444_800_000  # 2100-01-01T00:00:00Z
MISSING: Final = object()

# DynamoDB's numbers: 38 significant digits, magnitude 1E-130 to 9.99..E+125. Raises for anything that cannot be
# represented exactly; trailing zeros beyond the 38th digit may be dropped.
_DYNAMO = Context(prec=38, Emin=-130, Emax=125, traps=[InvalidOperation, Inexact, Overflow, Underflow, Subnormal])
_BEYOND = Decimal("sNaN")  # stands for a number whose exponent even Decimal cannot hold; _DYNAMO refuses it
_ZERO = Decimal(0)
_NUMERAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:s?nan|inf|infinity)", re.IGNORECASE)
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?"
    r"(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_KINDS = {
    type(None): "null",
    bool: "a boolean",
    dict: "an object",
    list: "an array",
    str: "a string",
    int: "a number",
    Decimal: "a fraction",
}


class Bad(Exception):
    """An invalid value or record: `reason` is one of reading.REASONS, `detail` a line for people."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail[:MAX_DETAIL]


def exact(numeral: str) -> Decimal:
    """The number of a JSON numeral, unrounded; a signalling NaN if its exponent is beyond all bounds."""
    try:
        return Decimal(numeral)
    except InvalidOperation:
        return _BEYOND


def device(given: object, name: str) -> str:
    """A device's name; `name` is the field's name, here and below. Raises Bad, as all of these functions do."""
    if type(given) is not str:
        raise _wrong(given, name, "a string")
    if not given:
        raise Bad("missing-field", f"{name} is empty")
    # The parser rejects lone surrogates, so the name can be encoded.
    if len(given) * 4 > MAX_DEVICE_BYTES and len(given.encode()) > MAX_DEVICE_BYTES:
        raise Bad("too-long", f"{name} has {len(given.encode())} bytes, {MAX_DEVICE_BYTES} is the most")
    return given


def number(given: object, name: str) -> Decimal:
    """A number that DynamoDB holds exactly, from a JSON number or a string of one."""
    if type(given) is Decimal:
        found = given
    elif type(given) is int:
        found = Decimal(given)
    elif type(given) is str:
        found = _numeral(given, name)
    else:
        raise _wrong(given, name, "a number")
    try:
        # Zero is handled separately: its exponent is irrelevant, but might be out of range.
        return _DYNAMO.plus(found) if found else _ZERO
    except ArithmeticError:
        raise Bad(
            "number-out-of-range", f"{name} is not of at most 38 digits and magnitude 1E-130 to 9.99E+125"
        ) from None


def _numeral(given: str, name: str) -> Decimal:
    # Decimal() would also take blanks, underscores and the digits of other scripts.
    if _NUMERAL.fullmatch(given):
        return exact(given)
    if _NOT_FINITE.fullmatch(given):
        raise Bad("not-finite", f"{name} is {given}")
    raise _wrong(given, name, "a number")


def epoch(given: object, name: str) -> int:
    """Milliseconds since the epoch, within plausible years."""
    if type(given) is not int:
        raise _wrong(given, name, "whole milliseconds")
    if not FIRST_MS <= given < END_MS:
        raise Bad("time-out-of-range", f"{name} is not within the years 2000 to 2099, in milliseconds")
    return given


def iso(given: object, name: str) -> int:
    """ISO-8601 with a zone -> milliseconds since the epoch; finer digits are cut off."""
    if type(given) is not str:
        raise _wrong(given, name, "an ISO-8601 string")
    if not _ISO.fullmatch(given):
        raise Bad("bad-time", f"{name} is not ISO-8601 with a zone: {_shown(given)}")
    try:
        moment = datetime.fromisoformat(given.upper())
    except ValueError as error:
        raise Bad("bad-time", f"{name} is not a valid time: {_shown(given)}: {error}") from None
    return epoch((moment - _EPOCH) // _MILLISECOND, name)


def _wrong(given: object, name: str, wanted: str) -> Bad:
    if given is MISSING:
        return Bad("missing-field", f"{name} is missing")
    shown = f": {_shown(given)}" if type(given) is str else ""
    return Bad("wrong-type", f"{name} is {kind(given)}, not {wanted}{shown}")


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "...")


def kind(given: object) -> str:
    """The JSON type of the value, for people."""
    return _KINDS[type(given)]


def timestamp(time_ms: int) -> str:
    """Milliseconds since the epoch -> `2026-11-22T10:48:16.123Z`."""
    minute, rest = divmod(time_ms, 60_000)
    return f"{_minute(minute)}{rest // 1000:02d}.{rest % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _minute(minute: int) -> str:
    # Readings are close together in time: the calendar is computed once per minute, not once per reading.
    return (_EPOCH + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:")
