"""What the console reads of a worker's metrics."""

from prometheus_client import generate_latest

from consumer.telemetry.metrics import Metrics
from producer.console.pipeline import COUNTERS, read_metrics


def exposed(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def test_every_counter_that_it_reads_is_one_of_the_consumers() -> None:
    text = exposed(Metrics())
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert {f"sensorstream_{name}_total" for name in COUNTERS} <= names


def test_counters_are_added_up_and_told_by_label_where_they_are_not_0() -> None:
    metrics = Metrics()
    metrics.throttles.labels("table").inc(3)
    metrics.throttles.labels("archive").inc(2)
    found = read_metrics(exposed(metrics))
    assert found["counters"]["throttles"] == 5
    assert found["labelled"]["throttles"] == {"table": 3, "archive": 2}
    assert "retries" not in found["labelled"]


def test_records_and_ages_are_told_by_shard() -> None:
    text = (
        "# TYPE sensorstream_shard_records_total counter\n"
        'sensorstream_shard_records_total{shard="a"} 7\n'
        "# TYPE sensorstream_archive_object_age_seconds gauge\n"
        'sensorstream_archive_object_age_seconds{shard="a"} 1.5\n'
    )
    found = read_metrics(text)
    assert (found["shardRecords"], found["openSeconds"]) == ({"a": 7}, {"a": 1.5})
