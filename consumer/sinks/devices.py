"""Pure: estimates the number of different devices in the last minute, in bounded memory.

Linear counting (Whang et al., 1990): a device marks the slot that its name hashes to, and the share of free slots gives
the number of devices, independent of the number of readings. A slot holds the time of its last mark, which makes it a
sliding window. Within 1 % up to 500,000 devices, then less exact; SLOTS bytes in any case. Times are seconds of a
monotonic clock.
"""

import math
from collections.abc import Iterable
from typing import Final

SLOTS: Final = 1 << 17
STEP_SECONDS: Final = 5.0
"""Duration of one step; all marks of a step are equal."""
KEPT_STEPS: Final = 13
"""Steps that count: the current one and those of the minute before it."""
_FREE: Final = 0
_MARKS: Final = 250  # different marks: more than KEPT_STEPS, and few enough for a byte


class Devices:
    """The devices of one worker."""

    def __init__(self) -> None:
        self._slots = bytearray(SLOTS)
        self._step = 0

    def add(self, names: Iterable[str], now: float) -> None:
        """Records readings of these devices; names may repeat."""
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
        """Frees the slots whose mark is too old; marks are reused."""
        step = int(now // STEP_SECONDS)
        if step <= self._step:
            return
        kept = {_mark(before) for before in range(max(step - KEPT_STEPS + 1, 0), self._step + 1)}
        self._slots = self._slots.translate(bytes(mark if mark in kept else _FREE for mark in range(256)))
        self._step = step


def _mark(step: int) -> int:
    return step % _MARKS + 1
