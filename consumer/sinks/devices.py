"""Pure: about how many different devices spoke in the last minute, in bounded memory.

Linear counting (Whang et al., 1990): a device marks the slot that its name hashes to, and the share of free slots tells
how many there were, whatever the number of readings. A slot holds the time of its last mark, so the minute rolls on.
Within 1 % up to 500,000 devices, then coarser; SLOTS bytes, whatever comes. Times are seconds of a clock that only goes
forward.
"""

import math
from collections.abc import Iterable
from typing import Final

SLOTS: Final = 1 << 17
STEP: Final = 5.0
"""Seconds that share one mark."""
KEPT: Final = 13
"""Marks that count: the one under way and those of the minute before it."""
_FREE: Final = 0
_MARKS: Final = 250  # more than KEPT, fewer than a byte tells apart


class Devices:
    """The devices of one worker."""

    def __init__(self) -> None:
        self._slots = bytearray(SLOTS)
        self._step = 0

    def add(self, names: Iterable[str], now: float) -> None:
        """Notes that these devices spoke; a name may come more than once."""
        self._advance(now)
        mark, slots = _mark(self._step), self._slots
        for name in names:
            slots[hash(name) % SLOTS] = mark

    def count(self, now: float) -> int:
        """Different devices of the last 60 to 65 seconds."""
        self._advance(now)
        free = self._slots.count(_FREE)
        return round(SLOTS * math.log(SLOTS / max(free, 1)))

    def _advance(self, now: float) -> None:
        """Frees the slots whose mark is too old; their marks come round again."""
        step = int(now // STEP)
        if step <= self._step:
            return
        kept = {_mark(before) for before in range(max(step - KEPT + 1, 0), self._step + 1)}
        self._slots = self._slots.translate(bytes(mark if mark in kept else _FREE for mark in range(256)))
        self._step = step


def _mark(step: int) -> int:
    return step % _MARKS + 1
