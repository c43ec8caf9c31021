"""Statistic sets: every reading counted once, whatever CloudWatch does, and never more than it takes."""

import asyncio
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from consumer.payload.reading import Reading
from consumer.sinks import cloudwatch, statistics
from consumer.sinks.cloudwatch import Publisher
from consumer.sinks.statistics import MAX_MAGNITUDE, METRIC, NEWEST_MINUTES, OLDEST_MINUTES, Key, Statistics, Sums
from consumer.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from types_aiobotocore_cloudwatch import CloudWatchClient

APPLICATION = [{"Name": "Application", "Value": "plant"}]
NOW = 1_795_344_496  # seconds
MINUTE = NOW // 60


def reading(value: object = 20, device: str = "soil", minutes: int = 0) -> Reading:
    return Reading(device, (MINUTE + minutes) * 60_000 + 123, Decimal(str(value)), None)


def sums(per_sensor: bool = False) -> Sums:
    return Sums(per_sensor, clock=lambda: NOW)


class Refusal(ClientError):
    def __init__(self, code: str) -> None:
        super().__init__({"Error": {"Code": code, "Message": ""}}, "PutMetricData")


class CloudWatch:
    """Takes what is put; fails with the errors given, one a request, and then no more. None: it takes the request."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.requests: list[list[dict[str, Any]]] = []

    async def put_metric_data(self, *, Namespace: str, MetricData: list[dict[str, Any]]) -> None:
        assert Namespace == "Sensor"
        if self.errors and (error := self.errors.pop(0)):
            raise error
        self.requests.append(MetricData)

    def total(self, metric: str = METRIC, statistic: str = "SampleCount", sensor: str | None = None) -> float:
        """The statistic over all data put for the metric."""
        dimensions = None if sensor is None else [{"Name": "SensorId", "Value": sensor}]
        if metric != METRIC:
            dimensions = APPLICATION
        return sum(
            float(datum["StatisticValues"][statistic])
            for request in self.requests
            for datum in request
            if datum["MetricName"] == metric and datum.get("Dimensions") == dimensions
        )


def publisher(
    service: object, kept: Sums, counters: Callable[[], Mapping[str, float]] = dict, metrics: Metrics | None = None
) -> Publisher:
    client = cast("CloudWatchClient", service)
    return Publisher(client, "Sensor", "plant", kept, counters, metrics or Metrics(), clock=lambda: NOW)


def test_readings_are_summed_by_the_minute_of_their_own_time() -> None:
    kept = sums()
    kept.add([reading(20), reading("20.5", "other"), reading(-3, minutes=-1)])
    kept.add([reading(30)])
    assert kept.take() == {
        Key(METRIC, MINUTE, None): Statistics(3, 70.5, 20, 30),
        Key(METRIC, MINUTE - 1, None): Statistics(1, -3, -3, -3),
    }
    assert kept.take() == {}


def test_a_dimension_only_when_asked_for() -> None:
    kept = sums(per_sensor=True)
    kept.add([reading(20, "a"), reading(30, "b"), reading(40, "b"), reading(50, "größe"), reading(60, " ")])
    assert kept.take() == {
        Key(METRIC, MINUTE, None): Statistics(5, 200, 20, 60),
        Key(METRIC, MINUTE, "a"): Statistics(1, 20, 20, 20),
        Key(METRIC, MINUTE, "b"): Statistics(2, 70, 30, 40),
    }
    assert kept.omitted == {"sensor-name": 2}


def test_what_cloudwatch_would_refuse_is_counted_and_left_out() -> None:
    kept = sums()
    kept.add([reading(minutes=-OLDEST_MINUTES), reading(minutes=-OLDEST_MINUTES - 1)])
    kept.add([reading(minutes=NEWEST_MINUTES), reading(minutes=NEWEST_MINUTES + 1)])
    kept.add([reading("9.9e125"), reading("-9.9e125"), reading("1e-130"), reading(0)])
    assert sum(found.count for found in kept.take().values()) == 3
    assert kept.omitted == {"too-old": 1, "too-new": 1, "out-of-range": 3}


def test_a_sum_beyond_cloudwatchs_range_is_left_out_and_the_set_stays() -> None:
    kept = sums()
    key = Key(METRIC, statistics.OLDEST_MINUTES, None)
    kept.include(key, 1, MAX_MAGNITUDE, MAX_MAGNITUDE, MAX_MAGNITUDE)
    kept.include(key, 2, MAX_MAGNITUDE, 1, MAX_MAGNITUDE)
    assert kept.omitted == {"out-of-range": 2}


def test_sets_that_grow_too_old_while_cloudwatch_fails_are_left_out() -> None:
    now = NOW
    kept = Sums(clock=lambda: now)
    kept.add([reading(minutes=-OLDEST_MINUTES), reading()])
    now += 60
    assert list(kept.take()) == [Key(METRIC, MINUTE, None)]
    assert kept.omitted == {"too-old": 1}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MAX_SETS", 2)
    kept = sums()
    kept.add([reading(minutes=-minutes) for minutes in range(5)])
    kept.add([reading()])
    assert kept.omitted == {"full": 3}
    assert len(kept.take()) == 2


VALUES = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**125), max_value=10**125).map(str)


@given(st.lists(st.lists(st.tuples(VALUES, st.integers(-3, 3)))))
def test_every_reading_is_counted_or_omitted(batches: list[list[tuple[str, int]]]) -> None:
    kept = sums()
    for batch in batches:
        kept.add([reading(value, minutes=minutes) for value, minutes in batch])
    sets = kept.take()
    assert sum(found.count for found in sets.values()) + sum(kept.omitted.values()) == sum(map(len, batches))
    for found in sets.values():
        assert abs(found.total) <= MAX_MAGNITUDE
        assert found.minimum <= found.maximum
        assert math.isfinite(found.total)
        # the sum of n floats may be off by n roundings
        assert found.minimum - 1e-9 * abs(found.minimum) <= found.total / found.count
        assert found.total / found.count <= found.maximum + 1e-9 * abs(found.maximum)


async def test_the_data_have_the_names_and_units_of_the_service() -> None:
    service, kept = CloudWatch(), sums(per_sensor=True)
    kept.add([reading(20)])
    await publisher(service, kept, lambda: {"RowsWritten": 5, "CheckpointAgeSeconds": 3.5}).flush()
    [request] = service.requests
    found = [(datum["MetricName"], datum["Unit"], datum.get("Dimensions")) for datum in request]
    assert found == [
        (METRIC, "None", None),
        (METRIC, "None", [{"Name": "SensorId", "Value": "soil"}]),
        ("RowsWritten", "Count", APPLICATION),
        ("CheckpointAgeSeconds", "Seconds", APPLICATION),
    ]
    assert {datum["Timestamp"].timestamp() for datum in request} == {MINUTE * 60}


async def test_totals_are_sent_as_increases_and_levels_as_they_are() -> None:
    service, counts = CloudWatch(), {"RowsWritten": 5.0, "MillisBehindLatest": 250.0}
    sender = publisher(service, sums(), lambda: counts)
    await sender.flush()
    counts |= {"RowsWritten": 7.0}
    await sender.flush()
    assert service.total("RowsWritten", "Sum") == 7
    assert service.total("MillisBehindLatest", "Sum") == 500


@pytest.mark.parametrize(
    "error", [Refusal("Throttling"), Refusal("AccessDenied"), EndpointConnectionError(endpoint_url="x"), TimeoutError()]
)
async def test_a_failure_is_logged_once_and_the_sums_are_sent_later(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    service, kept, metrics = CloudWatch(error, error), sums(), Metrics()
    sender = publisher(service, kept, lambda: {"RowsWritten": 9.0}, metrics)
    for _ in range(3):
        kept.add([reading(20)] * 3)
        await sender.flush()
    assert service.total() == 9
    assert service.total("RowsWritten", "Sum") == 9
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert metrics.registry.get_sample_value("sensorstream_cloudwatch_errors_total") == 2


async def test_a_request_that_succeeded_is_not_repeated_when_the_next_fails() -> None:
    service, kept = CloudWatch(None, Refusal("InternalServiceFault")), sums(per_sensor=True)
    sender = publisher(service, kept)
    kept.add([reading(20, f"soil{number}") for number in range(1500)])
    await sender.flush()
    assert len(service.requests) == 1
    await sender.flush()
    assert service.total() == 1500
    assert all(service.total(sensor=f"soil{number}") == 1 for number in range(1500))


async def test_requests_stay_within_number_and_size() -> None:
    service, kept = CloudWatch(), sums(per_sensor=True)
    kept.add([reading(20, f"{number:01024d}") for number in range(600)] + [reading(20, str(n)) for n in range(2500)])
    await publisher(service, kept).flush()
    assert service.total() == 3100
    for request in service.requests:
        assert len(request) <= 1000
        assert len(str(request)) < 1_000_000


async def test_what_is_always_refused_does_not_delay_the_rest() -> None:
    service, kept, metrics = CloudWatch(Refusal("InvalidParameterValue")), sums(per_sensor=True), Metrics()
    kept.add([reading(20, f"soil{number}") for number in range(1999)])
    await publisher(service, kept, metrics=metrics).flush()
    assert len(service.requests) == 1
    assert kept.take() == {}
    assert metrics.registry.get_sample_value("sensorstream_cloudwatch_omitted_total", {"reason": "refused"}) == 2998


class Hanging:
    async def put_metric_data(self, **_: object) -> None:
        await asyncio.Event().wait()


async def test_a_hanging_service_delays_for_a_limited_time_only() -> None:
    kept = sums()
    kept.add([reading(20)])
    async with asyncio.timeout(5):
        await publisher(Hanging(), kept).flush(0.01)
    assert kept.take() == {Key(METRIC, MINUTE, None): Statistics(1, 20, 20, 20)}


async def test_it_runs_by_the_minute_until_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudwatch, "INTERVAL", 0.001)
    sent = asyncio.Event()

    class Service(CloudWatch):
        async def put_metric_data(self, **request: Any) -> None:
            await super().put_metric_data(**request)
            if len(self.requests) == 3:
                sent.set()

    sender = asyncio.create_task(publisher(Service(), sums(), lambda: {"OwnedShards": 2.0}).run())
    await sent.wait()
    sender.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sender


async def test_cancelled_while_sending_it_keeps_what_was_not_sent() -> None:
    kept = sums()
    kept.add([reading(20)])
    sender = asyncio.create_task(publisher(Hanging(), kept).flush())
    await asyncio.sleep(0)
    sender.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sender
    assert len(kept.take()) == 1
