"""Which quantities a design has: this system, and the two others that are often built for the same."""

from collections.abc import Callable, Iterator
from itertools import chain
from math import ceil, inf
from typing import Final

from producer.plan import quantities as q
from producer.plan.inputs import Inputs
from producer.plan.prices import FIGURES, GB
from producer.plan.quantities import Quantity
from producer.plan.size import Size

BATCH, WINDOW_SECONDS = 500, 5  # records of a function's call, and how long it waits for them
ROWS_A_REQUEST, ROW_REQUEST_MS = 25, 10  # of BatchWriteItem
FIREHOSE_UNIT = 5 * 1024
FIREHOSE_BYTES, FIREHOSE_SECONDS = 128 * 2**20, 300  # when it writes an object
FIREHOSE_TIERS: Final = (
    (500 * 1024, "firehose_gb"),
    (1500 * 1024, "firehose_gb_next"),
    (inf, "firehose_gb_last"),
)


def sensorstream(inputs: Inputs, size: Size) -> Iterator[Quantity]:
    """IoT Core, a stream, tasks, a table, archive objects."""
    return chain(
        q.intake(inputs, size),
        q.stream(inputs, size),
        q.tasks(inputs, size),
        q.tables(inputs, size),
        q.bookkeeping(inputs, size),
        q.archive(inputs, size, size.objects, size.archive_bytes),
        q.alerts(inputs, size),
        q.watching(),
    )


def functions(inputs: Inputs, size: Size) -> Iterator[Quantity]:
    """The same stream, read by a Lambda function that writes the rows, and by Firehose."""
    raw = size.records * size.record_bytes
    objects = max(1 / FIREHOSE_SECONDS, raw / FIREHOSE_BYTES)
    return chain(
        q.intake(inputs, size),
        q.stream(inputs, size, readers=2),
        _function(size),
        _firehose(size),
        q.tables(inputs, size),
        q.archive(inputs, size, objects, size.archive_bytes),
        q.alerts(inputs, size),
        q.watching(),
    )


def _function(size: Size) -> Iterator[Quantity]:
    """With the memory of a whole vCPU: what the SDK's way takes for a reading, and the wait for DynamoDB."""
    calls = max(size.records / BATCH, min(size.shards / WINDOW_SECONDS, size.records))
    busy = FIGURES["plain_us"] / 1e6 + ROW_REQUEST_MS / 1000 / ROWS_A_REQUEST
    yield Quantity("Lambda", "calls", "lambda_million_calls", calls * q.SECONDS / q.MILLION)
    seconds = size.readings * busy * q.SECONDS
    yield Quantity("Lambda", "seconds", "lambda_gb_second", seconds * q.VCPU_MB / 1024)


def _firehose(size: Size) -> Iterator[Quantity]:
    each = ceil(size.record_bytes / FIREHOSE_UNIT) * FIREHOSE_UNIT
    return q.tiers("Firehose", "data", size.records * each * q.SECONDS / GB, FIREHOSE_TIERS)


def rules(inputs: Inputs, size: Size) -> Iterator[Quantity]:
    """IoT rules with two actions: a row and an object of each message."""
    return chain(
        q.intake(inputs, size, actions=2),
        q.tables(inputs, size),
        q.archive(inputs, size, size.records, size.records * size.record_bytes),
        q.alerts(inputs, size),
        q.watching(),
    )


DESIGNS: Final[dict[str, Callable[[Inputs, Size], Iterator[Quantity]]]] = {
    "sensorstream": sensorstream,
    "lambda": functions,
    "rules": rules,
}
