"""The publisher against the emulator's CloudWatch, with the service's own client."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from consumer.aws.clients import Clients
from consumer.payload.reading import Reading
from consumer.settings import Settings
from consumer.sinks.cloudwatch import Publisher
from consumer.sinks.statistics import METRIC, Sums
from consumer.telemetry.metrics import Metrics
from infra.local.emulator import Emulator

MINUTES = [-60 * 24, -61, -3, -1, 0]


def settings(emulator: Emulator, **variables: str) -> Settings:
    names = {"STREAM_NAME": "unused", "SENSOR_TABLE": "unused", "ARCHIVE_BUCKET": "unused"}
    return Settings.load(emulator.variables() | names | variables)


@pytest.fixture
async def clients(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clients]:
    """The SDK looks for the credentials in the environment."""
    for name, value in emulator.variables().items():
        monkeypatch.setenv(name, value)
    async with Clients(settings(emulator)) as clients:
        yield clients


async def points(clients: Clients, namespace: str, metric: str, **dimensions: str) -> dict[datetime, Any]:
    """The statistics from CloudWatch, by minute."""
    answer = await clients.cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=datetime.now(UTC) - timedelta(days=2),
        EndTime=datetime.now(UTC) + timedelta(hours=1),
        Period=60,
        Statistics=["SampleCount", "Sum", "Minimum", "Maximum"],
    )
    return {point["Timestamp"]: point for point in answer["Datapoints"]}


async def publish(clients: Clients, namespace: str, per_sensor: bool, metrics: Metrics) -> list[Reading]:
    """Readings in three sendings; CloudWatch has to add up the sets of one minute."""
    sums = Sums(per_sensor)
    publisher = Publisher(clients.cloudwatch, namespace, "plant", sums, lambda: {"RowsWritten": 120.0}, metrics)
    base = int(time.time() // 60) * 60_000
    sent = []
    for sending in range(3):
        readings = [
            Reading(
                f"soil Sensor+{number % 4}",
                base + MINUTES[number % 5] * 60_000 + number,
                Decimal("20.5") + number,
                None,
            )
            for number in range(sending * 40, sending * 40 + 40)
        ]
        sums.add(readings)
        sent += readings
        await publisher.flush()
    return sent


async def test_the_sample_count_is_the_number_of_readings(clients: Clients) -> None:
    metrics = Metrics()
    sent = await publish(clients, "Test/Plain", per_sensor=False, metrics=metrics)
    found = await points(clients, "Test/Plain", METRIC)
    listed = await clients.cloudwatch.list_metrics(Namespace="Test/Plain")
    rows = await points(clients, "Test/Plain", "RowsWritten", Application="plant")
    assert metrics.registry.get_sample_value("sensorstream_cloudwatch_errors_total") == 0
    assert sum(point["SampleCount"] for point in found.values()) == len(sent) == 120
    assert sum(point["Sum"] for point in found.values()) == float(sum(reading.value or 0 for reading in sent))
    assert len(found) == len(MINUTES)
    for minute, point in found.items():
        values = [float(reading.value or 0) for reading in sent if reading.time_ms // 60_000 * 60 == minute.timestamp()]
        assert (point["SampleCount"], point["Minimum"], point["Maximum"]) == (24, min(values), max(values))
    assert {(metric["MetricName"], len(metric["Dimensions"])) for metric in listed["Metrics"]} == {
        (METRIC, 0),
        ("RowsWritten", 1),
    }
    assert sum(point["Sum"] for point in rows.values()) == 120


async def test_each_sensor_has_its_own_count_when_asked_for(clients: Clients) -> None:
    await publish(clients, "Test/PerSensor", per_sensor=True, metrics=Metrics())
    total = await points(clients, "Test/PerSensor", METRIC)
    each = [await points(clients, "Test/PerSensor", METRIC, SensorId=f"soil Sensor+{number}") for number in range(4)]
    # Asked without dimensions the emulator adds up all of the metric, CloudWatch returns the one that has none.
    assert sum(point["SampleCount"] for point in total.values()) == 120 + 120
    assert [sum(point["SampleCount"] for point in sensor.values()) for sensor in each] == [30] * 4


async def test_what_an_unreachable_cloudwatch_missed_is_sent_later(emulator: Emulator, clients: Clients) -> None:
    metrics, sums = Metrics(), Sums()
    reading = Reading("soil", int(time.time() * 1000), Decimal(20), None)
    async with Clients(settings(emulator, AWS_ENDPOINT_URL_CLOUDWATCH="http://127.0.0.1:1")) as unreachable:
        sums.add([reading])
        await Publisher(unreachable.cloudwatch, "Test/Later", "plant", sums, dict, metrics).flush()
    assert metrics.registry.get_sample_value("sensorstream_cloudwatch_errors_total") == 1
    sums.add([reading])
    await Publisher(clients.cloudwatch, "Test/Later", "plant", sums, dict, metrics).flush()
    found = await points(clients, "Test/Later", METRIC)
    assert sum(point["SampleCount"] for point in found.values()) == 2
