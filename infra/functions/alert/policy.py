"""AlertPolicy, the JSON that says which states alert, whom, and how often: docs/alerts.md. Pure, no I/O.

The function reads it at its start; `make deploy` reads it with the same code before it deploys.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any, Literal
from zoneinfo import ZoneInfo

MAX_LENGTH = 3_000
"""Bytes; the variables of a function have 4 KB together."""
MAX_RULES = 40
SEVERITIES = ("info", "warning", "critical")
KINDS = ("threshold", "change", "silent")
FORMATS = ("text", "chat")
MIN_SILENCE, MAX_SILENCE = 20, 7_200
"""Minutes: the list of devices is some 15 minutes old, and who has been silent for a week is taken to be gone."""
MAX_COOLDOWN = 10_080  # minutes: a week
MAX_DIGEST = 100

When = Literal["below", "above"]


class LooserError(ValueError):
    """Readings beyond a rule's threshold would not call the function: AlertThreshold, or AlertWhen, does not fit."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What starts an episode for devices whose name matches `devices` (`*` and `?` as in file names)."""

    name: str
    devices: str
    kind: str
    limit: Decimal
    """Of the field's unit (threshold), of that a minute (change), or minutes (silent)."""
    sign: int
    """-1 where lower is worse, 1 where higher is."""
    hysteresis: Decimal
    severity: str
    cooldown: int  # minutes
    recovery: bool

    def excess(self, measured: Decimal) -> Decimal:
        """How far beyond the limit; an episode starts above 0 and ends at `-hysteresis`."""
        return self.sign * (measured - self.limit) if self.kind == "threshold" else self.sign * measured - self.limit


@dataclass(frozen=True, slots=True)
class Quiet:
    """From one time of the day to another, which may be that of the next day."""

    begin: time
    end: time
    zone: ZoneInfo

    def over(self, now: int) -> int:
        """When notices may be sent: `now` (ms), or the end of the quiet hours that it is in."""
        local = datetime.fromtimestamp(now / 1000, self.zone)
        for day in (-1, 0):
            date = (local + timedelta(days=day)).date()
            begin = datetime.combine(date, self.begin, self.zone)
            until = date if self.begin < self.end else date + timedelta(days=1)
            end = datetime.combine(until, self.end, self.zone)
            if begin.astimezone(UTC) <= local.astimezone(UTC) < end.astimezone(UTC):
                return int(end.timestamp() * 1000)
        return now


@dataclass(frozen=True, slots=True)
class Policy:
    rules: tuple[Rule, ...]
    quiet: Quiet | None
    digest: int
    """Notices a minute that are sent one by one; more go as one message."""
    chat: bool
    """Whether messages are for Slack or Teams instead of people's mail."""

    def of(self, device: str, *kinds: str) -> list[Rule]:
        """The rules of these kinds for a device: of those with one name the first that matches."""
        found: dict[str, Rule] = {}
        for rule in self.rules:
            if fnmatchcase(device, rule.devices.replace("[", "[[]")):  # a bracket is one of the name
                found.setdefault(rule.name, rule)
        return [rule for rule in found.values() if rule.kind in kinds]

    def due(self, severity: str, now: int) -> int:
        """When a notice may be sent, in ms."""
        return now if self.quiet is None or severity == "critical" else self.quiet.over(now)


def parse(text: str, when: str, threshold: str) -> Policy:
    """The policy; `when` and `threshold` are AlertWhen and AlertThreshold. ValueError names what is wrong first; if it
    is how a rule and these two fit together, it is a LooserError."""
    if (length := len(text.encode(errors="surrogatepass"))) > MAX_LENGTH:
        raise ValueError(f"it has {length} bytes, but may have {MAX_LENGTH}")
    try:
        given = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except InvalidOperation:
        raise ValueError("it has a number with too large an exponent") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from None
    _only(given, "the policy", {"rules", "quiet", "digest", "format"})
    rules = given.get("rules")
    if not isinstance(rules, list) or not 1 <= len(rules) <= MAX_RULES:
        raise ValueError(f"rules must be a list of 1 to {MAX_RULES}")
    parsed = tuple(_rule(each, when, Decimal(threshold)) for each in rules)
    kinds: dict[str, str] = {}
    for rule in parsed:
        if kinds.setdefault(rule.name, rule.kind) != rule.kind:
            raise ValueError(f"rules named {rule.name} are of two kinds, {kinds[rule.name]} and {rule.kind}")
    if given.get("format", "text") not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}")
    digest = _whole(given, "the policy", "digest", 5, 0, MAX_DIGEST)
    return Policy(parsed, _quiet(given.get("quiet")), digest, given.get("format") == "chat")


