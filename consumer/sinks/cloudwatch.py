"""CloudWatch: the readings as statistic sets per minute of measurement time, and the service's own counters.

Metric `SensorData` holds the values: count, sum, minimum and maximum of a minute, without dimension, so its SampleCount
is the number of readings; and also with the dimension SensorId if CLOUDWATCH_PER_SENSOR is set (each sensor is then
billed as a metric). The service's own counters have the dimension Application, because several deployments may share an
account.

It never delays the data path: readings are added after their rows are durable and sent once a minute by a separate
task; a failure of CloudWatch loses at most these numbers. While it fails, up to MAX_SETS sums are kept. A lost answer,
or a replay after a crash, makes readings count twice.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from consumer.aws.retry import FAILURES
from consumer.sinks.statistics import METRIC, Key, Statistics, Sums
from consumer.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from types_aiobotocore_cloudwatch import CloudWatchClient
    from types_aiobotocore_cloudwatch.literals import StandardUnitType
    from types_aiobotocore_cloudwatch.type_defs import MetricDatumTypeDef

log = logging.getLogger(__name__)


class ServiceMetric(StrEnum):
    """The service's own metrics."""

    ALERTS_FAILED = "AlertsFailed"
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
"""Metrics that are sent as they are, with their unit; for all others the increase is sent."""

INTERVAL: Final = 60.0
"""Seconds between two sendings."""
MAX_DATA: Final = 1000  # of one request, CloudWatch's limit
MAX_BYTES: Final = 900_000  # CloudWatch's limit is 1 MB
DATUM_BYTES: Final = 800  # of one datum without a sensor's name, in the most verbose protocol of the SDK
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
"""Errors that the same data always get."""


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
        """Sends once a minute until cancelled; a `flush` should follow."""
        while True:
            await asyncio.sleep(INTERVAL)
            await self.flush(INTERVAL / 2)

    async def flush(self, seconds: float = 10.0) -> None:
        """Sends all sums; takes at most `seconds`, and logs CloudWatch's errors instead of raising them."""
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
        """Converts the counters to statistic sets, which are kept, merged and sent like those of the readings."""
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
        # A dimension's character may take three bytes.
        length = DATUM_BYTES + 3 * len(key.sensor or "")
        if part and (len(part) == MAX_DATA or size + length > MAX_BYTES):
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
            "Minimum": found.minimum,
            "Maximum": found.maximum,
        },
    }
    if key.metric != METRIC:
        datum["Dimensions"] = [{"Name": "Application", "Value": application}]
    elif key.sensor is not None:
        datum["Dimensions"] = [{"Name": "SensorId", "Value": key.sensor}]
    return datum
