"""What a long command shows while it works, and how fast it may go."""

import sys
import time
from collections.abc import Callable

TTY_SECONDS, LOG_SECONDS = 0.2, 10.0


class Progress:
    """One line on stderr: rewritten on a terminal, else a new line every ten seconds."""

    def __init__(self) -> None:
        self._tty = sys.stderr.isatty()
        self._next = time.monotonic() + (0 if self._tty else LOG_SECONDS)

    def say(self, text: Callable[[], str]) -> None:
        """Cheap to call often; `text` is asked only when it is time."""
        now = time.monotonic()
        if now < self._next:
            return
        if self._tty:
            print(f"\r\033[K{text()}", end="", file=sys.stderr, flush=True)
        else:
            print(text(), file=sys.stderr, flush=True)
        self._next = now + (TTY_SECONDS if self._tty else LOG_SECONDS)

    def clear(self) -> None:
        """Takes the line away, so that the result can be printed."""
        if self._tty:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


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
