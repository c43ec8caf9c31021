"""Where faults happen: the local stack, the proxy, workers with the real daemon, and a fleet that never stops."""

import json
import os
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from infra.local.emulator import HOST, free_port
from infra.local.options import Options
from infra.local.process import LocalError
from infra.local.stack import LocalStack
from producer.aws.stack import Stack, devices_dir
from producer.fleet.ledger import Ledger
from producer.fleet.provision import provision
from producer.fleet.simulate import Simulator, Workload
from tests.compression import unpacked
from tests.faults.proxy import Proxy
from tests.faults.view import View
from tests.faults.worker import Worker

SHARDS = 4
SHUTDOWN_SECONDS = 25
SETTINGS = {
    "LEASE_TABLES": "create",
    "FAST_START": "true",
    "SHUTDOWN_SECONDS": str(SHUTDOWN_SECONDS),
    "ARCHIVE_MAX_RECORDS": "500",
    "ARCHIVE_MAX_SECONDS": "5",
    "TABLE_RESOLUTION": "0,10s",
    "LOG_FORMAT": "text",
}


@dataclass(frozen=True)
class Setup:
    """What a bench is made of; cases with equal setups may share one."""

    settings: Mapping[str, str] = field(default_factory=dict)
    workers: int = 1
    alerts: bool = False
    """Whether the consumer raises them, instead of the rule."""

    def __hash__(self) -> int:
        return hash((tuple(sorted(self.settings.items())), self.workers, self.alerts))


class NotHeld(Exception):
    """What a case promises and did not hold."""


