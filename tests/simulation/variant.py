"""Which code a schedule runs: the product's, or a deliberately broken one (see mutants.py)."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Variant:
    """`patches` are (module or class, attribute, replacement), in place while a schedule runs."""

    name: str
    patches: tuple[tuple[Any, str, Any], ...] = ()
    rare: bool = False
    """It takes many schedules to catch: a chain of several owners' misfortunes."""


REAL = Variant("the product")


@contextlib.contextmanager
def replaced(*patches: tuple[Any, str, Any]) -> Iterator[None]:
    """Attributes of modules and classes replaced for a while (as mock.patch does, in a tenth of its time)."""
    before = [(target, name, vars(target)[name]) for target, name, _ in patches]
    try:
        for target, name, instead in patches:
            setattr(target, name, instead)
        yield
    finally:
        for target, name, old in reversed(before):
            setattr(target, name, old)
