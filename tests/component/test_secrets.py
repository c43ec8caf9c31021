"""Nothing secret is written: credentials, environment and payloads are planted, and everything is looked through."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.local.emulator import HOST, free_port
from infra.local.identity import settings_of
from infra.local.process import ROOT
from tests.component.strict import Strict

ENVIRONMENT, PAYLOAD, PASTED = "planted-in-the-environment", "planted-in-a-payload", "planted-in-a-setting"


class Running:
    """A consumer that logs everything it can."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, folder: Path) -> None:
        self.process = process
        self.folder = folder
        self._url = url

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"{self._url}{path}", timeout=5) as answer:  # noqa: S310 - own address
            return str(answer.read().decode())

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("/shards"))
        return found

    def shards(self) -> int:
        """Those in conversation."""
        return sum(shard["live"] for shard in self.state()["shards"])

    def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                if condition():
                    return
            except OSError:  # it does not listen yet
                pass
            assert self.process.poll() is None, self.written()
            assert time.monotonic() < deadline, f"no {what}: {self.get('/shards')} {self.get('/metrics')}"
            time.sleep(0.1)

    def written(self) -> str:
        """Every file that it has written, its log among them."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return "\n".join(f"{path}\n{path.read_bytes().decode(errors='replace')}" for path in files)


@contextmanager
def consumer(folder: Path, environ: dict[str, str]) -> Iterator[Running]:
    """Of the emulator's task, at the lowest log level; its log and RUN_DIR are in the folder."""
    port, run_dir = free_port(), folder / "run"
    run_dir.mkdir()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    here = {"RUN_DIR": str(run_dir), "TMPDIR": str(run_dir), "HTTP_HOST": HOST, "HTTP_PORT": str(port)}
    chosen = {"LOG_LEVEL": "DEBUG", "FAST_START": "true", "SHUTDOWN_SECONDS": "20", "A_PASSWORD": ENVIRONMENT}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "consumer"],
            cwd=ROOT,
            env={**inherited, **environ, **here, **chosen},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Running(process, f"http://{HOST}:{port}", folder)
    finally:
        process.kill()
        process.wait()


def environment_of(pid: int) -> dict[str, str]:
    """What a process was started with."""
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if pair)


@contextmanager
def forbidden(strict: Strict, action: str) -> Iterator[None]:
    """The consumer's role may not do this as long as the block lasts."""
    iam, role = strict.client("iam"), strict.names["TaskRoleArn"].rpartition("/")[2]
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}]}
    iam.put_role_policy(RoleName=role, PolicyName="deny", PolicyDocument=json.dumps(deny))
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="deny")


def test_a_working_and_failing_consumer_writes_no_secret(strict: Strict, tmp_path: Path) -> None:
    kinesis, stream = strict.client("kinesis"), strict.names["StreamName"]
    now = time.time_ns() // 1_000_000
    payloads = [
        json.dumps({"name": "soil", "humidity": 50, "timeStampEpoch": now, "note": PAYLOAD}).encode(),
        json.dumps({"name": "soil", "humidity": PAYLOAD, "timeStampEpoch": now}).encode(),
        f"{{{PAYLOAD}".encode(),
    ]
    with consumer(tmp_path, settings_of(strict.emulator, strict.names["TaskDefinitionArn"])) as running:
        running.until(lambda: running.shards() == 1, "shard")
        daemon = environment_of(running.state()["daemonPid"])
        for data in payloads:
            kinesis.put_record(StreamName=stream, Data=data, PartitionKey="soil")
        rejected = re.compile(r'reason="not-json"} [1-9]')  # other tests may have left more in this stream
        running.until(lambda: rejected.search(running.get("/metrics")) is not None, "rejected reading")
        with forbidden(strict, "dynamodb:BatchWriteItem"):
            kinesis.put_record(StreamName=stream, Data=payloads[0], PartitionKey="soil")
            running.until(lambda: "not authorized" in running.written(), "refused row")
        running.until(lambda: running.shards() == 1, "daemon that works again")
        os.kill(before := running.state()["daemonPid"], signal.SIGKILL)
        running.until(lambda: running.state()["daemonPid"] not in (before, None), "restart")
        reported = "".join(running.get(path) for path in ("/metrics", "/shards"))
        running.process.terminate()
        running.process.wait(60)
        written = running.written()
    assert "Picked up JAVA_TOOL_OPTIONS" in written, "the daemon's own words are there"
    assert "executableName" in written, "and its settings"
    key, secret, token = strict.task_keys("TaskDefinitionArn")
    assert daemon["AWS_CONTAINER_CREDENTIALS_FULL_URI"].startswith("http://127.0.0.1:")
    assert not any(str(secret) in value for value in daemon.values())
    own = daemon["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    for planted in (key, secret, token, str(token)[:40], own, ENVIRONMENT, PAYLOAD):
        assert str(planted) not in written + reported


@pytest.mark.parametrize("endpoint", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"])
def test_keys_that_are_refused_are_not_reported(strict: Strict, tmp_path: Path, endpoint: str) -> None:
    environ = settings_of(strict.emulator, strict.names["TaskDefinitionArn"])
    del environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    keys = {
        "AWS_ACCESS_KEY_ID": "AKIAPLANTEDPLANTED00",
        "AWS_SECRET_ACCESS_KEY": PASTED,
        "AWS_SESSION_TOKEN": ENVIRONMENT,
    }
    with consumer(tmp_path, environ | keys | {endpoint: strict.emulator.endpoint}) as running:
        assert running.process.wait(60) == 1
        written = running.written()
    assert "AWS does not accept these credentials: set AWS_ACCESS_KEY_ID" in written
    assert not any(planted in written for planted in keys.values() if planted != keys["AWS_ACCESS_KEY_ID"])


def test_a_password_in_an_address_is_refused_and_not_reported(strict: Strict, tmp_path: Path) -> None:
    environ = settings_of(strict.emulator, strict.names["TaskDefinitionArn"])
    with consumer(tmp_path, environ | {"AWS_ENDPOINT_URL": f"https://user:{PASTED}@localhost"}) as running:
        assert running.process.wait(60) == 2
        written = running.written()
    assert "sensorstream: AWS_ENDPOINT_URL: " in written
    assert PASTED not in written
