"""CloudWatch: the readings as statistic sets per minute of their own time, and the service's counters beside them.

Metric `SensorData` holds the values: count, sum, least and most of a minute, without dimension, so its SampleCount is
the number of readings; and once more with the dimension SensorId if asked for (each sensor is then a metric to pay).
The service's own counters carry the dimension Application, because several deployments may share an account.

Never in the way of the data: readings are added after their rows are durable, sent once a minute by a task of its
own, and whatever CloudWatch does costs at most these numbers. While it fails the sums are kept, up to MOST_SETS of
them. A request whose answer is lost, or a replay after a crash, counts again.
"""

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from botocore.exceptions import ClientError

from consumer.aws.retry import FAILURES
from consumer.payload.reading import Reading
from consumer.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from types_aiobotocore_cloudwatch import CloudWatchClient
    from types_aiobotocore_cloudwatch.literals import StandardUnitType
    from types_aiobotocore_cloudwatch.type_defs import MetricDatumTypeDef

log = logging.getLogger(__name__)

METRIC: Final = "SensorData"


class ServiceMetric(StrEnum):
    """The service's own metrics."""

    ARCHIVE_OBJECTS_STORED = "ArchiveObjectsStored"
    CHECKPOINT_AGE = "CheckpointAgeSeconds"
    DEAD_LETTER_RECORDS = "DeadLetterRecords"
    LAG = "LagSeconds"
    MILLIS_BEHIND_LATEST = "MillisBehindLatest"
    OPEN_SHARDS = "OpenShards"
    OWNED_SHARDS = "OwnedShards"
    READINGS_REJECTED = "ReadingsRejected"
    READ_AGE = "ReadAgeSeconds"
    ROWS_WRITTEN = "RowsWritten"
    UNOWNED_SHARDS = "UnownedShards"


LEVELS: Final[Mapping[str, "StandardUnitType"]] = {
    ServiceMetric.CHECKPOINT_AGE: "Seconds",
    ServiceMetric.LAG: "Seconds",
    ServiceMetric.MILLIS_BEHIND_LATEST: "Milliseconds",
    ServiceMetric.OPEN_SHARDS: "Count",
    ServiceMetric.OWNED_SHARDS: "Count",
    ServiceMetric.READ_AGE: "Seconds",
    ServiceMetric.UNOWNED_SHARDS: "Count",
}
"""Metrics that are sent as they are, with their unit; of all others the increase is sent."""

EVERY: Final = 60.0  # seconds
MOST_SETS: Final = 50_000  # ~15 MB; a minute of readings makes two or three, with a dimension as many per sensor
MOST_DATA: Final = 1000  # of one request, CloudWatch's limit
MOST_BYTES: Final = 900_000  # CloudWatch's limit is 1 MB
DATUM_BYTES: Final = 800  # of one datum without a sensor's name, in the wordiest of the protocols the SDK may speak
# CloudWatch takes 14 days back and 2 hours ahead; the margins are for the way there.
OLDEST_MINUTES: Final = 14 * 24 * 60 - 5
NEWEST_MINUTES: Final = 2 * 60 - 1
LARGEST: Final = 2.0**360  # magnitudes that CloudWatch takes, also as a sum
SMALLEST: Final = 2.0**-360
MOST_DIMENSION: Final = 1024  # characters

REFUSALS: Final = frozenset(
    {
        "InvalidParameterCombination",
        "InvalidParameterCombinationException",
        "InvalidParameterValue",
        "InvalidParameterValueException",
        "MissingParameter",
        "MissingRequiredParameterException",
        "ValidationError",
        "ValidationException",
    }
)
"""What the same data would get for ever."""


class Key(NamedTuple):
    """What one statistic set is about; `minute` counts from the epoch."""

    metric: str
    minute: int
    sensor: str | None


class Statistics(msgspec.Struct, gc=False):
    """A statistic set: `count` numbers, their sum, the least and the most of them."""

    count: int = 0
    total: float = 0.0
    least: float = math.inf
    most: float = -math.inf

    def include(self, count: int, total: float, least: float, most: float) -> bool:
        """Takes in further numbers, unless the sum would leave CloudWatch's range."""
        if abs(self.total + total) > LARGEST:
            return False
        self.count += count
        self.total += total
        self.least = min(self.least, least)
        self.most = max(self.most, most)
        return True


