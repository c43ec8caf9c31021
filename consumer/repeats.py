"""Tells a line that comes again and again once, and then how often it came. Pure but for the clock it is given."""

import re
from collections.abc import Callable
from typing import Final

WINDOW: Final = 60.0
"""Seconds in which lines of one shape are told once."""
MOST: Final = 200
"""Shapes that are known at a time; one more and the oldest is forgotten."""

_VARIABLE: Final = re.compile(r"[\w-]*\d[\w-]*")
_HEAD: Final = 300


def shape(text: str) -> str:
    """What stays the same in lines of one kind: words with digits in them (shards, times, request ids) are left out."""
    return _VARIABLE.sub("#", text[:_HEAD])


class Repeats:
    """Which lines to tell now."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: dict[tuple[str, ...], tuple[float, int]] = {}  # when it was told, how often it came since

    def take(self, *texts: str) -> int | None:
        """How often lines of this shape came untold since the last one that was told; None when this one is not to be
        told either."""
        now, key = self._clock(), tuple(map(shape, texts))
        told, untold = self._told.get(key, (now - WINDOW, 0))
        if now - told < WINDOW:
            self._told[key] = told, untold + 1
            return None
        self._told.pop(key, None)  # the newest stands last
        if len(self._told) >= MOST:
            del self._told[next(iter(self._told))]
        self._told[key] = now, 0
        return untold
