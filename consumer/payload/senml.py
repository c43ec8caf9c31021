"""Pure: SenML (RFC 8428) in JSON or CBOR: a pack of records, whose base fields apply to the records after them.

Each record with a number is a reading; its device is the base name and the name together. Text and binary values are
left out and counted; a sum over time is the measure `sum`.
"""

from decimal import Context, Decimal
from typing import Any, Final

import msgspec

from consumer.payload.contract import DAY, Contract
from consumer.payload.readers import Reader
from consumer.payload.reading import Found, Reading
from consumer.payload.times import END_MS, FIRST_MS
from consumer.payload.usage import Usage
from consumer.payload.values import MISSING, Bad, device, kind, number

CONTRACT: Final = Contract(name="senml", device="n", time="t", value="v")
RELATIVE: Final = 2**28
"""Times below it are seconds from now, which is the arrival (RFC 8428, section 4.5.3)."""
_LABELS: Final = ("n", "u", "v", "vs", "vb", "s", "t", "ut", "vd", "bver", "bn", "bt", "bu", "bv", "bs")
_OF_CBOR: Final = {str(n if n < 9 else 8 - n): label for n, label in enumerate(_LABELS)}
_VALUES: Final = ("v", "vb", "vs", "vd", "s")
_KNOWN_VERSION: Final = 10
_SECONDARY_UNITS: Final = 16  # a feature of RFC 9100, which changes no number
_EXACT: Final = Context(prec=300)


class _Base(msgspec.Struct):
    """The base fields so far; not `known` after a record that could not be read."""

    name: str = ""
    time: Decimal = Decimal(0)
    value: Decimal | None = None
    sum: Decimal | None = None
    known: bool = True


def reader() -> Reader:
    """The compiled contract. It reads a single record; `read_pack` reads an array."""
    usage = Usage("senml", 0, {}, {"v": 0})

    def read(item: Any, found: Found) -> bool:
        if _record(item, found) is MISSING:
            return False
        before = len(found.readings)
        _read(_labelled(item, found), _Base(), found, usage)
        if len(found.readings) == before:
            raise Bad("missing-field", "a record without any number")
        return True

    return Reader(CONTRACT, usage, read, [("bn, or n and v", _record)])


def read_pack(pack: list[Any], found: Found, usage: Usage) -> None:
    """Reads all records of a pack. An invalid one affects only the records that need its base fields."""
    base, before = _Base(), len(found.readings) + sum(found.reasons.values())
    for item in pack:
        try:
            if type(item) is not dict:
                base.known = False
                raise item if type(item) is Bad else Bad("not-an-object", f"a record is an object, not {kind(item)}")
            _read(_labelled(item, found), base, found, usage)
        except Bad as bad:
            found.reject(bad, found.index)
        found.index += 1
    if len(found.readings) + sum(found.reasons.values()) == before:
        found.reject(Bad("missing-field", "a pack without any number"), found.index - 1)


def _record(item: Any, found: Found) -> Any:
    if type(item) is not dict:
        return MISSING
    fields = _labelled(item, found)
    named = "bn" in fields or ("n" in fields and any(label in fields for label in _VALUES))
    return item if named else MISSING


def _labelled(item: dict[Any, Any], found: Found) -> dict[Any, Any]:
    """A record with the labels of JSON."""
    return item if found.encoding != "cbor" else {_OF_CBOR.get(label, label): given for label, given in item.items()}


def _read(fields: dict[Any, Any], base: _Base, found: Found, usage: Usage) -> None:
    """Reads one record and updates `base`. Raises Bad."""
    usage.matched += 1
    _take_base(fields, base)
    if not any(label in fields for label in _VALUES):
        if any(type(label) is str and label.startswith("b") for label in fields):
            return
        raise Bad("missing-field", "a record without value and sum")
    if not base.known:
        raise Bad("missing-field", "a record before it is unreadable, so its base name is not known")
    total = _sum(base.sum, fields, "s")
    if type(fields.get("vb")) is bool:
        value: Decimal | None = Decimal(int(fields["vb"]))
    elif "v" in fields:
        value = _sum(base.value, fields, "v")
    else:
        value = None
        if "s" not in fields:
            usage.unusable["v"] += 1
            return
    called = _text(fields, "n")
    name = device(f"{base.name}{called}", "the name")
    time_ms, arrived = _time(base.time + _number(fields, "t"), found)
    found.readings.append(Reading(name, time_ms, value, None if total is None else {"sum": total}, arrived, called))


def _take_base(fields: dict[Any, Any], base: _Base) -> None:
    for label in fields:
        if type(label) is str and label.endswith("_"):
            base.known = False
            raise Bad("wrong-type", f"{label} is to be understood, and is not")
    version = fields.get("bver", _KNOWN_VERSION)
    if type(version) is not int or (version > _KNOWN_VERSION and version != _KNOWN_VERSION | _SECONDARY_UNITS):
        base.known = False
        raise Bad("wrong-type", f"bver is no version that is known: {_KNOWN_VERSION} is")
    try:
        if "bn" in fields:
            base.name, base.known = _text(fields, "bn"), True
        if "bt" in fields:
            base.time = _number(fields, "bt")
        if "bv" in fields:
            base.value = _number(fields, "bv")
        if "bs" in fields:
            base.sum = _number(fields, "bs")
    except Bad:
        base.known = False
        raise


def _text(fields: dict[Any, Any], label: str) -> str:
    given = fields.get(label, "")
    if type(given) is not str:
        raise Bad("wrong-type", f"{label} is {kind(given)}, not a string")
    return given


def _number(fields: dict[Any, Any], label: str) -> Decimal:
    given = fields.get(label, 0)
    if type(given) is str:
        raise Bad("wrong-type", f"{label} is a string, not a number")
    return number(given, label)


def _sum(base: Decimal | None, fields: dict[Any, Any], label: str) -> Decimal | None:
    """The sum of a record's number and its base; None without both."""
    if label not in fields:
        return base
    return number(_EXACT.add(base or Decimal(0), _number(fields, label)), label)


def _time(seconds: Decimal, found: Found) -> tuple[int, bool]:
    """Milliseconds since the epoch, and whether they follow from the arrival."""
    arrival, relative = found.arrival, seconds < RELATIVE
    if relative and arrival is None:
        raise Bad("bad-time", "it is relative to the arrival, which is not known")
    # Beyond these bounds a number may have too many digits to be multiplied exactly, and lies outside of all years.
    whole = int(seconds * 1000 // 1) if abs(seconds) < 10**12 else END_MS
    time_ms = whole + arrival if relative and arrival is not None else whole
    if not FIRST_MS <= time_ms < END_MS:
        raise Bad("time-out-of-range", "bt and t are not within the years 2000 to 2099, in seconds")
    if arrival is not None and time_ms - arrival > DAY * 1000:
        raise Bad("time-in-future", f"bt and t are {(time_ms - arrival) // 1000} s after the arrival")
    return time_ms, relative
