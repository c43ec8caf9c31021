"""Pure: converts a field's value to the time of measurement in milliseconds since the epoch; raises `Bad`.

The time zones are those of the package tzdata, not of the machine, so that a replay gives the same times.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from consumer.payload.values import Bad, numeral, shown, wrong

FIRST_MS: Final = 946_684_800_000  # 2000-01-01T00:00:00Z
END_MS: Final = 4_102_444_800_000  # 2100-01-01T00:00:00Z
# Seconds, milliseconds, microseconds, nanoseconds. Counted from 1970, the years 2000 to 2099 do not overlap in them.
_UNITS: Final = (1_000_000_000, 1_000_000, 1_000, 1)

_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]+)?)?"
_BASIC = r"(?:[01][0-9]|2[0-3])[0-5][0-9](?:[0-5][0-9](?:[.,][0-9]+)?)?"
_ISO = re.compile(
    rf"(?P<moment>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[Tt ]{_CLOCK}|[0-9]{{8}}[Tt]{_BASIC})"
    r" ?(?P<zone>[Zz]|UTC|GMT|[+-][0-9]{2}(?::?[0-5][0-9])?)?"
)
_USUAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?Z")
"""The usual form, which needs no other checks."""
_RFC_1123 = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?(?P<day>[0-9]{1,2}) (?P<month>[A-Z][a-z]{2}) (?P<year>[0-9]{4}) "
    r"(?P<clock>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?) (?P<zone>GMT|UTC?|[+-][0-9]{4})"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_COUNT = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def zone(name: str) -> tzinfo:
    """The time zone of an IANA name. Raises ValueError."""
    data = resources.files("tzdata")
    if name not in data.joinpath("zones").read_text().split():
        raise ValueError(f"{name!r} is no time zone such as Europe/Berlin")
    with data.joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, name)


def time(given: object, name: str, local: tzinfo | None = None) -> int:
    """A count since the epoch (number or string of one), ISO-8601 or RFC 1123 -> milliseconds; finer digits are cut
    off. `local` is the zone of a time that names none; without it such a time is none."""
    if type(given) is int:
        return given if FIRST_MS <= given < END_MS else _count(given, name)
    if type(given) is str:
        if _USUAL.fullmatch(given):
            return _usual(given, name)
        if _COUNT.fullmatch(given):
            return _count(numeral(given, name), name)
        return _within(_text(given, name, local), name)
    if type(given) is Decimal:
        return _count(given, name)
    if type(given) is float:
        return _count(numeral(repr(given), name), name)
    raise wrong(given, name, "a time")


def _count(given: int | Decimal, name: str) -> int:
    """Seconds, milliseconds, microseconds or nanoseconds: the one in which it lies within the years 2000 to 2099."""
    # Beyond these bounds lies none of them, and a Decimal there may be too large for arithmetic, or no number at all.
    if (isinstance(given, int) or given.is_finite()) and 0 < given < 10**20:
        for unit in _UNITS:
            if FIRST_MS <= given * unit // 1_000_000 < END_MS:
                return int(given * unit // 1_000_000)
    raise Bad(
        "time-out-of-range", f"{name} is not within the years 2000 to 2099, in seconds, milli-, micro- or nanoseconds"
    )


def _usual(given: str, name: str) -> int:
    try:
        time_ms = (datetime.fromisoformat(given) - _EPOCH) // _MILLISECOND
    except ValueError as error:
        raise Bad("bad-time", f"{name} is no time: {shown(given)}: {error}") from None
    return time_ms if FIRST_MS <= time_ms < END_MS else _within(time_ms, name)


def _text(given: str, name: str, local: tzinfo | None) -> int:
    found = _ISO.fullmatch(given)
    try:
        if found and found["zone"]:
            there = "Z" if found["zone"] in ("UTC", "GMT") else found["zone"]
            moment = datetime.fromisoformat(f"{found['moment']}{there}".upper())
        elif found and local:
            moment = _localized(datetime.fromisoformat(found["moment"].upper()), local)
        elif found:
            raise ValueError("it has no zone, and the contract no time_zone")
        elif rfc := _RFC_1123.fullmatch(given):
            moment = _rfc_1123(rfc)
        else:
            raise ValueError("neither a count since 1970 nor ISO-8601 nor RFC 1123")
    except ValueError as error:
        raise Bad("bad-time", f"{name} is no time: {shown(given)}: {error}") from None
    return (moment - _EPOCH) // _MILLISECOND


def _localized(moment: datetime, local: tzinfo) -> datetime:
    """Adds the zone; of a local time that occurs twice the first is meant. Raises ValueError if it does not occur."""
    if not datetime.min.year + 1 < moment.year < datetime.max.year:
        raise ValueError("no year of ours")
    there = moment.replace(tzinfo=local)
    at = there.astimezone(UTC)
    if at.astimezone(local).replace(tzinfo=None) != moment:
        raise ValueError(f"it does not exist in {local}, where clocks were put forward")
    return at


def _rfc_1123(found: re.Match[str]) -> datetime:
    if found["month"] not in _MONTHS:
        raise ValueError(f"no month {found['month']}")
    offset = found["zone"]
    ahead = timedelta()
    if offset[0] in "+-":
        ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:])) * (1 if offset[0] == "+" else -1)
    month = _MONTHS.index(found["month"]) + 1
    there = datetime.fromisoformat(f"{found['year']}-{month:02d}-{int(found['day']):02d}T{found['clock']}")
    return there.replace(tzinfo=timezone(ahead))


def _within(time_ms: int, name: str) -> int:
    if not FIRST_MS <= time_ms < END_MS:
        raise Bad("time-out-of-range", f"{name} is not within the years 2000 to 2099")
    return time_ms


def timestamp(time_ms: int) -> str:
    """Milliseconds since the epoch -> `2026-11-22T10:48:16.123Z`."""
    minute, rest = divmod(time_ms, 60_000)
    return f"{_minute(minute)}{rest // 1000:02d}.{rest % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _minute(minute: int) -> str:
    # Readings come close together in time: the calendar is asked once a minute, not once a reading.
    return (_EPOCH + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:")
