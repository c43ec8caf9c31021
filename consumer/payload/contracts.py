"""Pure: all contracts of the setting, compiled. The first one whose required paths are in a message reads it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from consumer.payload import each, senml
from consumer.payload.contract import DEFAULT_SETTING, READY, ContractError, Entry
from consumer.payload.numbers import ALL
from consumer.payload.readers import Reader, reader
from consumer.payload.reading import Found, Read
from consumer.payload.usage import Usage
from consumer.payload.values import MISSING, Bad, kind

Own = Callable[[bytes, str], Any]
"""The operator's decoder: (payload, partition key) -> a message or a list of messages; None to have the payload parsed
as usual; a Bad if it failed. It never raises."""


class Contracts:
    """The contracts in their order. Raises ContractError for one that is invalid or can never read a message."""

    def __init__(self, entries: Sequence[Entry] = DEFAULT_SETTING, own: Own | None = None) -> None:
        self.entries = tuple(entries)
        self.own = own
        self._readers: list[Reader] = []
        for index, entry in enumerate(entries):
            try:
                self._add(_compiled(entry, f"contract-{index + 1}"))
            except ContractError as error:
                raise ContractError(error.what, (index, *error.where)) from None
        self._reads: list[Read] = []
        for shared, group in groupby(self._readers, lambda one: one.contract.each):
            readers = [*group]
            self._reads += [one.read for one in readers] if shared is None else [_each(readers)]
        self.encoding = next((one.contract.encoding for one in self._readers if one.contract.encoding), None)
        """The encoding to try first where the bytes may be CBOR or MessagePack."""
        self.shortcut = None if own else self._readers[0].shortcut
        self._nested = any(one.levels for one in self._readers)
        self._senml = next((one for one in self._readers if one.contract is senml.CONTRACT), None)

    def _add(self, made: Reader) -> None:
        for other in self._readers:
            if made.usage.name == other.usage.name:
                raise ContractError(f"there is another contract named {made.usage.name}")
            if other.hides(made):
                raise ContractError(
                    f"never reads a message: {other.usage.name} before it reads all that have its paths"
                )
        self._readers.append(made)

    def __eq__(self, other: object) -> bool:
        return type(other) is Contracts and (other.entries, other.own) == (self.entries, self.own)

    def __hash__(self) -> int:
        return hash(tuple(usage.name for usage in self.usages()))

    def __repr__(self) -> str:
        return f"Contracts({', '.join(usage.name for usage in self.usages())})"

    def usages(self) -> list[Usage]:
        """The counts of each contract, in their order."""
        return [one.usage for one in self._readers]

    def looked_up(self, item: object, found: Found) -> Iterator[tuple[str, str, object]]:
        """For each path of each contract the value in a message, MISSING if there is none; for `contract try`."""
        for one in self._readers:
            within = item
            if one.levels:
                yield one.usage.name, f"each {one.list_name}", one.levels[0](item, found)
                found.message = item
                found.key, within, found.outer = next(each.elements(one.levels, item, found), ("", MISSING, ()))
            for path, at in (*one.needs, *one.numbers):
                yield one.usage.name, path, at(within, found)

    def fields(self) -> frozenset[str]:
        """What values, measures and sensors are called; empty where messages name them (SenML, all numbers)."""
        names = {name for usage in self.usages() for name in usage.missing}
        if self._senml or ALL in names:
            return frozenset()
        values = {one.contract.value for one in self._readers if one.contract.value is not None}
        return frozenset({"value"} | values | names)

    def read(self, document: object, found: Found) -> None:
        """Reads a value of a record into `found`: a message, an array of them, or a pack of SenML."""
        items = [document]
        if type(document) is list:
            if self._senml and self._is_pack(document, found):
                senml.read_pack(document, found, self._senml.usage)
                return
            items = document or [Bad("empty", "an array without readings")]
        reads, index, nested = self._reads, found.index, self._nested
        for item in items:
            if nested:
                found.index = index
            try:
                for read in reads:
                    if read(item, found):
                        break
                else:
                    raise _why_not(self._readers, item, found)
            except Bad as bad:
                found.reject(bad, index)
            index = (found.index if nested else index) + 1  # a message with `each` holds several readings
        found.index = index

    def _is_pack(self, document: list[Any], found: Found) -> bool:
        """Whether the SenML contract is the first to match the first object of an array."""
        first = next((item for item in document if type(item) is dict), None)
        return first is not None and self._senml is next((r for r in self._readers if not r.lacks(first, found)), None)


def _compiled(entry: Entry, label: str) -> Reader:
    if entry == "senml":
        return senml.reader()
    contract = READY[entry] if isinstance(entry, str) else entry
    return reader(contract, contract.name or label)


def _each(readers: list[Reader]) -> Read:
    """Reads the list that these contracts share: each element by the first of them that matches it."""
    levels = readers[0].levels

    def read(item: Any, found: Found) -> bool:
        if each.members(levels[0](item, found)) is None:
            return False
        found.message = item
        place = -1
        for place, (key, element, outer) in enumerate(each.elements(levels, item, found)):
            found.key, found.outer = key, outer
            found.index += place > 0
            try:
                if not any(one.read(element, found) for one in readers):
                    raise _why_not(readers, element, found, within=True)
            except Bad as bad:
                found.reject(bad, found.index)
        if place < 0:
            raise Bad("empty", f"there is no reading in {readers[0].list_name}")
        return True

    return read


def _why_not(readers: list[Reader], item: object, found: Found, within: bool = False) -> Bad:
    """The reject of a message, or of an element `within` one, that matches no contract."""
    if type(item) is Bad:
        return item
    if type(item) is not dict:
        return Bad("not-an-object", f"a reading is an object, not {kind(item)}")
    lacking = [(one, one.lacks(item, found, within)) for one in readers]
    # The nearest contract has most required paths in the message; of several the one that lacks fewest.
    nearest, lacks = max(lacking, key=lambda one: (len(one[0].needs) - len(one[1]), -len(one[1])))
    nearest.usage.came_nearest(lacks)
    told = f"lacks {', '.join(lacks)}"
    if len(readers) > 1:
        told = f"no contract reads it; {nearest.usage.name} comes nearest and {told}"
    return Bad("missing-field", told)


DEFAULT: Final = Contracts()
"""Reads the two built-in formats."""
