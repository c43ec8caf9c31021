"""How a running stack looks on a terminal: what comes in, what became of it, and each shard."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from infra.local.live import Consumer, Speed

MAX_SHARDS = 12
"""Shards shown, those with the greatest lag first; the others are counted."""

LATE_SECONDS = 30.0
"""Lag that is shown in red; in the demo an archive object is open for 10 s."""


@dataclass
class Screen:
    """Remembers what is needed for rates. `console` is the address of the page, or empty."""

    console: str = ""
    _speeds: dict[str, Speed] = field(default_factory=dict)

    def shown(self, now: float, title: str, sums: Mapping[str, Any], consumer: Consumer | None) -> RenderableType:
        """`now` in seconds of a clock that only goes forward; `sums` as for `infra.local.live.line`."""
        parts: list[RenderableType] = [Text(title, style="bold", no_wrap=True, overflow="ellipsis")]
        if self.console:
            parts.append(Text.assemble("console  ", (self.console, "cyan"), no_wrap=True, overflow="ellipsis"))
        if consumer is None:
            return Group(*parts, Text("the consumer does not answer", style="red"))
        return Group(*parts, self._counts(now, sums, consumer), shards(consumer))

    def _counts(self, now: float, sums: Mapping[str, Any], consumer: Consumer) -> Table:
        count = consumer.counters
        made = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        for _ in range(2):
            made.add_column(style="dim")
            made.add_column(justify="right")
            made.add_column(justify="right")
        late = f"after {sums['row_ms']:,} ms" if sums["row_ms"] is not None else ""
        dead = Text(f"{count['dead_letter_records']:,.0f}", style="yellow" if count["dead_letter_records"] else "")
        missing = sums["alerts_expected"] - sums["alerts"]
        cells: list[tuple[str, RenderableType, str]] = [
            ("published", f"{sums['published']:,}", self._rate("published", sums["published"], now)),
            ("rows", f"{count['rows_written']:,.0f}", self._rate("rows", count["rows_written"], now)),
            ("archived", f"{count['archive_records']:,.0f}", f"{count['archive_objects']:,.0f} objects"),
            ("first row", late, ""),
            ("alerts", f"{sums['alerts']:,}", f"{missing:,} on their way" if missing else ""),
            ("dead letters", dead, ""),
        ]
        for left, right in zip(cells[::2], cells[1::2], strict=True):
            made.add_row(*left, *right)
        return made

    def _rate(self, name: str, count: float, now: float) -> str:
        return f"{self._speeds.setdefault(name, Speed()).of(int(count), now):,.0f}/s"


def shards(consumer: Consumer) -> Table:
    """A line for each shard that the consumer holds."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    made.add_column("shard", no_wrap=True)
    for name in ("lag s", "read s ago", "in the open object"):
        made.add_column(name, justify="right", no_wrap=True)
    worst = sorted(consumer.shards, key=lambda shard: (-shard.lag, shard.name))
    for shard in sorted(worst[:MAX_SHARDS], key=lambda shard: shard.name):
        lag = Text(f"{shard.lag:.1f}", style="red" if shard.lag > LATE_SECONDS else "")
        made.add_row(shard.name, lag, f"{shard.read_age:.1f}", f"{shard.open_records:,}")
    if (more := len(worst) - MAX_SHARDS) > 0:
        made.add_row(Text(f"{more} more with less lag", style="dim"), "", "", "")
    return made
