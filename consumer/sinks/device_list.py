"""The list of devices: an entry for each that was ever seen (docs/decisions/0030-query-api.md).

An entry is durable before the delivery with the device's reading is answered, so no checkpoint passes a reading whose
device is not in the list. A worker writes it at first sight, then at most once an interval. What is remembered of that
is only ever lost, by a restart or for want of room: then an entry is written once more.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Final
from zlib import crc32

from consumer.aws.retry import Guard
from consumer.sinks.rows import list_request
from consumer.sinks.table import Arrived, Table

PHASES: Final = 30
"""Parts of the devices whose intervals begin one after another: else all would be written again at the same moment."""
MAX_NAMES: Final = 200_000
"""Names that are remembered, some 20 MB; the devices above that are written at each of their readings."""


class Written:
    """Which devices were written in the current interval. `now` is in seconds of a monotonic clock."""

    def __init__(self, seconds: int, max_names: int = MAX_NAMES) -> None:
        self._seconds = seconds
        self._free = max_names
        self._intervals = [0] * PHASES
        self._names: list[set[str]] = [set() for _ in range(PHASES)]

    def lacking(self, names: Iterable[str], now: float) -> list[str]:
        """Those that are to be written."""
        self._begin(now)
        known = self._names
        return [name for name in names if name not in known[_phase(name)]]

    def add(self, names: Iterable[str], now: float) -> None:
        """Remembers what was written, as long as there is room; `now` is when it was found lacking."""
        for name in names:
            phase = _phase(name)
            known = self._names[phase]
            if self._free and self._interval(phase, now) == self._intervals[phase] and name not in known:
                known.add(name)
                self._free -= 1

    def _begin(self, now: float) -> None:
        """Forgets those whose interval has begun anew."""
        for phase, known in enumerate(self._names):
            if (interval := self._interval(phase, now)) != self._intervals[phase]:
                self._intervals[phase] = interval
                self._free += len(known)
                known.clear()

    def _interval(self, phase: int, now: float) -> int:
        return int(now / self._seconds + phase / PHASES)


def _phase(name: str) -> int:
    return crc32(name.encode()) % PHASES


class DeviceList:
    """The entries of all shards' devices."""

    def __init__(self, table: Table, seconds: int) -> None:
        self._table = table
        self._written = Written(seconds)

    async def put(self, arrived: Sequence[Arrived], guard: Guard) -> None:
        """Makes the entries of the readings' devices durable; the last reading of each says what stands in it.

        Raises as Table.put does.
        """
        now, last = time.monotonic(), {each[0].device: each for each in arrived}
        if names := self._written.lacking(last, now):
            await self._table.write((list_request(*last[name]) for name in names), len(names), guard)
            self._written.add(names, now)