class Bench:
    """A context: entered, the workers serve all shards; left, nothing runs any more."""

    def __init__(self, setup: Setup, view: View, seed: int) -> None:
        self.setup = setup
        self.view = view
        self.rng = random.Random(seed)
        self.workers: list[Worker] = []
        self.dropped = 0
        """Records put into the stream that the KCL never hands out, by its own documented rule."""
        self.resources = ExitStack()
        """What is to be undone at the end, the last first."""
        self.spoiled = False
        """Set by what leaves a worker in surroundings that no other case expects."""
        self._made = 0
        self._folder = Path(tempfile.mkdtemp(prefix="sensorstream-faults-"))

    def __enter__(self) -> Self:
        try:
            options = Options(
                name="faults",
                aws_port=free_port(),
                mqtt_port=free_port(),
                parameters={"ShardCount": str(SHARDS)} | ({"AlertSource": "consumer"} if self.setup.alerts else {}),
                consumer=False,
                enforce=False,  # the proxy breaks what it can read
            )
            self.resources.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self.local = self.resources.enter_context(LocalStack(options, self.view.say))
            self.stack = Stack.load(self.local.emulator.session(), options.name)
            self.proxy = self.resources.enter_context(Proxy(HOST, options.aws_port))
            for _ in range(self.setup.workers):
                self.add_worker()
            self.until("all shards served", self.all_served, 120)
        except BaseException:
            self.resources.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.resources.close()

    def client(self, service: str) -> Any:
        """A client that goes past the proxy."""
        return self.local.emulator.session().client(service)

    def add_worker(self, wait: bool = True) -> Worker:
        """One more worker, with an id and a folder of its own."""
        self._made += 1
        name = f"worker-{self._made}"
        urls = {f"AWS_ENDPOINT_URL_{service.upper()}": url for service, url in self.proxy.urls.items()}
        inherited = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "HOME") if name in os.environ}
        names = {
            "APPLICATION_NAME": self.local.outputs["ApplicationName"],
            "ROLLUP_TABLE": self.stack.rollup_table,
        }
        if self.setup.alerts:
            names["ALERT_FUNCTION"] = self.local.outputs["AlertFunction"]
        env = {**inherited, **self.local.env, **urls, **names, **SETTINGS, **self.setup.settings}
        worker = Worker(name, self._folder / name, env)
        self.workers.append(worker)
        self.resources.callback(worker.stop)
        worker.start(wait)
        return worker

    @property
    def worker(self) -> Worker:
        """The first one."""
        return self.workers[0]

    @property
    def whole(self) -> bool:
        """Whether all workers run that it was made with, and no others, as they were made."""
        return (
            not self.spoiled
            and len(self.workers) == self.setup.workers
            and all(worker.running for worker in self.workers)
        )

    def supervise(self) -> None:
        """Restarts what has ended, as an orchestrator does."""
        for worker in self.workers:
            if not worker.running:
                try:
                    worker.start(wait=False)
                except LocalError as error:  # the next look tries again
                    self.view.live(str(error))

    def open_shards(self) -> dict[str, dict[str, Any]]:
        """The stream's shards that take records."""
        shards = self.client("kinesis").list_shards(StreamName=self.stack.stream, ShardFilter={"Type": "AT_LATEST"})
        return {shard["ShardId"]: shard for shard in shards["Shards"]}

    def all_served(self) -> bool:
        served = set().union(*(worker.shards() for worker in self.workers))
        return self.open_shards().keys() <= served

    def committed(self) -> bool:
        """Whether every open shard is served and everything that came is checkpointed."""
        states = [shard for worker in self.workers if (state := worker.state()) for shard in state["shards"]]
        live = [shard for shard in states if shard["live"]]
        caught_up = all(shard["openRecords"] == 0 and shard["millisBehindLatest"] == 0 for shard in live)
        return caught_up and self.open_shards().keys() <= {shard["shard"] for shard in live}

    def until(self, what: str, condition: Any, seconds: float) -> float:
        """Waits until the condition holds; returns how long that took. Raises NotHeld."""
        began = time.monotonic()
        while not condition():
            waited = time.monotonic() - began
            if waited > seconds:
                raise NotHeld(f"{what}: not after {seconds:g} s")
            self.view.live(f"waiting for: {what} ({waited:.0f} s)")
            time.sleep(0.1)
            self.supervise()
        return time.monotonic() - began

    def hold(self, seconds: float, text: str) -> None:
        """Lets so much time pass under load."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.view.live(f"{text}, {left:.0f} s to go")
            self.supervise()
            time.sleep(min(0.5, left))

    def put(self, payloads: list[bytes], key: str, hash_key: str | None = None) -> None:
        """Puts records past the fleet and its ledger, all of them."""
        kinesis = self.client("kinesis")
        where = {"ExplicitHashKey": hash_key} if hash_key else {}
        for start in range(0, len(payloads), 100):
            records = [{"Data": data, "PartitionKey": key, **where} for data in payloads[start : start + 100]]
            answer = kinesis.put_records(StreamName=self.stack.stream, Records=records)
            assert answer["FailedRecordCount"] == 0, answer

    def lines(self, prefix: str) -> Iterator[dict[str, Any]]:
        """The lines of all archive objects below a prefix; each with the key it stands in as `object`."""
        s3 = self.client("s3")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self.stack.bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                body = s3.get_object(Bucket=self.stack.bucket, Key=item["Key"])["Body"].read()
                for line in unpacked(body).splitlines():
                    yield json.loads(line) | {"object": item["Key"]}

    @contextmanager
    def load(self, plan: Workload, ledger: Ledger) -> Iterator["Load"]:
        """The fleet speaks as long as the block lasts; leaving it waits for the last acknowledgements."""
        if plan.via == "mqtt":
            names = [f"{plan.prefix}{i}" for i in range(1, plan.devices + 1)]
            provision(self.stack.session, names, self.stack.device_policy, devices_dir(self.local.env))
        load = Load(Simulator(self.stack, plan, ledger, environ=self.local.env), ledger)
        try:
            yield load
        finally:
            load.stop()


class Load:
    """A fleet that publishes in a thread of its own."""

    def __init__(self, simulator: Simulator, ledger: Ledger) -> None:
        self.ledger = ledger
        self._stop = threading.Event()
        self._end: Future[None] = Future()
        self._simulator = simulator
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._simulator.run(self._stop)
            self._end.set_result(None)
        except BaseException as error:  # noqa: BLE001  # `stop` raises it
            self._end.set_exception(error)

    def stop(self) -> None:
        """Raises what ended the publishing early, if anything did."""
        self._stop.set()
        self._thread.join()
        self._end.result()
