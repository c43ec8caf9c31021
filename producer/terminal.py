"""What a command shows: a line while it works, tables at its end."""

import sys
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

TERMINAL_SECONDS, LOG_SECONDS = 0.2, 10.0
UNBROKEN = 10_000  # columns: what goes into a file or another program is not broken into lines


class StatusLine:
    """One line on stderr: renewed on a terminal and taken away at the end, else a new line every ten seconds, or none
    (`quiet`)."""

    def __init__(self, *, quiet: bool = False) -> None:
        console = Console(stderr=True)
        self._live = Live(console=console, transient=True, auto_refresh=False) if console.is_terminal else None
        self._quiet = quiet and not self._live
        self._seconds = TERMINAL_SECONDS if self._live else LOG_SECONDS
        self._next = time.monotonic() + (0 if self._live else LOG_SECONDS)

    def say(self, text: Callable[[], str]) -> None:
        """Cheap to call often; `text` is asked only when it is time."""
        if self._quiet or (now := time.monotonic()) < self._next:
            return
        if self._live:
            self._live.start()
            self._live.update(Text(text(), no_wrap=True, overflow="ellipsis"), refresh=True)
        else:
            print(text(), file=sys.stderr, flush=True)
        self._next = now + self._seconds

    def clear(self) -> None:
        """Takes the line away, so that something else can be printed."""
        if self._live:
            self._live.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()


def table(headline: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[str] = ()) -> str:
    """Aligned columns under a headline; those named in `right` are numbers."""
    columns = (Column(name, justify="right" if name in right else "left") for name in headline)
    made = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        made.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else UNBROKEN, markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        console.print(made)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
