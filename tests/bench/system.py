"""What is measured, and around it: the servers, the peers as processes of their own, their CPU time and memory."""

import itertools
import json
import os
import shutil
import socket
import ssl
import sys
import tempfile
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from consumer.kcl import java
from consumer.kcl.first_leases import first_row
from infra.local.emulator import ACCESS_KEY, HOST, SECRET_KEY, Emulator, free_port
from infra.local.process import LOCAL, ROOT, Child, Running
from tests.faults.worker import Worker, group

SERVER_PYTHON = str(Path(os.environ.get("LOCAL_AWS") or ROOT / ".local-aws") / "bin/python")
"""The interpreter of the servers: the emulator's, which has HTTP/2, CBOR and TLS."""
BENCH_PYTHON = ROOT / ".bench/bin/python"
PYTHON = str(BENCH_PYTHON if BENCH_PYTHON.exists() else sys.executable)
"""The interpreter of what is measured: with what production has, not with what the tests need (awscrt, which botocore
would sign with)."""
WORKER = "bench"
NUMBERS = itertools.count()
"""Tell one peer's files and tables from another's."""
START_SECONDS = 60.0


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of processes with all their threads, from the kernel's clocks."""
    # The clock of another process: clock_getcpuclockid(3), which Python has for threads only.
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def memory_mb(pids: Iterable[int]) -> float:
    """Proportional set size of processes: pages that they share count once."""
    texts = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    return sum(int(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith("Pss:")) / 1024


class Servers(Running):
    """The emulator for the leases, the sink for everything written, the stream that is read."""

    def __init__(self, tls: bool = False, delay_ms: float = 0) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sensorstream-bench-"))
        self.emulator = Emulator(log=LOCAL / "log/bench-emulator.log")
        self._tls, self._delay = tls, delay_ms
        self._java = java.find()  # also the one of a wheel that only this environment has
        self._children: list[Child] = []
        self.sink = f"{'https' if tls else 'http'}://{HOST}:{free_port()}"
        self.stream = f"http://{HOST}:{free_port()}"

    def start(self) -> None:
        self.emulator.start()
        options = ["--delay", str(self._delay), *(["--tls", str(self.folder)] if self._tls else [])]
        self._serve("sink", self.sink, self.emulator.endpoint.removeprefix("http://"), *options)
        self._serve("stream", self.stream)

    def _serve(self, name: str, url: str, *options: str) -> None:
        port = url.rpartition(":")[2]
        command = [SERVER_PYTHON, "-m", f"tests.bench.{name}", port, *options]
        child = Child(name, command, {"PATH": os.environ["PATH"]}, LOCAL / f"log/bench-{name}.log")
        self._children.append(child)

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex((HOST, int(port))) == 0

        child.wait_until(listens, 30)

    def stop(self) -> None:
        for child in self._children:
            child.stop(2)
        self.emulator.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def avoid(self, core: int) -> None:
        """Leaves a processor to others, where there are more."""
        rest = os.sched_getaffinity(0) - {core}
        for child in self._children:
            for pid in group(child.pid):
                os.sched_setaffinity(pid, rest or {core})

    def variables(self) -> dict[str, str]:
        """The environment of a peer."""
        made = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
            "JAVA": str(self._java),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": self.emulator.region,
            "AWS_ENDPOINT_URL": self.sink,
            "AWS_ENDPOINT_URL_KINESIS": self.stream,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return made | ({"AWS_CA_BUNDLE": str(self.folder / "ca.pem")} if self._tls else {})

    def counts(self) -> dict[str, Any]:
        """What the sink has counted; a refused signature ends the bench."""
        found: dict[str, Any] = self._ask_sink()
        assert not found["refused"], "the sink has refused signatures"
        return found

    def ages(self) -> list[int]:
        """ms from measurement to row, of the rows since the last question; none before the first."""
        found: list[int] = self._ask_sink("/ages")
        return found

    def _ask_sink(self, path: str = "") -> Any:
        context = ssl.create_default_context(cafile=self.folder / "ca.pem") if self._tls else None
        with urllib.request.urlopen(f"{self.sink}/bench{path}", timeout=30, context=context) as answer:  # noqa: S310
            return json.loads(answer.read())

    def lease(self, table: str, shards: int) -> None:
        """Gives the worker the leases that its table has no rows for: the part of the KCL in this."""
        dynamodb = self.emulator.session().client("dynamodb")
        known = {row["leaseKey"]["S"] for row in dynamodb.scan(TableName=table)["Items"]}
        for place in range(shards):
            name = f"shardId-{place:012d}"
            if name not in known:
                shard = {"ShardId": name, "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "0"}}
                dynamodb.put_item(TableName=table, Item=first_row(shard, WORKER))

    def load(self, stream: str, **part: int) -> None:
        """Puts a part of the recorded input into every shard of a stream."""
        self.ask_stream("load", {"stream": stream, **part})

    def ask_stream(self, what: str, order: Mapping[str, Any]) -> Any:
        """Returns the answer when the order is carried out."""
        request = urllib.request.Request(f"{self.stream}/bench/{what}", json.dumps(order).encode())  # noqa: S310
        with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310 - own address
            return json.loads(answer.read())


class Fed(ABC):
    """A peer whose deliveries come from `feed`, without Java: the Python path."""

    def __init__(self, servers: Servers, shards: int) -> None:
        self.servers, self.shards = servers, shards
        self.number = next(NUMBERS)
        self._path = servers.folder / f"feed-{self.number}"
        self.children: list[int] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(self._path))
            listener.listen(1)
            listener.settimeout(START_SECONDS)
            self.start()
            stack.callback(self.stop)
            feeder, _ = listener.accept()
            self._feeder = stack.enter_context(feeder)
            self._answers = stack.enter_context(feeder.makefile("rb"))
            self.prepare()
            self.children = self._order({"open": self.shards})
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    def prepare(self) -> None:  # noqa: B027 - most need nothing
        """Called before the conversations begin."""

    @property
    @abstractmethod
    def pids(self) -> list[int]:
        """The processes whose CPU time counts."""

    def feed(self, **part: int) -> "Cost":
        """Feeds a part of the recorded input to every shard; the rows must all have come to the sink."""
        before, began = self.servers.counts(), cpu_seconds(self.pids)
        seconds = self._order(part)
        cpu = cpu_seconds(self.pids) - began
        rows = self.servers.counts()["items"].get("rows", 0) - before["items"].get("rows", 0)
        readings = part["readings"] * self.shards
        assert rows == readings, f"{rows} rows of {readings} readings"
        return Cost(readings, cpu, seconds)

    def _order(self, order: Mapping[str, Any]) -> Any:
        self._feeder.sendall(json.dumps(order).encode() + b"\n")
        answer = self._answers.readline()
        assert answer, "what feeds has ended; see the logs"
        return json.loads(answer)


class Cost:
    """What a part of the input took."""

    def __init__(self, readings: int, cpu: float, seconds: float) -> None:
        self.readings, self.cpu, self.seconds = readings, cpu, seconds

    @property
    def us(self) -> float:
        """CPU microseconds per reading."""
        return self.cpu / self.readings * 1e6


class Service(Fed):
    """This service, whole, as `python -m consumer` runs it; only its `java` is `feed`."""

    module = "consumer"
    settings: Mapping[str, str] = {}

    def start(self) -> None:
        java = self.servers.folder / f"java-{self.number}"
        java.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m tests.bench.feed {self._path} "$@"\n')
        java.chmod(0o700)
        self._application = f"bench-{self.number}"
        self._worker = worker(
            self.servers, self._application, self.shards, {"JAVA": str(java), **self.settings}, self.module
        )
        self._worker.start(wait=False)

    def prepare(self) -> None:
        self.servers.lease(self._application, self.shards)

    def stop(self) -> None:
        if self._worker.running:
            self._worker.kill()

    @property
    def pids(self) -> list[int]:
        return [self._worker.pid]


class PlainService(Service):
    """The same with its table written through aiobotocore, and without a list of devices."""

    module = "tests.bench.peers.aiobotocore_plain"
    settings: Mapping[str, str] = {"DEVICES_TABLE": ""}


class Program(Fed):
    """A peer that is a multi-language program: a process per shard."""

    module = ""

    def start(self) -> None:
        child = f"{PYTHON} -m {self.module}"
        command = [sys.executable, "-m", "tests.bench.feed", str(self._path), child]
        self._child = Child(self.module, command, self.servers.variables(), LOCAL / f"log/{self.module}.log")

    def stop(self) -> None:
        self._child.stop(2)

    @property
    def pids(self) -> list[int]:
        return self.children


class SampleLike(Program):
    """amazon_kclpy, batch_writer, put_object."""

    module = "tests.bench.peers.sample_like"


class SeedLike(Program):
    """A put_item and a metric per record."""

    module = "tests.bench.peers.seed_like"


def worker(
    servers: Servers, application: str, shards: int, more: Mapping[str, str], module: str = "consumer"
) -> Worker:
    """The consumer with its default settings, reading `shards` shards of the stream server."""
    env = servers.variables() | {
        "STREAM_NAME": f"bench-{shards}",
        "SENSOR_TABLE": "sensors",
        "DEVICES_TABLE": "devices",  # as a deployment has it
        "ARCHIVE_BUCKET": "archive",
        "APPLICATION_NAME": application,
        "LEASE_TABLES": "create",
        "FAST_START": "true",
        "LOG_FORMAT": "text",
        **more,
    }
    made = Worker(WORKER, servers.folder / f"run-{application}", env)
    made.command = [PYTHON, "-m", module]
    return made


Peers = Mapping[str, Callable[[Servers, int], Fed]]
PEERS: Peers = {
    "ours": Service,
    "aiobotocore_plain": PlainService,
    "sample_like": SampleLike,
    "seed_like": SeedLike,
}
