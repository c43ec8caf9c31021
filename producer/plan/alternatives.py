"""What else could be chosen: each alternative is a change of the inputs."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from producer.plan.bill import Bill, bill
from producer.plan.inputs import RANGES, Inputs

LONG_RECORDS: Final = 100_000
"""Of an archive object that is not full before its time."""

Change = Callable[[Inputs], Inputs]


def to(**changes: str) -> Change:
    """Inputs with other choices."""
    return lambda inputs: replace(inputs, **changes)  # type: ignore[arg-type]


def batched(inputs: Inputs) -> Inputs:
    """Ten times the readings in a message, as far as there is room."""
    return replace(inputs, per_record=min(inputs.per_record * 10, RANGES["per_record"].high))


def rollups(resolution: str, object_seconds: float) -> Change:
    """Archive objects must span a window, or each window is written for several of them."""
    return lambda inputs: replace(
        inputs,
        resolution=resolution,
        object_seconds=max(object_seconds, inputs.object_seconds),
        object_records=max(LONG_RECORDS, inputs.object_records),
    )


@dataclass(frozen=True, slots=True)
class Alternative:
    """`note` is what it means besides the money. `change` raises ValueError where it cannot be."""

    name: str
    note: str
    change: Change


ALTERNATIVES: Final = (
    Alternative(
        "ten times the readings a message",
        "a reading waits for the last of its message; alerts by the consumer",
        batched,
    ),
    Alternative("Basic Ingest", "no other subscriber, alerts by the consumer", to(intake="basic-ingest")),
    Alternative("no IoT Core", "gateways put records into the stream themselves", to(intake="kinesis")),
    Alternative("provisioned stream", "you change the shards as the fleet grows", to(stream="provisioned")),
    Alternative("on-demand stream", "no shards to plan", to(stream="on-demand")),
    Alternative(
        "On-demand Advantage",
        "for all on-demand streams of account and region; charges 25 MiB/s at least",
        to(stream="advantage"),
    ),
    Alternative("enhanced fan-out", "rows come 0.1 s sooner; other readers do not share", to(fan_out="yes")),
    Alternative("shared reading", "readers share 2 MB/s a shard", to(fan_out="no")),
    Alternative("table on demand", "no capacity to plan", to(table="on-demand")),
    Alternative("provisioned table", "peaks above the capacity wait", to(table="provisioned")),
    Alternative("reserved table", "paid for a year", to(table="reserved", table_class="standard")),
    Alternative("Standard-IA table", "cheaper to keep, dearer to write", to(table_class="infrequent")),
    Alternative("every reading a row", "the table can be asked for each", to(resolution="0")),
    Alternative(
        "rollups of a minute",
        "last value, extremes, sum and count instead of readings; they and the archive are a minute behind",
        rollups("1m", 60),
    ),
    Alternative(
        "rollups of an hour",
        "the same, with archive objects of ten minutes: they and the archive are ten minutes behind",
        rollups("1h", 600),
    ),
    Alternative("rows and rollups of a minute", "rows for some days, rollups for ever", rollups("0,1m", 60)),
    Alternative("ARM tasks", "the image is built for it", to(processor="arm")),
    Alternative("x86 tasks", "where something needs it", to(processor="x86")),
    Alternative("Spot tasks", "AWS may take them with two minutes' notice: then another one reads on", to(spot="yes")),
    Alternative("tasks not on Spot", "AWS does not take them away", to(spot="no")),
    Alternative(
        "Lambda and Firehose",
        "another system: archive at least once, a failing batch repeats",
        to(design="lambda", resolution="0"),
    ),
    Alternative(
        "IoT rules alone",
        "another system: an object a message, no order, what fails is lost or in a queue",
        to(design="rules", resolution="0"),
    ),
)


@dataclass(frozen=True, slots=True)
class Other:
    """What an alternative makes of some inputs."""

    name: str
    note: str
    inputs: Inputs
    bill: Bill


def alternatives(inputs: Inputs) -> Iterator[Other]:
    """Each that goes with the inputs and changes the bill."""
    planned = bill(inputs)
    for each in ALTERNATIVES:
        with suppress(ValueError):
            changed = each.change(inputs)
            if (made := bill(changed)) != planned:
                yield Other(each.name, each.note, changed, made)


def sensitivity(inputs: Inputs) -> dict[str, float]:
    """Share by which the bill changes when a number doubles, the largest change first; without what has no room."""
    total = bill(inputs).total
    changes = {}
    for name, bounds in RANGES.items():
        doubled = getattr(inputs, name) * 2
        if 0 < doubled <= bounds.high:
            changes[name] = bill(replace(inputs, **{name: doubled})).total / total - 1
    return dict(sorted(changes.items(), key=lambda change: -abs(change[1])))
