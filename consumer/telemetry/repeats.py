"""Logs a repeated line once per window, with the number of repetitions. Pure but for the clock it is given."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

WINDOW: Final = 60.0
"""Seconds in which lines of one shape are emitted once."""
MAX_SHAPES: Final = 200
"""Shapes that are remembered; with one more the oldest is dropped, after its repetitions have been emitted."""

_VARIABLE: Final = re.compile(r"[\w-]*\d[\w-]*")
_HEAD: Final = 300


def shape(text: str) -> str:
    """What lines of one kind have in common: words with digits in them (shards, times, request ids) are left out."""
    return _VARIABLE.sub("#", text[:_HEAD])


@dataclass(slots=True)
class _Kind(Generic[T]):
    emitted_at: float
    line: T
    """The last one that was suppressed."""
    suppressed: int = 0


class Repeats(Generic[T]):
    """Calls `emit` with a line and the number of lines of its shape that were suppressed before it."""

    def __init__(self, emit: Callable[[T, int], None], clock: Callable[[], float]) -> None:
        self._emit = emit
        self._clock = clock
        self._kinds: dict[tuple[str, ...], _Kind[T]] = {}  # ordered by emitted_at

    def add(self, line: T, *texts: str) -> None:
        """Emits the line at once if none of the shape of its `texts` was emitted in this window; else counts it."""
        now, key = self._clock(), tuple(map(shape, texts))
        kind = self._kinds.get(key)
        if kind and now - kind.emitted_at < WINDOW:
            kind.line, kind.suppressed = line, kind.suppressed + 1
            return
        self._kinds.pop(key, None)
        while len(self._kinds) >= MAX_SHAPES:
            self._drop(next(iter(self._kinds)))
        self._kinds[key] = _Kind(now, line)
        self._emit(line, kind.suppressed if kind else 0)

    def flush(self, *, end: bool = False) -> None:
        """Emits the suppressed lines whose window has ended; with `end` all of them."""
        now = self._clock()
        for key, kind in list(self._kinds.items()):
            if not end and now - kind.emitted_at < WINDOW:
                return  # the windows of the following ones end later
            self._drop(key)

    def _drop(self, key: tuple[str, ...]) -> None:
        kind = self._kinds.pop(key)
        if kind.suppressed:
            self._emit(kind.line, kind.suppressed - 1)
