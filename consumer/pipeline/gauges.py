"""Prometheus metrics that are computed at each scrape from the live shards, their reads and the lease table."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from consumer.kcl.lease_monitor import LeaseMonitor
from consumer.pipeline.reads import Reads
from consumer.pipeline.shards import Shards

Family = GaugeMetricFamily | CounterMetricFamily


class ShardGauges(Collector):
    """The series per shard; a shard that this worker no longer serves has none."""

    def __init__(self, shards: Shards, reads: Reads, lease_monitor: LeaseMonitor) -> None:
        self._shards = shards
        self._reads = reads
        self._lease_monitor = lease_monitor

    def collect(self) -> Iterator[Family]:
        live, held = self._shards.live, self._reads.held
        owned = GaugeMetricFamily("sensorstream_owned_shards", "Shards that this worker reads.")
        owned.add_metric([], len(live))
        yield owned
        text = "What the KCL reported with the last delivery. It stands still while nothing is delivered."
        yield _gauge("millis_behind_latest", text, "shard", {shard.name: shard.behind or 0 for shard in live})
        text = "Age of the oldest record without a checkpoint."
        yield _gauge("checkpoint_age_seconds", text, "shard", {shard.name: shard.oldest_age() for shard in live})
        text = "Records in the open archive object."
        yield _gauge("archive_open_records", text, "shard", {shard.name: shard.open_records() for shard in live})
        text = "How long the open archive object has been open; 0 without one."
        ages = {shard.name: shard.archive_object_age() for shard in live}
        yield _gauge("archive_object_age_seconds", text, "shard", ages)
        text = "Records that are in the table and in an archive object."
        yield _counter("shard_records", text, "shard", {shard.name: shard.records for shard in live})
        text = "Bytes of these records, of the 1 MB a second that a shard accepts."
        yield _counter("shard_bytes", text, "shard", {shard.name: shard.bytes for shard in live})
        text = "Age of the oldest record that is not durable: in hand, in an open archive object, or in the stream."
        yield _gauge("lag_seconds", text, "shard", {name: self._shards.lag(name) for name in held})
        text = "Time since the last successful read, an empty one too."
        yield _gauge("read_age_seconds", text, "shard", {name: self._reads.age(name) for name in held})
        text = "Shards of this worker that could not be read for a minute."
        yield _gauge("reads_failing", text, "reason", self._reads.failing())
        text = "Leases of shards that can be read now, and of these the unowned, where this worker watches."
        yield _gauge("leases", text, "state", self._lease_monitor.leases())


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Family:
    return _filled(GaugeMetricFamily(f"sensorstream_{name}", text, labels=[label]), values)


def _counter(name: str, text: str, label: str, values: Mapping[str, float]) -> Family:
    return _filled(CounterMetricFamily(f"sensorstream_{name}", text, labels=[label]), values)


def _filled(family: Family, values: Mapping[str, float]) -> Family:
    for each, value in values.items():
        family.add_metric([each], value)
    return family
