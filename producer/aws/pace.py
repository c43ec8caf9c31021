"""How fast a command may ask AWS for things."""

import time
from collections.abc import Callable


class Pace:
    """At most `rate` things a second (None: as fast as it goes). A slow moment is not made up for."""

    def __init__(self, rate: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._due = 0.0

    def most(self, limit: int) -> int:
        """How many may go at once: `limit`, or so few that they go out evenly."""
        return limit if self._rate is None else max(1, min(limit, int(self._rate / 4)))

    def delay(self, count: int) -> float:
        """Seconds to wait before `count` more may go."""
        if self._rate is None:
            return 0.0
        now = self._clock()
        wait = max(0.0, self._due - now)
        self._due = max(self._due, now) + count / self._rate
        return wait

    def within(self, seconds: float, limit: int) -> int:
        """How many may go in that time, up to `limit`."""
        return limit if self._rate is None else max(1, min(limit, int(self._rate * seconds)))
