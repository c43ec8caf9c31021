"""A stream that cannot be read: nothing fails at the sinks, nothing is delivered, and an alert must be raised.

The errors are what Kinesis answers by its API reference (GetRecords); no emulator has keys that can be disabled. The
proxy puts them into the daemon's own connections, so that the real KCL and SDK say what they say of them.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from consumer.pipeline.reads import UNREAD_SECONDS
from consumer.pipeline.watchdog import SILENCE_SECONDS
from tests.faults.bench import Bench, NotHeld
from tests.faults.case import Case, Injection
from tests.faults.http_faults import refused, to
from tests.faults.worker import Worker
from tests.system.prometheus import Prometheus

GET_RECORDS = "Kinesis_20131202.GetRecords"
REPORTED_SECONDS = UNREAD_SECONDS + 60
"""Seconds until metrics and /healthz show it."""
ALERT = 120
"""Seconds from there to the alert, whose own times are divided by Prometheus's fast motion."""
RESTART = SILENCE_SECONDS + 60
"""Seconds from there to a start of the daemon."""
BUSIEST = 40
"""Lines of the daemon's log for a minute of failures in four shards, where each shard fails several times a second."""


def reported(worker: Worker, reason: str, shards: int) -> Callable[[], bool]:
    """Whether all shards are reported as unreadable for this reason, by metrics, /healthz and /shards."""

    def look() -> bool:
        status, body = worker.health() or (0, {})
        stated = [shard["cannotBeRead"] for shard in worker.require()["shards"]]
        return (
            worker.metric("sensorstream_reads_failing", reason=reason) == shards
            and worker.metric("sensorstream_read_age_seconds") > shards * UNREAD_SECONDS
            and worker.metric("sensorstream_lag_seconds") > shards * UNREAD_SECONDS
            and status == 200
            and not body["healthy"]
            and f": {reason}: " in body["why"]
            and stated == [reason] * shards
        )

    return look


def unreadable(reason: str, refuse: Injection) -> Injection:
    """A fault under which reads fail for this reason until the alert fires."""

    @contextmanager
    def inject(bench: Bench) -> Iterator[None]:
        worker, shards = bench.worker, len(bench.open_shards())
        with (
            tempfile.TemporaryDirectory() as folder,
            Prometheus(Path(folder), {"sensorstream": worker.url}) as watching,
            refuse(bench),
        ):
            bench.until(f"metrics that show {reason}", reported(worker, reason, shards), REPORTED_SECONDS)
            bench.until("an alert", lambda: _alert(watching, reason), ALERT)
            lines = _lines(worker)
            bench.hold(60, f"{reason} goes on")
            if not reported(worker, reason, shards)():
                raise NotHeld(f"after another minute: {worker.health()}")
            if (more := _lines(worker) - lines) > BUSIEST:
                raise NotHeld(f"{more} lines of log for a minute")
            yield

    return inject


def _alert(prometheus: Prometheus, reason: str) -> bool:
    return any(labels["reason"] == reason for labels in prometheus.alerts().get("StreamUnreadable", ()))


def _lines(worker: Worker) -> int:
    with worker.log_file.open("rb") as lines:
        return sum(1 for _ in lines)


@contextmanager
def unreachable(bench: Bench) -> Iterator[None]:
    """Longer than it takes until the daemon is started again: that alone must not make the worker healthy."""
    worker, shards = bench.worker, len(bench.open_shards())
    with bench.proxy.down("kinesis"):
        bench.until("metrics that show network", reported(worker, "network", shards), REPORTED_SECONDS)
        bench.until("a restart of the daemon", lambda: worker.metric("sensorstream_daemon_restarts_total") > 0, RESTART)
        restarted = time.monotonic()
        while time.monotonic() - restarted < 40:
            bench.hold(2, "the daemon was started again")
            if not reported(worker, "network", shards)():
                raise NotHeld(f"after the restart: {worker.health()}")
        yield


def answered(error: str, operation: str = GET_RECORDS) -> Injection:
    return lambda bench: bench.proxy.shaping.refuse(error, operation)


@contextmanager
def no_stream(bench: Bench) -> Iterator[None]:
    """Kinesis answers every request that there is no such stream. The KCL takes that for the end of each shard."""
    fault = refused(to("kinesis"), 400, "ResourceNotFoundException")
    with bench.proxy.shaping.refuse("ResourceNotFoundException"), bench.proxy.fault(fault):
        yield


CASES = (
    Case("stream-denied", unreadable("access-denied", answered("AccessDeniedException")), steady=True, drain=180),
    Case("stream-unreachable", unreachable, steady=True, within=60, drain=180),
    Case("stream-key-disabled", unreadable("kms", answered("KMSDisabledException")), steady=True, drain=180),
    Case("stream-hanging", unreadable("network", answered("")), steady=True, within=60, drain=180),
    Case("stream-gone", unreadable("not-found", no_stream), steady=True, within=60, drain=180),
)
