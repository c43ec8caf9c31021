"""The whole task: the real KCL daemon reads the stream server, and what it runs writes to the sink."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

from consumer.kcl import java
from consumer.kcl.daemon_config import jars
from infra.local.process import Child
from tests.bench.effort import Effort, spread
from tests.bench.paths import Parts, Say
from tests.bench.system import PYTHON, Servers, cpu_seconds, worker
from tests.faults.worker import Worker, group

SHARDS = 4
FETCH = {"maxRecords": 1_500, "idleTimeBetweenReadsInMillis": 250}
"""The fetch settings of the service by default, for the other task, too."""
SOON = {
    "shardSyncIntervalMillis": 1,
    "leaseAssignmentIntervalMillis": 1000,
    "inMemoryWorkerMetricsCaptureFrequencyMillis": 250,
    "parentShardPollIntervalMillis": 1000,
}
"""Shortens the other task's start as FAST_START does ours; no figure is taken then."""
START_SECONDS = 240.0
LIVE_SHARDS, LIVE_RATE, LIVE_WARM_UP = 2, 400, 30
"""Shards, readings a second, and seconds before the measurement at most: what a small fleet pays most of the day."""
MAX_RECORDS = {1: "1500", 10: "500"}
"""Records of a poll by readings in a record: the default, and what docs/backpressure.md says of records of 1 KB."""
PERIOD = 0.05
"""Seconds between two questions to the sink."""
RECOVERY_SECONDS = 30
"""How long readings are published around each SIGKILL."""
SHARD_RATE = 1_000
"""Records a second that Kinesis takes into a shard."""
CORE = 0
"""The processor that a pinned task has for itself."""


class Rows:
    """The rows that the sink has counted since this was made."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._before = self._total()

    def _total(self) -> int:
        return int(self._servers.counts()["items"].get("rows", 0))

    def count(self) -> int:
        return self._total() - self._before

    def wait(self, count: int, alive: Callable[[], bool], seconds: float = START_SECONDS) -> float:
        """Waits until there are so many; returns the time then."""
        deadline = time.monotonic() + seconds
        while self.count() < count:
            assert alive(), "the task has ended; see the logs"
            assert time.monotonic() < deadline, f"{self.count()} rows of {count} after {seconds:g} s"
            time.sleep(PERIOD)
        return time.monotonic()


@contextmanager
def service(servers: Servers, stream: str, **settings: str) -> Iterator[Worker]:
    """This service with its real daemon."""
    made = worker(servers, f"{stream}-app", 0, {"STREAM_NAME": stream, **settings})
    try:
        yield made
    finally:
        if made.running:
            made.kill()


class SampleTask:
    """amazon_kclpy as its documents start it: its daemon, its logging, a process per shard."""

    def __init__(self, servers: Servers, stream: str) -> None:
        runtime = java.find()
        assert runtime, "no java"
        folder = servers.folder / f"sample-{stream}"
        folder.mkdir()
        variables = servers.variables()
        properties = {
            "executableName": f"{PYTHON} -m tests.bench.peers.sample_like",
            "streamName": stream,
            "applicationName": f"{stream}-app",
            "AwsCredentialsProvider": "DefaultCredentialsProvider",
            "processingLanguage": "python/3.11",
            "initialPositionInStream": "TRIM_HORIZON",
            "regionName": variables["AWS_DEFAULT_REGION"],
            "kinesisEndpoint": servers.stream,
            "dynamoDBEndpoint": servers.sink,
            "retrievalMode": "POLLING",
            "metricsLevel": "NONE",
            **FETCH,
            **SOON,
        }
        text = "".join(f"{name} = {value}\n" for name, value in properties.items())
        (folder / "sample.properties").write_text(text)
        path = f"{jars()}/*:{folder}"
        daemon = "software.amazon.kinesis.multilang.MultiLangDaemon"
        command = [str(runtime), "-cp", path, daemon, "--properties-file", str(folder / "sample.properties")]
        self._child = Child("sample task", command, variables | {"PYTHONPATH": os.getcwd()}, Path(f"{folder}.log"))

    @property
    def running(self) -> bool:
        return self._child.exit_code() is None

    def pids(self) -> tuple[list[int], list[int]]:
        """The Python processes, and Java."""
        found = [pid for pid in group(self._child.pid) if pid != self._child.pid]
        names = {pid: Path(f"/proc/{pid}/comm").read_text().strip() for pid in found}
        return [pid for pid in found if names[pid] != "java"], [pid for pid in found if names[pid] == "java"]

    def stop(self) -> None:
        self._child.stop(0)


def cost(rows: Rows, readings: int, alive: Callable[[], bool], pids: Callable[[], Any]) -> dict[str, float]:
    """us of CPU per reading and readings a second between 40 % and 90 % of the readings: neither start nor end."""
    began = rows.wait(readings * 2 // 5, alive)
    python, daemon = pids()
    first, cpu = rows.count(), [cpu_seconds(python), cpu_seconds(daemon)]
    ended = rows.wait(readings * 9 // 10, alive)
    last = rows.count()
    assert last > first, f"{readings} readings are too few: all came between two looks"
    used = [cpu_seconds(python) - cpu[0], cpu_seconds(daemon) - cpu[1]]
    each = [seconds / (last - first) * 1e6 for seconds in used]
    return {"us": sum(each), "python": each[0], "java": each[1], "rate": (last - first) / (ended - began)}


def draining(servers: Servers, effort: Effort, say: Say) -> dict[str, Any]:
    """Both tasks draining a stream of four shards, in turns."""
    found: dict[str, list[dict[str, float]]] = {"ours": [], "sample_like": []}
    for repetition in range(max(1, effort.repetitions // 2)):
        for name, run in (("ours", _ours), ("sample_like", _sample)):
            stream = f"bench-{SHARDS}-{name}{repetition}"
            servers.load(stream, part=1, readings=effort.task_readings // SHARDS, since=Parts().since)
            found[name].append(run(servers, stream, effort.task_readings))
            say(f"task {name}: " + ", ".join(f"{key} {value:.1f}" for key, value in found[name][-1].items()))
    return {name: {key: spread([each[key] for each in runs]) for key in runs[0]} for name, runs in found.items()}


def _ours(servers: Servers, stream: str, readings: int) -> dict[str, float]:
    rows = Rows(servers)
    with service(servers, stream) as task:
        task.start(wait=False)
        return cost(rows, readings, lambda: task.running, lambda: ([task.pid], group(task.daemon())))


def catch_up(servers: Servers, effort: Effort) -> float:
    """How many times faster than records can come into a shard one shard's backlog is read."""
    stream, readings = "bench-1-backlog", effort.task_readings // 2
    servers.load(stream, part=1, readings=readings, since=Parts().since)
    return round(_ours(servers, stream, readings)["rate"] / SHARD_RATE, 1)


