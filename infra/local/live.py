"""What a running stack is doing, as numbers, and how a person sees them."""

import http.client
import json
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard that the consumer holds: `lag` is the age of the oldest record that is not durable, `read_age` the time
    since the last successful read, both in seconds; `open_records` are those in its open archive object."""

    name: str
    live: bool
    lag: float
    read_age: float
    open_records: int


@dataclass(frozen=True, slots=True)
class Consumer:
    """The consumer's counters by name without their prefix and labels, and its shards.

    Empty while it does not answer. `memory` are the resident MiB of the service and of the daemon, or None.
    """

    counters: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    shards: Sequence[Shard] = ()
    memory: tuple[float | None, float | None] = (None, None)

    @property
    def live(self) -> int:
        """Shards that it reads."""
        return sum(shard.live for shard in self.shards)

    @property
    def lag(self) -> float:
        """Of the worst shard, in seconds."""
        return max((shard.lag for shard in self.shards), default=0.0)

    @property
    def read_age(self) -> float:
        """Of the worst shard, in seconds."""
        return max((shard.read_age for shard in self.shards), default=0.0)


def ask(url: str) -> Consumer | None:
    """None while the consumer does not answer."""
    try:
        return read(_get(f"{url}/metrics"), json.loads(_get(f"{url}/shards")))
    except (OSError, http.client.HTTPException, ValueError):
        return None


def read(metrics: str, state: dict[str, Any]) -> Consumer:
    """From the text of /metrics and the document of /shards."""
    counters: dict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            counters[sample.name.removeprefix("sensorstream_").removesuffix("_total")] += sample.value
    shards = [
        Shard(each["shard"], each["live"], each["lagSeconds"], each["readAgeSeconds"], each["openRecords"])
        for each in state["shards"]
    ]
    return Consumer(counters, shards, (resident(state.get("pid")), resident(state.get("daemonPid"))))


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - own address
        return str(answer.read().decode())


def resident(pid: int | None) -> float | None:
    """Resident memory of a process in MiB; None when it is not there."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return round(int(found[0]) / 1024, 1) if found else None


class Speed:
    """How fast a number has grown lately."""

    def __init__(self) -> None:
        self._points: list[tuple[float, int]] = []

    def of(self, count: int, now: float) -> float:
        """Per second, over the last five seconds."""
        self._points = [p for p in self._points if now - p[0] <= 5] + [(now, count)]
        (then, before), (_, after) = self._points[0], self._points[-1]
        return (after - before) / (now - then) if now > then else 0.0


class View:
    """Steps as lines. The live numbers: on a terminal something that is renewed in place, else a line now and then."""

    def __init__(self, out: TextIO, every: float = 5.0) -> None:
        """`every`: seconds between two lines where there is no terminal."""
        self._console = Console(file=out, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._live = Live(console=self._console, transient=True, auto_refresh=False)
        self._every, self._shown = every, -every

    def say(self, line: str) -> None:
        self._live.stop()
        self._console.print(line)

    def live(self, parts: Sequence[str], now: float, screen: Callable[[], RenderableType] | None = None) -> None:
        """As much as the terminal is wide for; a terminal gets `screen` in place of the line, where there is one. `now`
        in seconds of any clock that only goes forward."""
        if self._console.is_terminal:
            self._live.start()
            text = Text("  ".join(parts), no_wrap=True, overflow="ellipsis")
            self._live.update(screen() if screen else text, refresh=True)
        elif now - self._shown >= self._every:
            self._shown = now
            self._console.print("  ".join(parts))


def line(seconds: float, rate: float, sums: Mapping[str, Any], consumer: Consumer | None) -> list[str]:
    """The live line's parts, the most important first. `sums` are what the simulator counted: published, alerts,
    alerts_expected, and row_ms, the milliseconds until a message's row is there, or None."""
    time = f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
    published = f"published {sums['published']:,} ({rate:,.0f}/s)"
    if consumer is None:
        return [time, "the consumer does not answer", published]
    count = consumer.counters
    row = [] if sums["row_ms"] is None else [f"row after {sums['row_ms']:,} ms"]
    return [
        time,
        f"lag {consumer.lag:.1f} s",
        f"read {consumer.read_age:.1f} s ago",
        published,
        f"rows {count['rows_written']:,.0f}",
        f"alerts {sums['alerts']:,}/{sums['alerts_expected']:,}",
        *row,
        f"objects {count['archive_objects']:,.0f}",
        f"dead letters {count['dead_letter_records']:,.0f}",
        f"readings {count['readings_decoded']:,.0f}",
    ]