def _rule(given: Any, when: str, threshold: Decimal) -> Rule:
    where = f"rule {given['name']}" if isinstance(given, Mapping) and "name" in given else "a rule"
    _only(given, where, {"name", "devices", *KINDS, "interval", "hysteresis", "severity", "cooldown", "recovery"})
    name, devices = given.get("name"), given.get("devices", "*")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", name):
        raise ValueError(f"{where}: name must be up to 32 of a-z 0-9 -")
    if not isinstance(devices, str) or not 0 < len(devices) <= 128:
        raise ValueError(f"{where}: devices must be a name, with * and ? where any may stand")
    kinds = [kind for kind in KINDS if kind in given]
    if len(kinds) > 1:
        raise ValueError(f"{where}: {' and '.join(kinds)} need a rule each")
    kind = kinds[0] if kinds else "threshold"
    if given.get("severity", "warning") not in SEVERITIES:
        raise ValueError(f"{where}: severity must be one of {', '.join(SEVERITIES)}")
    if not isinstance(given.get("recovery", True), bool):
        raise ValueError(f"{where}: recovery must be true or false")
    limit, hysteresis = _limit(given, where, kind, when, threshold), _number(given, where, "hysteresis", Decimal(0), 0)
    if kind == "silent" and hysteresis >= limit:
        raise ValueError(f"{where}: hysteresis must be less than silent x interval, {limit} minutes, or it never ends")
    return Rule(
        name=name,
        devices=devices,
        kind=kind,
        limit=limit,
        sign=-1 if when == "below" and kind != "silent" else 1,
        hysteresis=hysteresis,
        severity=given.get("severity", "warning"),
        cooldown=_whole(given, where, "cooldown", 0, 0, MAX_COOLDOWN),
        recovery=given.get("recovery", True),
    )


def _limit(given: Mapping[str, Any], where: str, kind: str, when: str, threshold: Decimal) -> Decimal:
    if "interval" in given and kind != "silent":
        raise ValueError(f"{where}: interval is that of silent")
    if kind == "silent":
        minutes = _number(given, where, "silent", None, 1) * _number(given, where, "interval", None, 0)
        if not MIN_SILENCE <= minutes <= MAX_SILENCE:
            raise ValueError(
                f"{where}: silent x interval is {minutes} minutes, but must be {MIN_SILENCE}..{MAX_SILENCE}"
            )
        return minutes
    if kind == "change":
        return _number(given, where, "change", None, 0)
    limit = _number(given, where, "threshold", threshold, None)
    if limit > threshold if when == "below" else limit < threshold:
        raise LooserError(
            f"{where}: threshold {limit} is looser than AlertThreshold, {threshold}, {when} which readings call the "
            f"function; give AlertThreshold={limit} with the policy"
        )
    return limit


def _quiet(given: Any) -> Quiet | None:
    if given is None:
        return None
    _only(given, "quiet", {"from", "to", "zone"})
    try:
        begin, end = (datetime.strptime(str(given.get(each)), "%H:%M").time() for each in ("from", "to"))
    except ValueError:
        raise ValueError("quiet: from and to must be times such as 22:00") from None
    if begin == end:
        raise ValueError("quiet: from and to must differ")
    try:
        return Quiet(begin, end, ZoneInfo(str(given.get("zone", "UTC"))))
    except (OSError, ValueError, LookupError):
        raise ValueError(f"quiet: zone {given['zone']} is not known; such as Europe/Berlin") from None


def _only(given: Any, where: str, known: set[str]) -> None:
    if not isinstance(given, Mapping):
        raise ValueError(f"{where} must be an object")
    if strange := sorted(set(given) - known):
        raise ValueError(f"{where}: {strange[0]} is not known; there are {', '.join(sorted(known))}")


def _number(given: Mapping[str, Any], where: str, key: str, default: Decimal | None, least: int | None) -> Decimal:
    value = given.get(key, default)
    if not isinstance(value, Decimal) or not value.is_finite() or value.copy_abs() >= 10**9:
        raise ValueError(f"{where}: {key} must be a number")
    if least is not None and value < least:
        raise ValueError(f"{where}: {key} must be at least {least}")
    return value


def _whole(given: Mapping[str, Any], where: str, key: str, default: int, least: int, most: int) -> int:
    value = given.get(key, Decimal(default))
    if not isinstance(value, Decimal) or not least <= value <= most or value != int(value):
        raise ValueError(f"{where}: {key} must be a whole number of {least} to {most}")
    return int(value)
