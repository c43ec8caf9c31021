"""What a running stack is doing, as numbers, and how a person sees them."""

import http.client
import json
import shutil
import urllib.request
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Consumer:
    """The consumer's counters by name without their prefix and labels, and the worst lag of its shards in ms.

    All 0 while it does not answer. `memory` are the resident MiB of the service and of the daemon, or None.
    """

    counters: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    lag_ms: float = 0
    shards: int = 0
    memory: tuple[float | None, float | None] = (None, None)


def ask(url: str) -> Consumer | None:
    """None while the consumer does not answer."""
    try:
        return read(_get(f"{url}/metrics"), json.loads(_get(f"{url}/shards")))
    except (OSError, http.client.HTTPException, ValueError):
        return None


def read(metrics: str, state: dict[str, Any]) -> Consumer:
    """From the text of /metrics and the document of /shards."""
    counters: dict[str, float] = defaultdict(float)
    lag = 0.0
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            name = sample.name.removeprefix("sensorstream_").removesuffix("_total")
            counters[name] += sample.value
            if name == "millis_behind_latest":
                lag = max(lag, sample.value)
    memory = (resident(state.get("pid")), resident(state.get("daemonPid")))
    return Consumer(counters, lag, sum(shard["live"] for shard in state["shards"]), memory)


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


class View:
    """Steps as lines; the live numbers as one line that is written anew, or, not on a terminal, a line now and then."""

    EVERY = 5.0  # seconds between two lines when there is no terminal

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._terminal = out.isatty()
        self._shown = -self.EVERY

    def say(self, line: str) -> None:
        print(f"\r\033[K{line}" if self._terminal else line, file=self._out, flush=True)

    def live(self, line: str, now: float) -> None:
        """`now` in seconds of any clock that only goes forward."""
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{line[:width]}", end="", file=self._out, flush=True)
        elif now - self._shown >= self.EVERY:
            self._shown = now
            print(line, file=self._out, flush=True)


def line(seconds: float, rate: float, sums: dict[str, Any], consumer: Consumer | None, row_ms: int | None) -> str:
    """The live line. `sums` are what the simulator counted: published, alerts, alerts_expected."""
    parts = [f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"]
    parts.append(f"published {sums['published']:,} ({rate:,.0f}/s)")
    if consumer is None:
        return "  ".join([*parts, "the consumer does not answer"])
    count = consumer.counters
    parts += [
        f"readings {count['readings_decoded']:,.0f}",
        f"rows {count['rows_written']:,.0f}",
        f"parcels {count['parcels']:,.0f}",
        f"dead letters {count['dead_letter_records']:,.0f}",
        f"alerts {sums['alerts']:,}/{sums['alerts_expected']:,}",
        f"lag {consumer.lag_ms / 1000:.1f} s",
    ]
    if row_ms is not None:
        parts.append(f"row after {row_ms:,} ms")
    return "  ".join(parts)
