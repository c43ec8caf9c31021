"""Which code a schedule runs: the product's, or a deliberately broken one (see mutants.py)."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Variant:
    """`patches` are (module or class, attribute, replacement), in place while a schedule runs."""

    name: str
    patches: tuple[tuple[Any, str, Any], ...] = ()


REAL = Variant("the product")
