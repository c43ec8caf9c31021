"""How large the parts of a deployment must be: shards, tasks, capacity of the table, growth of the archive."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Final

from producer.plan.inputs import Inputs
from producer.plan.prices import FIGURES, GB

SHARD_RECORDS, SHARD_BYTES = 1000, 1e6  # a second: the limits of a shard
FILLED: Final = 0.8
"""Share of a shard that is used, so that a fifth is free for peaks."""
ON_DEMAND_SHARDS: Final = 4
"""That a new on-demand stream has."""
VCPU: Final = 0.5  # of a task, as the template has it
BUSY: Final = 0.5
"""Share of a task's processor that is used: the rest is for catching up, and for processors slower than the bench's."""
MEMORY_FREE: Final = 2.0  # times what the bench has measured
ROW_BYTES: Final = 30  # beyond the payload's: the key and DynamoDB's own 100, without the payload's form
ROLLUP_BYTES: Final = 530  # of a row with one number, with DynamoDB's own; a write unit
LISTED_SECONDS, LISTED_NAMES = 900, 3_000_000  # DEVICES_SECONDS; devices that a worker remembers
UTILISED: Final = 0.7
"""Share of provisioned write capacity that is used, as auto scaling keeps it."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A table's: `writes` and `kept` are of a second, since a rollup is written several times; `size` is in bytes."""

    name: str
    writes: float
    kept: float
    size: float
    days: float

    @property
    def units(self) -> float:
        """Write units a second."""
        return self.writes * ceil(self.size / 1024)

    @property
    def capacity(self) -> int:
        """Write units to provide."""
        return ceil(self.units / UTILISED)

    @property
    def gb(self) -> float:
        """What the table has when its first rows expire."""
        return self.kept * self.size * self.days * 86_400 / GB


@dataclass(frozen=True, slots=True)
class Size:
    """Rates are of a second. `memory` is that of a task in GB."""

    readings: float
    records: float
    record_bytes: float
    shards: int
    tasks: int
    memory: int
    tables: tuple[Rows, ...]
    listed: float
    objects: float
    archive_bytes: float

    @property
    def vcpu(self) -> float:
        """Of a task."""
        return VCPU

    @property
    def row_units(self) -> float:
        """Write units of all tables of rows."""
        return sum(rows.units for rows in self.tables)

    @property
    def object_bytes(self) -> float:
        """Of an archive object, compressed."""
        return self.archive_bytes / self.objects if self.objects else 0.0


def size(inputs: Inputs) -> Size:
    """Of the deployment; one without a stream has no shards, one of functions no tasks."""
    readings = inputs.devices / inputs.interval
    records, record_bytes = readings / inputs.per_record, inputs.payload * inputs.per_record
    shards = 0 if inputs.design == "rules" else _shards(inputs, records, record_bytes)
    tasks = _tasks(inputs, readings, shards) if inputs.design == "sensorstream" else 0
    objects = max(shards / inputs.object_seconds, records / inputs.object_records)
    growth = FIGURES["archive_bytes"] * max(1.0, inputs.payload / FIGURES["archive_payload"])
    return Size(
        readings=readings,
        records=records,
        record_bytes=record_bytes,
        shards=shards,
        tasks=tasks,
        memory=_memory(shards, tasks),
        tables=tuple(_tables(inputs, readings, shards / objects)),
        listed=_listed(inputs, tasks),
        objects=objects,
        archive_bytes=readings * growth,
    )


def _shards(inputs: Inputs, records: float, record_bytes: float) -> int:
    needed = ceil(max(records / SHARD_RECORDS, records * record_bytes / SHARD_BYTES) / FILLED)
    return max(needed, 1 if inputs.stream == "provisioned" else ON_DEMAND_SHARDS)


def _tasks(inputs: Inputs, readings: float, shards: int) -> int:
    """By the processor: the service works for each reading, the daemon for each record. No more than shards."""
    us = FIGURES["service_us"] + FIGURES["daemon_us"] / inputs.per_record
    return min(shards, max(1, ceil(readings * us / 1e6 / (VCPU * BUSY))))


def _memory(shards: int, tasks: int) -> int:
    if not tasks:
        return 0
    measured = FIGURES["service_mb"] + FIGURES["daemon_mb"] + FIGURES["shard_mb"] * shards / tasks
    return ceil(measured * MEMORY_FREE / 1024)


def _tables(inputs: Inputs, readings: float, object_seconds: float) -> Iterator[Rows]:
    """A rollup is written for each archive object that has readings of its device and window: where readings are dense,
    once an object and once more where a window ends."""
    if inputs.design == "rules":  # which write a message as it is
        messages = readings / inputs.per_record
        yield Rows("rows", messages, messages, inputs.payload * inputs.per_record + ROW_BYTES, inputs.row_days)
    elif inputs.every_reading:
        yield Rows("rows", readings, readings, inputs.payload + ROW_BYTES, inputs.row_days)
    if window := inputs.window:
        writes = inputs.devices * min(1 / inputs.interval, 1 / object_seconds + 1 / window)
        kept = inputs.devices / max(inputs.interval, window)
        yield Rows("rollups", writes, kept, ROLLUP_BYTES, inputs.rollup_days)


def _listed(inputs: Inputs, tasks: int) -> float:
    """Writes a second of the list of devices: one an interval and device, at each reading if none remembers it."""
    remembered = min(inputs.devices, LISTED_NAMES * tasks)
    rest = inputs.devices - remembered if tasks else 0
    return remembered / max(inputs.interval, LISTED_SECONDS) + rest / inputs.interval
