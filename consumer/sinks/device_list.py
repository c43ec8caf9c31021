"""Which entries of the list of devices are to be written (docs/decisions/0030-query-api.md). Pure: no I/O, no clock.

An entry is durable before the delivery with the device's reading is answered, so no checkpoint passes a reading whose
device is not in the list. A worker writes it at first sight, then at most once an interval, in the requests that write
the rows (table.py). What is remembered of that is only ever lost, by a restart or for want of room: then an entry is
written once more.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final
from zlib import crc32

from consumer.sinks.rows import Arrived

PHASES: Final = 30
"""Parts of the devices whose intervals begin one after another: else all would be written again at the same moment."""
MAX_NAMES: Final = 3_000_000
"""Devices that are remembered, 8 bytes each: as many as a worker has readings in the usual interval. With more, hardly
one sends twice in it, and remembering would spare no write."""
NEAR: Final = 100_000
"""Of these the first ones are remembered by name as well, 10 MB: to find them so takes a third of the time."""


class Written:
    """Which devices were written in the current interval. `now` is in seconds of a monotonic clock."""

    def __init__(self, seconds: int, max_names: int = MAX_NAMES) -> None:
        self._seconds = seconds
        self._free = max_names
        self._near: list[set[str]] = [set() for _ in range(PHASES)]
        self._part = 0  # of the time, of which an interval has PHASES
        self._intervals = [0] * PHASES
        self._known = [array("Q") for _ in range(PHASES)]  # hashes of names, sorted

    def lacking(self, names: Iterable[str], now: float) -> list[str]:
        """Those that are to be written."""
        self._begin(now)
        near = self._near
        return [name for name in names if name not in near[_phase(name)] and not self._find(name)[2]]

    def add(self, names: Iterable[str], now: float) -> None:
        """Remembers what was written, as long as there is room; `now` is when it was found lacking."""
        for name in names:
            phase = _phase(name)
            if self._free and self._interval(phase, self._part_at(now)) == self._intervals[phase]:
                known, place, there = self._find(name)
                if not there:
                    known.insert(place, _hash(name))
                    self._free -= 1
                    if len(self._near[phase]) < NEAR // PHASES:
                        self._near[phase].add(name)

    def _find(self, name: str) -> tuple["array[int]", int, bool]:
        """The hashes of its phase, its place among them, and whether it is there."""
        known, wanted = self._known[_phase(name)], _hash(name)
        place = bisect_left(known, wanted)
        return known, place, place < len(known) and known[place] == wanted

    def _begin(self, now: float) -> None:
        """Forgets those whose interval has begun anew."""
        part = self._part_at(now)
        if part == self._part:
            return
        self._part = part
        for phase, known in enumerate(self._known):
            if (interval := self._interval(phase, part)) != self._intervals[phase]:
                self._intervals[phase] = interval
                self._free += len(known)
                self._known[phase] = array("Q")
                self._near[phase].clear()

    def _part_at(self, now: float) -> int:
        return int(now * PHASES / self._seconds)

    @staticmethod
    def _interval(phase: int, part: int) -> int:
        return (part + phase) // PHASES


def _phase(name: str) -> int:
    return crc32(name.encode()) % PHASES


def _hash(name: str) -> int:
    """64 bits, with a key of this process: of three million names two have the same once in a hundred million runs."""
    return hash(name) & 0xFFFF_FFFF_FFFF_FFFF


class DeviceList:
    """The entries of all shards' devices, in the table of that name. `now` is as in `Written`."""

    def __init__(self, table: str, seconds: int) -> None:
        self.table = table
        self._written = Written(seconds)

    def lacking(self, readings: Iterable[Arrived], now: float) -> list[Arrived]:
        """The last reading of each device whose entry is to be written."""
        last = {each[0].device: each for each in readings}
        return [last[name] for name in self._written.lacking(last, now)]

    def add(self, written: Iterable[Arrived], now: float) -> None:
        """The entries of these readings' devices are durable; `now` is when they were found lacking."""
        self._written.add((reading.device for reading, _ in written), now)
