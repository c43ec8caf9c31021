"""Every Prometheus metric of the service, declared once.

Base units (seconds, bytes), prefix `sensorstream_`. Counters are raised once per batch, not once per reading.
Series per owned shard: 3 gauges. All other label sets are small and fixed, so the number of series is bounded.
"""

import platform
from importlib import metadata

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client import ProcessCollector as _ProcessCollector

AGE_BUCKETS = (0.1, 0.25, 0.5, 1, 1.5, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400)
STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)


class Metrics:
    """One registry and its metrics; a service makes one, a test as many as it likes."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        _ProcessCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"sensorstream_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"sensorstream_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"sensorstream_{name}", text, labels, buckets=buckets, registry=registry)

        self.batches = counter("batches", "Deliveries from the KCL that held records.")
        self.records = counter("records", "Stream records taken, without those seen before the checkpoint.")
        self.redelivered = counter("records_redelivered", "Stream records skipped: at or below the checkpoint.")
        self.decoded = counter("readings_decoded", "Readings decoded from records.")
        self.rejected = counter("readings_rejected", "Readings rejected to the dead letters.", "reason")
        self.rows = counter("rows_written", "Rows durable in the sensor table.")
        self.superseded = counter("rows_superseded", "Readings whose row a later one of the same batch took.")
        self.parcels = counter("parcels", "Parcels settled in the archive.")
        self.parcel_records = counter("parcel_records", "Records in settled parcels.")
        self.parcel_bytes = counter("parcel_bytes", "Compressed bytes of settled parcels.")
        self.dead_letters = counter("dead_letter_records", "Records copied to dead-letter objects.")
        self.fence = counter("fence_outcomes", "How parcels were settled.", "outcome")
        self.checkpoints = counter("checkpoints", "Checkpoints accepted by the KCL.")
        self.checkpoint_errors = counter("checkpoint_errors", "Checkpoints refused by the KCL.", "error")
        self.retries = counter("retries", "Requests to a sink sent again after an error.", "sink", "error")
        self.throttles = counter("throttles", "Requests or items a sink refused for its capacity.", "sink")
        self.restarts = counter("daemon_restarts", "Starts of the KCL daemon after the first.", "reason")
        self.cloudwatch_errors = counter("cloudwatch_errors", "Failed PutMetricData requests; never in the way.")
        self.cloudwatch_omitted = counter("cloudwatch_omitted", "Readings CloudWatch would refuse.", "reason")
        self.taken_over = counter("leases_taken_over", "Leases taken over from workers that are lost.")
        self.owned = gauge("owned_shards", "Shards with a live conversation in this worker.")
        self.daemon_up = gauge("daemon_up", "1 while the KCL daemon runs.")
        self.behind = gauge("millis_behind_latest", "The KCL's MillisBehindLatest of the last delivery.", "shard")
        self.checkpoint_age = gauge("checkpoint_age_seconds", "Age of the oldest record not yet checkpointed.", "shard")
        self.open_records = gauge("open_parcel_records", "Records in the open parcel.", "shard")
        self.stage = histogram("stage_seconds", "Time of one batch in a stage.", STAGE_BUCKETS, "stage")
        self.event_age = histogram("event_age_seconds", "Age of readings when their row is durable.", AGE_BUCKETS)
        info = Info("sensorstream_build", "Versions that run.", registry=registry)
        info.info(
            {
                "python": platform.python_version(),
                "kclpy": metadata.version("amazon_kclpy"),
                "version": VERSION,
            }
        )

    def forget(self, shard: str) -> None:
        """Drops the gauges of a shard that this worker no longer owns."""
        for gauge in (self.behind, self.checkpoint_age, self.open_records):
            gauge.remove(shard)


def total(counter: Counter) -> float:
    """A counter's sum over all its labels."""
    (family,) = counter.collect()
    return sum(sample.value for sample in family.samples if sample.name.endswith("_total"))


VERSION = "0.1.0"
