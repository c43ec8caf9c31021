"""The whole system on free ports: emulator, template, the real daemon and consumer; the producer as a user calls it."""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from infra.local.emulator import free_port
from infra.local.options import Options
from infra.local.process import ROOT
from infra.local.stack import LocalStack
from tests.system.prometheus import Prometheus

ROLES = {
    "publish": "client",
    "query": "client",
    "audit": "operator",
    "redrive": "operator",
    "replay": "operator",
    "doctor": "operator",
    "bug-report": "operator",
}
"""Who calls which command of the producer. A fleet that goes past IoT Core is a client; what makes devices and queues
is the deployer's."""
SETTINGS = {"ARCHIVE_MAX_SECONDS": "2", "ARCHIVE_MAX_RECORDS": "500"}


class System:
    """A running stack, its metrics and the producer's commands."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self._inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}

    def env(self, *arguments: str) -> dict[str, str]:
        """The environment of a command of the producer: each in the role that it is made for."""
        past_iot = arguments[0] == "simulate" and "kinesis" in arguments
        role = "client" if past_iot else ROLES.get(arguments[0], "deployer")
        return self._inherited | self.stack.as_role(role)

    def client(self, service: str) -> Any:
        return self.stack.emulator.session().client(service)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [str(ROOT / ".venv/bin/python"), "-m", "producer", *arguments]
        pipe = subprocess.PIPE
        env = self.env(*arguments)
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=pipe, stderr=pipe, text=True)

    def producer(self, *arguments: str) -> Any:
        """A command of the producer; returns its JSON, fails on any other exit code than 0."""
        return self.finish(self.start(*arguments, "--json"))

    def finish(self, process: "subprocess.Popen[str]") -> Any:
        """The JSON that a command prints at its end."""
        return json.loads(self.wait(process))

    @staticmethod
    def wait(process: "subprocess.Popen[str]") -> str:
        out, err = process.communicate(timeout=180)
        assert process.returncode == 0, out + err
        return out

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.stack.consumer_url}{path}", timeout=5) as answer:  # noqa: S310
            return str(answer.read().decode())

    def shards(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.get("/shards"))
        return state

    def metric(self, name: str, **labels: str) -> float:
        """Sum of a metric's samples that have these labels."""
        families = text_string_to_metric_families(self.get("/metrics"))
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60) -> None:
    """Asks until true; fails saying what did not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} after {seconds} s"
        time.sleep(0.1)


def nothing_is_left(folder: Path) -> None:
    """Fails if a local stack whose LOCAL_DIR this is has not ended, or a process of it."""
    assert not (folder / "env").exists()
    for process in Path("/proc").glob("[0-9]*/environ"):
        try:
            assert str(folder).encode() not in process.read_bytes(), process
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue  # ended meanwhile, or none of ours


@pytest.fixture(scope="session")
def system() -> Iterator[System]:
    """Two shards, archive objects of two seconds, rollups beside the rows."""
    options = Options(
        name="whole",
        aws_port=free_port(),
        mqtt_port=free_port(),
        http_port=free_port(),
        parameters={"ShardCount": "2", "TableResolution": "0,10s"},
        consumer_settings=SETTINGS,
    )
    with LocalStack(options, print) as stack:
        yield System(stack)


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    return str(tmp_path / "ledger")


@pytest.fixture(scope="session")
def prometheus(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Scrapes the running system, in fast motion (see tests/system/prometheus.py)."""
    with Prometheus(tmp_path_factory.mktemp("prometheus"), {"sensorstream": system.stack.consumer_url}) as running:
        yield running
