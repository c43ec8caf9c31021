"""Tells a line that comes again and again once, and then how often it came. Pure but for the clock it is given."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

WINDOW: Final = 60.0
"""Seconds in which lines of one shape are told once."""
MOST: Final = 200
"""Shapes that are known at a time; with one more the oldest is forgotten, and told if it came again."""

_VARIABLE: Final = re.compile(r"[\w-]*\d[\w-]*")
_HEAD: Final = 300


def shape(text: str) -> str:
    """What stays the same in lines of one kind: words with digits in them (shards, times, request ids) are left out."""
    return _VARIABLE.sub("#", text[:_HEAD])


@dataclass(slots=True)
class _Kind(Generic[T]):
    told: float
    line: T
    """The last one that was not told."""
    untold: int = 0


class Repeats(Generic[T]):
    """Calls `tell` with a line and how often lines of its shape came untold before it."""

    def __init__(self, tell: Callable[[T, int], None], clock: Callable[[], float]) -> None:
        self._tell = tell
        self._clock = clock
        self._kinds: dict[tuple[str, ...], _Kind[T]] = {}  # the one that was told last stands last

    def take(self, line: T, *texts: str) -> None:
        """Tells the line at once if none of the shape of its `texts` was told in this window; else it is counted."""
        now, key = self._clock(), tuple(map(shape, texts))
        kind = self._kinds.get(key)
        if kind and now - kind.told < WINDOW:
            kind.line, kind.untold = line, kind.untold + 1
            return
        self._kinds.pop(key, None)
        while len(self._kinds) >= MOST:
            self._forget(next(iter(self._kinds)))
        self._kinds[key] = _Kind(now, line)
        self._tell(line, kind.untold if kind else 0)

    def rest(self, *, end: bool = False) -> None:
        """Tells what came untold and has not come again since its window ended; with `end` all that is untold."""
        now = self._clock()
        for key, kind in list(self._kinds.items()):
            if not end and now - kind.told < WINDOW:
                return  # neither are the others
            self._forget(key)

    def _forget(self, key: tuple[str, ...]) -> None:
        kind = self._kinds.pop(key)
        if kind.untold:
            self._tell(kind.line, kind.untold - 1)
