"""Pure: the elements of the list, or of the nested lists, that a contract's `each` leads to."""

from collections.abc import Iterator
from typing import Any

from consumer.payload.contract import Contract
from consumer.payload.paths import Find, find
from consumer.payload.reading import Found
from consumer.payload.values import Bad

Element = tuple[str, Any, tuple[Any, ...]]
"""Its key in an object (empty in a list), the element, and the elements around it from the outermost."""


def levels(contract: Contract) -> list[Find]:
    """The compiled paths of a contract's `each`, one for each level. Raises PathError."""
    return [find(path) for path in paths(contract)]


def paths(contract: Contract) -> list[str]:
    """The paths of a contract's `each`; none without it."""
    if contract.each is None:
        return []
    return [contract.each] if isinstance(contract.each, str) else contract.each


def members(listed: object) -> list[tuple[str, Any]] | None:
    """Key and element of a list, or of the objects in an object; None for anything else."""
    if type(listed) is list:
        return [("", member) for member in listed]
    if type(listed) is dict:
        # Other members (a unit, a time) belong to all elements.
        return [(str(key), member) for key, member in listed.items() if type(member) in (dict, list, Bad)] or None
    return None


def elements(finds: list[Find], item: Any, found: Found, outer: tuple[Any, ...] = ()) -> Iterator[Element]:
    """The elements of the innermost lists; a Bad in the place of an inner list that is missing."""
    listed = members(finds[0](item, found))
    if listed is None:
        yield "", item if type(item) is Bad else Bad("missing-field", "has no list of readings within it"), outer
    elif len(finds) == 1:
        for key, member in listed:
            yield key, member, outer
    else:
        for _, member in listed:
            yield from elements(finds[1:], member, found, (*outer, member))