class Sums:
    """The statistic sets not yet sent. What CloudWatch would refuse is left out and counted in `omitted`, by reason."""

    def __init__(self, per_sensor: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.omitted: dict[str, int] = {}
        self._per_sensor = per_sensor
        self._clock = clock
        self._sets: dict[Key, Statistics] = {}

    def add(self, readings: Iterable[Reading]) -> None:
        """Counts readings whose rows are durable."""
        now = int(self._clock() // 60)
        groups: defaultdict[tuple[str, int, str | None], list[float]] = defaultdict(list)
        for reading in readings:
            minute = reading.time_ms // 60_000
            value = float(reading.value)
            if not -OLDEST_MINUTES <= minute - now <= NEWEST_MINUTES:
                self._omit("too-old" if minute < now else "too-new")
            elif value and not SMALLEST <= abs(value) <= LARGEST:
                self._omit("out-of-range")
            else:
                groups[METRIC, minute, None].append(value)
                if self._per_sensor:
                    groups[METRIC, minute, reading.device].append(value)
        for key, values in groups.items():
            self.include(Key(*key), len(values), sum(values), min(values), max(values))

    def include(self, key: Key, count: int, total: float, least: float, most: float) -> None:
        """Adds `count` numbers to a set, if there is component."""
        if key.sensor is not None and not _dimension(key.sensor):
            self._omit("sensor-name", count)
            return
        found = self._sets.get(key)
        if found is None:
            if len(self._sets) >= MOST_SETS:
                self._omit("full", count)
                return
            found = self._sets[key] = Statistics()
        if not found.include(count, total, least, most):
            self._omit("out-of-range", count)

    def take(self) -> dict[Key, Statistics]:
        """Gives the sets away, without those that have become too old meanwhile."""
        oldest = int(self._clock() // 60) - OLDEST_MINUTES
        taken, self._sets = self._sets, {}
        for key in [key for key in taken if key.minute < oldest]:
            self._omit("too-old", taken.pop(key).count)
        return taken

    def give_back(self, sets: Mapping[Key, Statistics]) -> None:
        """Takes back what could not be sent."""
        for key, found in sets.items():
            self.include(key, found.count, found.total, found.least, found.most)

    def _omit(self, why: str, count: int = 1) -> None:
        self.omitted[why] = self.omitted.get(why, 0) + count


def _dimension(sensor: str) -> bool:
    """Whether CloudWatch takes the name as a dimension's value."""
    return (
        len(sensor) <= MOST_DIMENSION
        and sensor.isascii()
        and sensor.isprintable()
        and not sensor.isspace()
        and not sensor.startswith(":")
    )


class Publisher:
    """Sends the sums, and the service's `counters` with the name of its `application`, once a minute.

    `counters` are totals since the start, but for those named in LEVELS; called at each sending.
    """

    def __init__(
        self,
        client: "CloudWatchClient",
        namespace: str,
        application: str,
        sums: Sums,
        counters: Callable[[], Mapping[str, float]],
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._application = application
        self._sums = sums
        self._counters = counters
        self._metrics = metrics
        self._clock = clock
        self._counted: dict[str, float] = {}
        self._failing = False

    async def run(self) -> None:
        """Until cancelled; a `flush` should follow."""
        while True:
            await asyncio.sleep(EVERY)
            await self.flush(EVERY / 2)

    async def flush(self, seconds: float = 10.0) -> None:
        """Sends what there is; takes at most so long and raises nothing that CloudWatch does."""
        self._count()
        try:
            async with asyncio.timeout(seconds):
                await self._send(self._sums.take())
        except FAILURES as error:
            self._metrics.cloudwatch_errors.inc()
            if not self._failing:
                log.warning("CloudWatch fails; its sums are kept and sent later: %s", error or type(error).__name__)
            self._failing = True
        else:
            if self._failing:
                log.info("CloudWatch works again")
            self._failing = False
        for why, count in self._sums.omitted.items():
            self._metrics.cloudwatch_omitted.labels(why).inc(count)
        self._sums.omitted.clear()

    def _count(self) -> None:
        """Makes statistic sets of the counters, so that they are kept, merged and sent as the readings are."""
        minute = int(self._clock() // 60)
        for name, value in self._counters().items():
            amount = value if name in LEVELS else value - self._counted.get(name, 0.0)
            self._counted[name] = value
            self._sums.include(Key(name, minute, None), 1, amount, amount, amount)

    async def _send(self, sets: dict[Key, Statistics]) -> None:
        try:
            for keys in _requests(list(sets)):
                await self._put({key: sets[key] for key in keys})
                for key in keys:
                    del sets[key]
        finally:
            self._sums.give_back(sets)

    async def _put(self, sets: dict[Key, Statistics]) -> None:
        try:
            await self._client.put_metric_data(
                Namespace=self._namespace,
                MetricData=[_datum(key, found, self._application) for key, found in sets.items()],
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in REFUSALS:
                raise
            log.warning("CloudWatch refuses %d statistic sets; they are left out: %s", len(sets), error)
            self._metrics.cloudwatch_errors.inc()
            self._metrics.cloudwatch_omitted.labels("refused").inc(sum(found.count for found in sets.values()))


def _requests(keys: list[Key]) -> Iterator[list[Key]]:
    """Parts of the keys whose data fit into one request each."""
    part: list[Key] = []
    size = 0
    for key in keys:
        # A dimension's characters may be written as three.
        length = DATUM_BYTES + 3 * len(key.sensor or "")
        if part and (len(part) == MOST_DATA or size + length > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(key)
        size += length
    if part:
        yield part


def _datum(key: Key, found: Statistics, application: str) -> "MetricDatumTypeDef":
    datum: MetricDatumTypeDef = {
        "MetricName": key.metric,
        "Timestamp": datetime.fromtimestamp(key.minute * 60, UTC),
        "Unit": "None" if key.metric == METRIC else LEVELS.get(key.metric, "Count"),
        "StatisticValues": {
            "SampleCount": found.count,
            "Sum": found.total,
            "Minimum": found.least,
            "Maximum": found.most,
        },
    }
    if key.metric != METRIC:
        datum["Dimensions"] = [{"Name": "Application", "Value": application}]
    elif key.sensor is not None:
        datum["Dimensions"] = [{"Name": "SensorId", "Value": key.sensor}]
    return datum
