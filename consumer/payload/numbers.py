"""Pure: the reader of a contract with measures or sensors. Those that are not numbers are left out and counted."""

from decimal import Decimal
from typing import Any, Final

from consumer.payload.clock import Clock
from consumer.payload.contract import MAX_NAME, Contract, called_value
from consumer.payload.paths import Find, keys
from consumer.payload.reading import Found, Read, Reading
from consumer.payload.usage import Usage
from consumer.payload.values import MISSING, Bad, device, measure, number

NO_VALUE: Final = object()
"""The value of a contract without one."""
Paths = tuple[tuple[str, Find], ...]
"""Measures or sensors: name and compiled path."""
ALL: Final = "*"
"""The name of measures or sensors that are all numbers of an object, under their keys there."""
_NUMBERS: Final = (int, float, Decimal, Bad)
MAX_ALL: Final = 200
"""Numbers of one object, so that a row stays below DynamoDB's 400 KB."""


def of_object(at: Find) -> Find:
    """The path of ALL: it leads to an object or nowhere, for a bare value has no names."""

    def look_up(item: Any, found: Found) -> Any:
        return given if type(given := at(item, found)) is dict else MISSING

    return look_up


def with_numbers(
    contract: Contract,
    fields: tuple[Find, Find, Find],
    named: tuple[dict[str, Find], dict[str, Find]],
    tell: Clock,
    usage: Usage,
) -> Read:
    at_device, at_time, at_value = fields
    needs_time = contract.bad_time == "reject"
    measures, sensors = (tuple(each.items()) for each in named)
    either = (*measures, *sensors)
    called = called_value(contract)
    named_keys = {label: _others(contract, label) for label in ("measures", "sensors")}

    def read(item: Any, found: Found) -> bool:
        if (given := at_device(item, found)) is MISSING or (value := at_value(item, found)) is MISSING:
            return False
        if (at := at_time(item, found)) is MISSING and needs_time:
            return False
        if value is NO_VALUE and all(each(item, found) is MISSING for _, each in either):
            return False
        usage.matched += 1
        label = device(given, contract.device)
        measured = None if value is NO_VALUE else number(value, contract.value or "")
        time_ms = tell(at, found)
        kept = _numbers(measures, item, found, usage, named_keys["measures"])
        series = _numbers(sensors, item, found, usage, named_keys["sensors"])
        if measured is None and not kept and not series:
            raise Bad("missing-field", f"none of {', '.join(label for label, _ in either)} is a number")
        _append(found, label, time_ms, measured, kept, series, called)
        return True

    return read


def _others(contract: Contract, part: str) -> set[str]:
    """The keys beside which ALL numbers of an object are meant: those of device, time and value in the same object."""
    paths = getattr(contract, part)
    if not isinstance(paths, dict) or ALL not in paths:
        return set()
    place = keys(paths[ALL])
    fields = [keys(path) for path in (contract.device, contract.time, contract.value) if path and "{" not in path]
    return {str(steps[-1]) for steps in fields if steps and steps[:-1] == place}


def _numbers(paths: Paths, item: Any, found: Found, usage: Usage, named: set[str]) -> dict[str, Decimal]:
    """The numbers at these paths, by name; counts what is missing or not a number."""
    kept: dict[str, Decimal] = {}
    for label, at in paths:
        given = at(item, found)
        if label == ALL and type(given) is dict:
            kept |= _all(given, named, usage)
        elif type(given) is Decimal or type(given) is int:
            try:
                kept[label] = number(given, label)
            except Bad:
                usage.unusable[label] += 1
        elif given is MISSING:
            usage.missing[label] += 1
        elif (value := measure(given)) is None:
            usage.unusable[label] += 1
        else:
            kept[label] = value
    return kept


def _all(given: dict[Any, Any], named: set[str], usage: Usage) -> dict[str, Decimal]:
    """All numbers of an object but the `named` ones; text and objects beside them are no measures, and not counted.
    What is meant as a number is: a NaN, one of too many digits."""
    kept: dict[str, Decimal] = {}
    for key, each in given.items():
        if key in named or (value := measure(each)) is None:
            usage.unusable[ALL] += key not in named and type(each) in _NUMBERS
        elif type(key) is str and 0 < len(key.encode()) <= MAX_NAME and len(kept) < MAX_ALL:
            kept[key] = value
        else:
            usage.unusable[ALL] += 1
    return kept


def _append(
    found: Found,
    label: str,
    time_ms: int | None,
    value: Decimal | None,
    measures: dict[str, Decimal],
    sensors: dict[str, Decimal],
    called: str,
) -> None:
    """Appends the reading of the device and one reading per sensor."""
    arrived = time_ms is None
    at = (found.arrival or 0) if time_ms is None else time_ms
    # All names are checked before the first reading is appended: the message is accepted or rejected as a whole.
    series = (
        [(device(f"{label}/{each}", "device"), each, measured) for each, measured in sensors.items()] if sensors else ()
    )
    if value is not None or measures:
        found.readings.append(Reading(label, at, value, measures or None, arrived, called))
    for own, name, measured in series:
        found.readings.append(Reading(own, at, measured, None, arrived, name))
