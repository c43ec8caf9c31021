"""How the product is put into the simulated world."""

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def replaced(*patches: tuple[Any, str, Any]) -> Iterator[None]:
    """Attributes of modules replaced for a while (as mock.patch does, in a tenth of its time)."""
    before = [(target, name, vars(target)[name]) for target, name, _ in patches]
    try:
        for target, name, instead in patches:
            setattr(target, name, instead)
        yield
    finally:
        for target, name, old in reversed(before):
            setattr(target, name, old)
