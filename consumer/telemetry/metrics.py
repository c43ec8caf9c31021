"""The Prometheus metrics that count what happens; pipeline/gauges.py has those that are read from the live shards.

Base units (seconds, bytes), prefix `sensorstream_`. Counters and histograms are raised once per batch, not once per
reading. Label sets are small and fixed, so the number of series is bounded: docs/metrics.md counts them. Where the
labels are known, their counters begin at 0: `rate` does not count the first value of a series.
"""

import platform
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import metadata
from typing import Any, Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client import ProcessCollector as _ProcessCollector

from consumer.payload.reading import REASONS, Reading
from consumer.pipeline.ownership import ENDS
from consumer.restarts import Reason
from consumer.sinks.devices import Devices
from consumer.telemetry.ages import Ages

# Otherwise each counter and histogram has a second series, which is of no use here.
disable_created_metrics()  # type: ignore[no-untyped-call]

M = TypeVar("M", Counter, Gauge, Histogram)
VERSION: Final = metadata.version("sensorstream")
OUTCOMES: Final = ("new", "committed", "replaced", "adopted", "fenced")
SINKS: Final = ("table", "devices", "rollups", "archive", "leases", "stream")
LEASE_READS: Final = ("table", "index", "row")
DROPS: Final = ("full", "end", "refused")
BOUNDS: Final = ("past", "future", "no-arrival")
STAGES: Final = ("decode", "rows", "archive", "rollups")
STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)


def _declare(kind: type[M], registry: CollectorRegistry, name: str, text: str, *labels: str, **options: Any) -> M:
    return kind(f"sensorstream_{name}", text, labels, registry=registry, **options)


class Metrics:
    """One registry and its metrics. A service creates one instance."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        _ProcessCollector(registry=registry)
        gauge, histogram = partial(_declare, Gauge, registry), partial(_declare, Histogram, registry)
        self.alerts_waiting = gauge("alerts_waiting", "Alerts by the consumer that Lambda has not accepted yet.")
        self.daemon_up = gauge("daemon_up", "1 while the KCL daemon runs.")
        self.archive_max_seconds = gauge("archive_max_seconds", "The setting ARCHIVE_MAX_SECONDS.")
        self.devices = gauge(
            "devices", "Different devices in the last minute, by linear counting, within 1 % up to half a million."
        )
        stage = histogram("stage_seconds", "Time of one batch in a stage.", "stage", buckets=STAGE_BUCKETS)
        self.stage = {name: stage.labels(name) for name in STAGES}
        self._ages = Ages()
        registry.register(self._ages)
        self._seen = Devices()
        self.devices.set_function(lambda: self._seen.count(time.monotonic()))
        self._add_counters(partial(_declare, Counter, registry))
        self._begin()

    def _add_counters(self, counter: Callable[..., Counter]) -> None:
        self.batches = counter("batches", "Deliveries of the KCL that held records.")
        self.records = counter("records", "Records accepted, without those at or below the checkpoint.")
        self.redelivered = counter(
            "records_redelivered", "Records skipped because they are at or below the checkpoint. Rises after restarts."
        )
        self.decoded = counter("readings_decoded", "Readings decoded from records.")
        self.rejected = counter("readings_rejected", "Readings rejected to the dead letters.", "reason")
        self.rows = counter("rows_written", "Rows durable in the table.")
        self.superseded = counter("rows_superseded", "Readings whose row a later reading of the same batch has taken.")
        self.ttl_bounded = counter(
            "rows_ttl_bounded", "Rows that expire by their record's arrival: the device's clock is wrong.", "bound"
        )
        self.rollups = counter("rollups_written", "Rollups written: once for each device, window and archive object.")
        self.rollups_changed = counter(
            "rollups_changed", "Writes of rollups that found the row otherwise than this worker knew it, done again."
        )
        self.archive_objects = counter("archive_objects", "Archive objects committed.")
        self.archive_records = counter("archive_records", "Records in committed archive objects.")
        self.archive_bytes = counter("archive_bytes", "Compressed bytes of committed archive objects.")
        self.dead_letters = counter("dead_letter_records", "Records copied to dead-letter objects.")
        self.fence = counter("fence_outcomes", "What commits of archive objects found in the archive.", "outcome")
        self.checkpoints = counter("checkpoints", "Checkpoints that the KCL accepted.")
        self.checkpoint_errors = counter("checkpoint_errors", "Checkpoints that the KCL refused.", "error")
        self.retries = counter("retries", "Requests to a sink that were repeated after an error.", "sink", "error")
        self.throttles = counter("throttles", "Requests or rows that a sink refused for lack of capacity.", "sink")
        self.ownership_ended = counter("ownership_ended", "Shards that this worker lost or gave up.", "reason")
        self.restarts = counter("daemon_restarts", "Starts of the KCL daemon after the first.", "reason")
        self.cloudwatch_errors = counter(
            "cloudwatch_errors", "Failed PutMetricData requests; they are repeated and delay nothing."
        )
        self.cloudwatch_omitted = counter(
            "cloudwatch_omitted", "Readings that CloudWatch would refuse, left out there only.", "reason"
        )
        self.alerts_raised = counter("alerts_raised", "Readings that met the condition of alerts by the consumer.")
        self.alerts_sent = counter("alerts_sent", "Alerts that Lambda has accepted.")
        self.alerts_dropped = counter(
            "alerts_dropped", "Alerts that are lost, as Lambda has not accepted them.", "reason"
        )
        self.alert_errors = counter("alert_errors", "Failed calls of the alert function; they are repeated.", "error")
        self.taken_over = counter(
            "leases_taken_over", "Leases of lost workers that this worker has given to others or taken."
        )
        self.lease_reads = counter(
            "lease_read_units", "Read units of the consumer's looks at the lease table, without the daemon's.", "kind"
        )

    def _begin(self) -> None:
        """Initializes counters with known labels to 0, and sets the versions."""
        for reasons, known in (
            (self.rejected, REASONS),
            (self.fence, OUTCOMES),
            (self.throttles, SINKS),
            (self.restarts, Reason),
            (self.ttl_bounded, BOUNDS),
            (self.alerts_dropped, DROPS),
            (self.ownership_ended, ENDS),
            (self.lease_reads, LEASE_READS),
        ):
            for label in known:
                reasons.labels(label)
        info = Info("sensorstream_build", "Versions of the consumer, of Python and of the KCL.", registry=self.registry)
        info.info(
            {
                "python": platform.python_version(),
                "kclpy": metadata.version("amazon_kclpy"),
                "version": VERSION,
            }
        )

    def delivered(self, records: int, taken: int) -> None:
        """Counts a delivery's records, and those of them that were not seen before the checkpoint."""
        if taken:
            self.batches.inc()
            self.records.inc(taken)
        if records > taken:
            self.redelivered.inc(records - taken)

    def written(self, readings: Sequence[Reading]) -> None:
        """Counts readings whose rows are durable."""
        self._ages.observe([reading.time_ms for reading in readings], time.time() * 1000)
        self._seen.add([reading.device for reading in readings], time.monotonic())


def total(counter: Counter) -> float:
    """A counter's sum over all its labels."""
    (family,) = counter.collect()
    return sum(sample.value for sample in family.samples if sample.name.endswith("_total"))