def _sample(servers: Servers, stream: str, readings: int) -> dict[str, float]:
    rows = Rows(servers)
    task = SampleTask(servers, stream)
    try:
        return cost(rows, readings, lambda: task.running, task.pids)
    finally:
        task.stop()


def drain(servers: Servers, effort: Effort, per_record: int) -> dict[str, float]:
    """Service and daemon on one core, draining a full stream: seconds from the first row to the last."""
    shards, readings = effort.drain_shards, effort.drain_readings
    stream = f"bench-{shards}-drain{per_record}"
    servers.load(stream, part=1, readings=readings // shards, since=Parts().since, per_record=per_record)
    servers.avoid(CORE)
    rows = Rows(servers)
    with service(servers, stream, MAX_RECORDS=MAX_RECORDS[per_record]) as task:
        task.launcher = ["taskset", "-c", str(CORE)]
        task.start(wait=False)
        began = rows.wait(1, lambda: task.running)
        first = rows.count()
        ended = rows.wait(readings // shards * shards, lambda: task.running, 600)
        python, daemon = task.memory()
    seconds = ended - began
    rate = (readings - first) / seconds
    return {
        "seconds": round(seconds, 1),
        "readings_s": round(rate),
        "service_mb": round(python, 1),
        "daemon_mb": round(daemon, 1),
    }


def latency(servers: Servers, effort: Effort, mode: str, say: Say) -> dict[str, Any]:
    """Seconds from a reading's publication to its row, by readings a second."""
    found: dict[str, Any] = {}
    stream = f"bench-{SHARDS}-{mode.lower()}"
    with service(servers, stream, RETRIEVAL_MODE=mode) as task:
        task.start()
        for rate in (effort.latency_rates[0], *effort.latency_rates):  # the first warms up
            servers.ages()
            rows = Rows(servers)
            order = {"stream": stream, "rate": rate, "seconds": effort.latency_seconds}
            rows.wait(servers.ask_stream("live", order)["published"], lambda: task.running)
            found[str(rate)] = percentiles(servers.ages())
            say(f"latency {mode} at {rate}/s: {found[str(rate)]}")
    return found


def live(servers: Servers, effort: Effort) -> float:
    """us of the service's CPU per reading, warm, at LIVE_RATE: deliveries of some 50 records, and all that it does by
    the clock. The daemon's CPU does not count."""
    stream = f"bench-{LIVE_SHARDS}-live"
    with service(servers, stream, FAST_START="false") as task:
        task.start()
        used = published = 0.0
        for seconds in (min(LIVE_WARM_UP, effort.live_seconds), effort.live_seconds):
            rows, before = Rows(servers), cpu_seconds([task.pid])
            published = servers.ask_stream("live", {"stream": stream, "rate": LIVE_RATE, "seconds": seconds})[
                "published"
            ]
            rows.wait(int(published), lambda: task.running)
            used = cpu_seconds([task.pid]) - before
    return round(used / published * 1e6, 1)


def percentiles(ages: Sequence[int]) -> dict[str, float]:
    """Of ms, in seconds."""
    cuts = quantiles(ages, n=1000)
    return {name: round(cuts[place - 1] / 1000, 3) for name, place in (("p50", 500), ("p99", 990), ("p99.9", 999))}


def idle(servers: Servers, effort: Effort) -> float:
    """Per cent of a core that service and daemon take while four shards are silent, as a deployment runs them, warm."""
    with service(servers, f"bench-{SHARDS}-idle", FAST_START="false") as task:
        task.start()
        time.sleep(effort.warm_seconds)
        pids = [task.pid, *group(task.daemon())]
        before, began = cpu_seconds(pids), time.monotonic()
        time.sleep(effort.idle_seconds)
        return round((cpu_seconds(pids) - before) / (time.monotonic() - began) * 100, 2)


def recovery(servers: Servers, effort: Effort) -> dict[str, Any]:
    """Seconds from SIGKILL for the service, started again at once, to the first row."""
    stream = f"bench-{SHARDS}-recovery"
    found = []
    with service(servers, stream) as task, ThreadPoolExecutor(1) as publisher:
        task.start()
        for _ in range(effort.recoveries):
            order = {"stream": stream, "rate": 100, "seconds": RECOVERY_SECONDS}
            publishing = publisher.submit(servers.ask_stream, "live", order)
            Rows(servers).wait(1, lambda: task.running)
            began = time.monotonic()
            task.kill()
            rows = Rows(servers)
            task.start(wait=False)
            found.append(rows.wait(1, lambda: task.running) - began)
            publishing.result()
    return spread(found)
