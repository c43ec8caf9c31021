"""Live progress on stderr."""

import sys
import time

from infra.local.live import View as Lines


class View:
    """Lines with the time since the start; `live` rewrites one line, or, without a terminal, adds one now and then."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lines = Lines(sys.stderr)

    def say(self, text: str) -> None:
        self._lines.say(f"{self._clock()}  {text}")

    def live(self, text: str) -> None:
        self._lines.live([self._clock(), text], time.monotonic())

    def _clock(self) -> str:
        seconds = int(time.monotonic() - self._began)
        return f"{seconds // 60:02d}:{seconds % 60:02d}"
