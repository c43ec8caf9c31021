"""Pure: converts one field's value from a parsed message to a device or number; raises `Bad`. Times: times.py.

JSON is parsed with exact numbers (int or Decimal); CBOR, MessagePack and functions in paths may give a float.
"""

import re
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, Subnormal, Underflow
from typing import Final

MAX_DETAIL: Final = 200  # characters
MAX_DEVICE_BYTES: Final = 2048  # of UTF-8, DynamoDB's limit of a partition key
SHORT: Final = MAX_DEVICE_BYTES // 4
"""Characters of a name that cannot exceed MAX_DEVICE_BYTES."""
MISSING: Final = object()

# DynamoDB's numbers: 38 significant digits, magnitude 1E-130 to 9.99..E+125. Raises for anything that cannot be
# represented exactly; trailing zeros beyond the 38th digit may be dropped.
_DYNAMO = Context(prec=38, Emin=-130, Emax=125, traps=[InvalidOperation, Inexact, Overflow, Underflow, Subnormal])
_SURE = 10**38  # whole numbers of fewer digits are exact
fits: Final = _DYNAMO.plus
"""A Decimal as DynamoDB holds it. Raises ArithmeticError; not for zeros, whose exponent might not fit."""
_BEYOND = Decimal("sNaN")  # stands for a number whose exponent even Decimal cannot hold; _DYNAMO refuses it
_ZERO, _ONE = Decimal(0), Decimal(1)
_NUMERAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:s?nan|inf|infinity)", re.IGNORECASE)
_KINDS = {
    type(None): "null",
    bool: "a boolean",
    dict: "an object",
    list: "an array",
    str: "a string",
    bytes: "bytes",
    int: "a number",
    float: "a fraction",
    Decimal: "a fraction",
}


class Bad(Exception):
    """An invalid value or record: `reason` is one of reading.REASONS, `detail` a line for people.

    In a parsed message it replaces a part that could not be parsed.
    """

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
    """A device's name, from a string or a whole number; `name` is the field's name, here and below. Raises Bad, as all
    of these functions do."""
    if type(given) is not str:
        if type(given) is not int:
            raise wrong(given, name, "a string or a whole number")
        given = str(given)
    if not given:
        raise Bad("missing-field", f"{name} is empty")
    # The parser let no lone surrogate through, so the name can be encoded.
    if len(given) > SHORT and len(given.encode()) > MAX_DEVICE_BYTES:
        raise Bad("too-long", f"{name} has {len(given.encode())} bytes, {MAX_DEVICE_BYTES} is the most")
    return given


def number(given: object, name: str) -> Decimal:
    """A number that DynamoDB holds exactly, from a number or a string of one."""
    if type(given) is Decimal:
        found = given
    elif type(given) is int:
        if -_SURE < given < _SURE:
            return Decimal(given)
        found = Decimal(given)
    elif type(given) is str:
        found = numeral(given, name)
    elif type(given) is float:
        found = numeral(repr(given), name)
    else:
        raise wrong(given, name, "a number")
    try:
        # Zeros by themselves: an exponent means nothing to them, but might not fit.
        return fits(found) if found else _ZERO
    except ArithmeticError:
        raise Bad(
            "number-out-of-range", f"{name} is not of at most 38 digits and magnitude 1E-130 to 9.99E+125"
        ) from None


def measure(given: object) -> Decimal | None:
    """The number of a measure, 1 or 0 for a boolean; None if it is not a number. Never raises."""
    if type(given) is bool:
        return _ONE if given else _ZERO
    try:
        return number(given, "")
    except Bad:
        return None


def numeral(given: str, name: str) -> Decimal:
    """The number that a string holds, unrounded."""
    # Decimal() would also take blanks, underscores and the digits of other scripts.
    if _NUMERAL.fullmatch(given):
        return exact(given)
    if _NOT_FINITE.fullmatch(given):
        raise Bad("not-finite", f"{name} is {given}")
    raise wrong(given, name, "a number")


def wrong(given: object, name: str, wanted: str) -> Bad:
    """The error for a field that is missing or of a wrong type."""
    if given is MISSING:
        return Bad("missing-field", f"{name} is missing")
    if type(given) is Bad:
        return Bad(given.reason, f"{name}: {given.detail}")
    text = f": {shown(given)}" if type(given) is str else ""
    return Bad("wrong-type", f"{name} is {kind(given)}, not {wanted}{text}")


def shown(text: str) -> str:
    """Text from a message for people: ASCII, shortened."""
    return ascii(text if len(text) <= 40 else text[:40] + "...")


def kind(given: object) -> str:
    """The JSON type of the value, for people."""
    return _KINDS.get(type(given), "of no kind that JSON has")
