"""Pure: compiles the paths of a contract to functions that look up a value in a message.

Paths are JMESPath. A path of keys and indexes only becomes direct look-ups; any other is evaluated by the JMESPath
library. In addition: `$partitionKey`, the record's partition key; `$arrival`, for the time only; `$.path`, a path of
the whole message inside `each`; `$1.path`, of the element of the first of nested lists; `$key`, the key of an element
where `each` is an object.
"""

import json
import re
import warnings
from collections.abc import Callable
from decimal import Decimal
from operator import itemgetter
from typing import Any, Final

import jmespath
from jmespath import functions, visitor

from consumer.payload.reading import Found
from consumer.payload.values import MISSING, Bad, device, shown

ARRIVAL: Final = "$arrival"
_OUTER = re.compile(r"\$([1-9])\.(.+)")
_FIELD = re.compile(r"\{([^{}]*)\}")


Find = Callable[[Any, Found], Any]
"""(message or element, its record) -> the value, or MISSING; never raises."""


class PathError(ValueError):
    """An invalid path; the text says why."""


class _Functions(functions.Functions):  # type: ignore[misc]  # the library has no types
    """JMESPath's functions, which here also take Decimals as numbers."""

    def _get_allowed_pytypes(self, types: Any) -> Any:
        allowed, within = super()._get_allowed_pytypes(types)
        return _and_decimal(allowed), [_and_decimal(each) for each in within]

    def _convert_to_jmespath_type(self, name: str) -> Any:
        return "number" if name == "Decimal" else super()._convert_to_jmespath_type(name)

    @functions.signature({"types": ["array-number"]})  # type: ignore[untyped-decorator]
    def _func_avg(self, numbers: list[Any]) -> Any:
        return sum(map(_decimal, numbers)) / len(numbers) if numbers else None

    @functions.signature({"types": ["array-number"]})  # type: ignore[untyped-decorator]
    def _func_sum(self, numbers: list[Any]) -> Any:
        return sum(map(_decimal, numbers))

    @functions.signature({"types": []})  # type: ignore[untyped-decorator]
    def _func_to_number(self, given: Any) -> Any:
        return given if type(given) is Decimal else super()._func_to_number(given)


def _and_decimal(names: Any) -> Any:
    return [*names, "Decimal"] if "float" in names else names


def _decimal(number: Any) -> Decimal:
    return Decimal(repr(number)) if type(number) is float else Decimal(number)


_OPTIONS = jmespath.Options(custom_functions=_Functions())


def keys(path: str) -> tuple[str | int, ...] | None:
    """The keys and indexes of a path that consists of nothing else, otherwise None. Raises PathError."""
    return None if path.startswith("$") else _keys(_parsed(path))


def find(path: str, within: int = 0) -> Find:
    """Compiles a path of a message, or of an element `within` that many nested lists. Raises PathError."""
    if path == "$partitionKey":
        return lambda _, found: found.partition_key
    if path == "$key" and within:
        return lambda _, found: found.key or MISSING
    if path.startswith("$."):
        whole = find(path[2:])
        return (lambda _, found: whole(found.message, found)) if within else whole
    if (numbered := _OUTER.fullmatch(path)) and int(numbered[1]) < within:
        level, of_outer = int(numbered[1]) - 1, find(numbered[2])
        return lambda _, found: of_outer(found.outer[level], found) if level < len(found.outer) else MISSING
    if path.startswith("$"):
        raise PathError(
            f"{path} is for a time only"
            if path == ARRIVAL
            else f"{shown(path)} is none of $partitionKey, $.path and, with each, $key and $1.path"
        )
    tree = _parsed(path)
    steps = _keys(tree)
    if steps is None:
        return _evaluated(tree)
    if len(steps) == 1 and type(steps[0]) is str:
        only = steps[0]
        return lambda item, _: item.get(only, MISSING) if type(item) is dict else MISSING
    if all(type(step) is str for step in steps):
        return _by_keys(steps)
    return _by_steps(steps)


def _by_keys(steps: tuple[Any, ...]) -> Find:
    def follow(item: Any, _: Found) -> Any:
        for key in steps:
            if type(item) is not dict:
                return MISSING
            item = item.get(key, MISSING)
        return item

    return follow


def _by_steps(steps: tuple[Any, ...]) -> Find:
    def follow(item: Any, _: Found) -> Any:
        for step in steps:
            if type(item) is not (list if type(step) is int else dict):
                return MISSING
            try:
                item = item[step]
            except LookupError:
                return MISSING
        return item

    return follow


def _evaluated(tree: Any) -> Find:
    interpreter = visitor.TreeInterpreter(_OPTIONS)

    def evaluate(item: Any, _: Found) -> Any:
        try:
            found = interpreter.visit(tree, item)
        except Exception:  # noqa: BLE001  # such as a function's argument of a wrong type
            return MISSING
        if found is None or (type(found) is Decimal and (found.is_infinite() or found.is_qnan())):
            return MISSING
        return found

    return evaluate


def name(text: str, within: int = 0) -> Find:
    """Compiles a device: a path or a template. Raises PathError."""
    if "{" not in text and "}" not in text:
        return find(text, within)
    pieces = _FIELD.split(text)
    if any(brace in literal for literal in pieces[::2] for brace in "{}") or len(pieces) == 1:
        raise PathError(f"{shown(text)} is no template such as {{model}}-{{id}}")
    finds = [(path, find(path, within)) for path in pieces[1::2]]
    literals = pieces[::2]

    def fill(item: Any, found: Found) -> Any:
        given = [(path, each(item, found)) for path, each in finds]
        if any(value is MISSING for _, value in given):
            return MISSING
        try:
            parts = [device(value, path) + literal for (path, value), literal in zip(given, literals[1:], strict=True)]
        except Bad as bad:
            return bad
        return literals[0] + "".join(parts)

    return fill


def flat(paths: tuple[str, ...]) -> "Callable[[Any], tuple[Any, ...]] | None":
    """An `itemgetter` of several keys of the message (KeyError if one is missing); None if a path is no single key."""
    steps = [keys(path) for path in paths]
    if not all(step is not None and len(step) == 1 and type(step[0]) is str for step in steps):
        return None
    return itemgetter(*(step[0] for step in steps if step))


def _parsed(path: str) -> Any:
    try:
        with warnings.catch_warnings():
            # What is no JSON in back quotes is a text, as AWS's own examples write it; the library warns of it.
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            tree = jmespath.compile(path).parsed
        json.dumps(tree, ensure_ascii=False).encode()  # a literal may be half of a surrogate pair
    except (ValueError, TypeError, LookupError, RecursionError) as error:  # most are JMESPathErrors, not all
        reason = " ".join(str(error).partition(", for expression")[0].split())[:100]
        raise PathError(f'{shown(path)} is not JMESPath ({reason}); quote a key with other signs: "PM2-5"') from None
    _check_functions(tree)
    return tree


def _check_functions(tree: Any) -> None:
    """Raises PathError for an unknown function, which the library would notice only when it evaluates the path."""
    if tree["type"] == "function_expression" and tree["value"] not in _Functions.FUNCTION_TABLE:
        raise PathError(f"there is no function {tree['value']}()")
    for child in tree["children"]:
        if type(child) is dict:
            _check_functions(child)


def _keys(tree: Any) -> tuple[str | int, ...] | None:
    match tree["type"]:
        case "field" | "index":
            return (tree["value"],)
        case "identity" | "current":
            return ()
        case "subexpression" | "index_expression":
            parts = [_keys(child) for child in tree["children"]]
            return None if None in parts else tuple(step for part in parts for step in part or ())
    return None
