"""Which code a schedule runs: the product's, or a deliberately broken one (see mutants.py)."""

from dataclasses import dataclass
from typing import Any

from consumer.archive import Archive
from consumer.lease import Leases


@dataclass(frozen=True)
class Variant:
    """`patches` are (module or class, attribute, replacement), in place while a schedule runs."""

    name: str
    patches: tuple[tuple[Any, str, Any], ...] = ()
    archive: type[Archive] = Archive
    leases: type[Leases] = Leases


REAL = Variant("the product")
