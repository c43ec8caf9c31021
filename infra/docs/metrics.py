"""The tables of docs/metrics.md: every Prometheus metric of the consumer, as the code declares it."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from consumer.kcl.process import DaemonProcess
from consumer.payload.contracts import Contracts
from consumer.pipeline.gauges import ShardGauges
from consumer.telemetry.contracts import ContractCounters
from consumer.telemetry.metrics import Metrics
from infra.docs.templates import cell

PREFIX = "sensorstream_"
SECTIONS = {
    "readings": ("batches", "contract", "devices", "event", "readings", "records", "rows"),
    "archive": ("archive", "dead_letter", "fence"),
    "progress": ("checkpoint", "lag", "millis", "read_age", "reads_failing", "shard_", "stage"),
    "workers": ("",),
}
"""Table -> how the names of its metrics begin; the first that fits."""
MAX_VALUES = 8
"""Of a label that has more, a page tells the values."""


@dataclass(frozen=True)
class Documented:
    """A metric. `name` is without prefix; `values` are those that its only label has from the start."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...]
    values: tuple[str, ...]

    def row(self) -> str:
        """A line of a table."""
        shown = f"{self.name}{{{','.join(self.labels)}}}" if self.labels else self.name
        values = ", ".join(f"`{value}`" for value in self.values)
        known = f" `{self.labels[0]}`: {values}" if self.values and len(self.values) <= MAX_VALUES else ""
        return f"| `{shown}` | {self.kind} | {cell(self.text + known)} |"


def tables() -> dict[str, str]:
    """Markdown, by section: a line a metric."""
    rows: dict[str, list[str]] = {section: ["| metric | type | meaning |", "|---|---|---|"] for section in SECTIONS}
    for metric in documented():
        section = next(name for name, begins in SECTIONS.items() if metric.name.startswith(begins))
        rows[section].append(metric.row())
    return {section: "\n".join(lines) for section, lines in rows.items()}


def documented() -> Iterator[Documented]:
    """Every metric of a service that has not yet read anything."""
    nothing: Any = SimpleNamespace(live=(), held=(), failing=dict, leases=dict)
    metrics = Metrics()
    of_registry = list(metrics.registry._collector_to_names)  # the client has no public list
    for collector in (
        *of_registry,
        ContractCounters(Contracts()),
        ShardGauges(nothing, nothing, nothing),
        DaemonProcess(lambda: None),
    ):
        for family in getattr(collector, "describe", collector.collect)():
            if family.name.startswith(PREFIX):
                yield _documented(collector, family)


def _documented(collector: Any, family: Any) -> Documented:
    suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
    declared = tuple(getattr(collector, "_labelnames", ()))
    began = [
        sample.labels[declared[0]] for each in collector.collect() for sample in each.samples if len(declared) == 1
    ]
    return Documented(
        name=family.name.removeprefix(PREFIX) + suffix,
        kind=family.type,
        text=family.documentation,
        labels=declared or tuple(getattr(family, "_labelnames", ())),
        values=tuple(dict.fromkeys(began)),
    )
