"""Pure: compiles a contract to the function that reads messages.

The function returns whether the contract matches the message, and appends the reading to `Found`. A contract whose
three fields are keys of the message itself, as in the built-in contracts, gets them by a single `itemgetter`.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from consumer.payload.clock import ARRIVED, Clock, clock
from consumer.payload.contract import MAX_NAME, Contract, ContractError, Paths, called_value
from consumer.payload.each import levels, members, paths
from consumer.payload.numbers import ALL, NO_VALUE, of_object, with_numbers
from consumer.payload.paths import ARRIVAL, Find, PathError, find, flat, keys, name
from consumer.payload.reading import Found, Read, Reading
from consumer.payload.shortcut import Shortcut, shortcut
from consumer.payload.times import END_MS, FIRST_MS
from consumer.payload.usage import Usage
from consumer.payload.values import MISSING, SHORT, device, fits, number


class Reader(msgspec.Struct):
    """A compiled contract: the function `read`, its required paths `needs`, and the paths of measures and sensors
    (`numbers`), at least one of which is required if the contract has no value."""

    contract: Contract
    usage: Usage
    read: Read
    needs: list[tuple[str, Find]]
    numbers: list[tuple[str, Find]] = []
    levels: list[Find] = []
    shortcut: Shortcut | None = None

    @property
    def list_name(self) -> str:
        """The path of `each`, for people."""
        return ", ".join(paths(self.contract))

    @property
    def any_of(self) -> list[tuple[str, Find]]:
        return [] if self.contract.value is not None else self.numbers

    def hides(self, later: "Reader") -> bool:
        """Whether this contract matches every message that a later contract would match."""
        needs, has = ({path for path, _ in each.needs if path != "$partitionKey"} for each in (self, later))
        one, others = ({path for path, _ in each.any_of} for each in (self, later))
        return (
            self.contract.each == later.contract.each
            and self.contract.encoding in (None, later.contract.encoding)
            and needs <= has
            and (not one or bool(one & has) or bool(others and others <= one))
        )

    def lacks(self, item: object, found: Found, within: bool = False) -> list[str]:
        """The required paths that are missing in a message, or with `each` in an element `within` it."""
        if self.levels and not within:
            return [] if members(self.levels[0](item, found)) else [f"readings in {self.list_name}"]
        missing = [path for path, at in self.needs if at(item, found) is MISSING]
        if self.any_of and all(at(item, found) is MISSING for _, at in self.any_of):
            missing.append("any of " + ", ".join(label for label, _ in self.any_of))
        return missing


def reader(contract: Contract, label: str) -> Reader:
    """Compiles a contract. Raises ContractError."""
    measures, sensors = _named(contract, "measures"), _named(contract, "sensors")
    if contract.value is None and not measures and not sensors:
        raise ContractError("names neither value nor measures nor sensors")
    at_device = _at(contract, "device", name)
    at_time: Find = lambda _, __: ARRIVED  # noqa: E731
    at_value: Find = lambda _, __: NO_VALUE  # noqa: E731
    needs = [(contract.device, at_device)]
    if contract.time != ARRIVAL:
        at_time = _at(contract, "time", find)
        if contract.bad_time == "reject":
            needs.append((contract.time, at_time))
    if contract.value is not None:
        at_value = _at(contract, "value", find)
        needs.append((contract.value, at_value))
    usage = Usage(label, 0, dict.fromkeys((*measures, *sensors), 0), dict.fromkeys((*measures, *sensors), 0))
    numbers = [*_paths(contract.measures, measures), *_paths(contract.sensors, sensors)]
    tell = clock(contract)
    plain = len(needs) == 3 and "{" not in contract.device and flat(tuple(path for path, _ in needs))
    fields = (at_device, at_time, at_value)
    if measures or sensors:
        read = with_numbers(contract, fields, (measures, sensors), tell, usage)
    else:
        read = _plain(contract, plain, tell, usage) if plain else _placed(contract, fields, tell, usage)
    if contract.encoding is not None:
        read = _only(contract.encoding, read)
    return Reader(
        contract, usage, read, needs, numbers, _levels(contract), _shortcut(contract, needs, usage) if plain else None
    )


def _plain(contract: Contract, get: Callable[[Any], tuple[Any, ...]], tell: Clock, usage: Usage) -> Read:
    """The reader of a contract whose device, time and value are keys of the message itself."""
    at_device, at_value = contract.device, contract.value or ""
    first = (keys(at_device) or ("",))[0]
    called = called_value(contract)
    ahead = _max_ahead_ms(contract)

    def read(item: Any, found: Found) -> bool:
        if type(item) is not dict or first not in item:
            return False  # cheaper than a KeyError
        try:
            given, at, value = get(item)
        except KeyError:
            return False
        usage.matched += 1
        # Shortcuts for the usual types: the functions would give the same result.
        label = given if type(given) is str and 0 < len(given) <= SHORT else device(given, at_device)
        try:
            measured = fits(value) if type(value) is Decimal and value else number(value, at_value)
        except ArithmeticError:
            measured = number(value, at_value)
        arrival = found.arrival
        if not (type(at) is int and FIRST_MS <= at < END_MS and arrival is not None and at - arrival <= ahead):
            at = tell(at, found)
            if at is None:
                found.readings.append(Reading(label, arrival or 0, measured, None, True, called))
                return True
        found.readings.append(Reading(label, at, measured, None, False, called))
        return True

    return read


def _shortcut(contract: Contract, needs: list[tuple[str, Find]], usage: Usage) -> Shortcut | None:
    if contract.each is not None or contract.encoding is not None or contract.measures or contract.sensors:
        return None
    device, time, value = (str((keys(path) or ("",))[0]) for path, _ in needs)
    return shortcut(contract, (device, time, value), _max_ahead_ms(contract), usage)


def _max_ahead_ms(contract: Contract) -> int:
    """How far ahead of its arrival a whole number of milliseconds is a valid time whatever else the contract says."""
    return contract.max_future_seconds * 1000 if contract.max_past_seconds is None else -(10**15)


def _placed(contract: Contract, fields: tuple[Find, Find, Find], tell: Clock, usage: Usage) -> Read:
    """The reader of a contract with any other paths, without measures and sensors."""
    at_device, at_time, at_value = fields
    named_device, named_value = contract.device, contract.value or ""
    needs_time, called = contract.bad_time == "reject", called_value(contract)

    def read(item: Any, found: Found) -> bool:
        if (given := at_device(item, found)) is MISSING or (value := at_value(item, found)) is MISSING:
            return False
        if (at := at_time(item, found)) is MISSING and needs_time:
            return False
        usage.matched += 1
        label, measured = device(given, named_device), number(value, named_value)
        time_ms = tell(at, found)
        if time_ms is None:
            found.readings.append(Reading(label, found.arrival or 0, measured, None, True, called))
        else:
            found.readings.append(Reading(label, time_ms, measured, None, False, called))
        return True

    return read


def _only(encoding: str, read: Read) -> Read:
    return lambda item, found: found.encoding == encoding and read(item, found)


def _levels(contract: Contract) -> list[Find]:
    try:
        return levels(contract)
    except PathError as error:
        raise ContractError(str(error), ("each",)) from None


def _at(contract: Contract, part: str, compiled: Callable[[str, int], Find]) -> Find:
    try:
        return compiled(getattr(contract, part), len(paths(contract)))
    except PathError as error:
        raise ContractError(str(error), (part,)) from None


def _named(contract: Contract, part: str) -> dict[str, Find]:
    """The compiled paths of measures or sensors by name; in a list the path is the name."""
    given: Paths = getattr(contract, part)
    pairs = [*given.items()] if isinstance(given, dict) else [(path, path) for path in given]
    if len(dict(pairs)) != len(pairs):
        raise ContractError("names a path twice", (part,))
    named: dict[str, Find] = {}
    for place, (label, path) in enumerate(pairs):
        where = (part, label if isinstance(given, dict) else place)
        if len(label.encode()) > MAX_NAME:
            raise ContractError(f"has a name of more than {MAX_NAME} bytes; give it one: name to path", where)
        try:
            at = find(path, len(paths(contract)))
            named[label] = of_object(at) if label == ALL else at
        except PathError as error:
            raise ContractError(str(error), where) from None
    return named


def _paths(given: Paths, finds: dict[str, Find]) -> list[tuple[str, Find]]:
    return list(zip(given.values() if isinstance(given, dict) else given, finds.values(), strict=True))
