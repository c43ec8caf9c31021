"""One emulator with the extension per test run, and one that enforces IAM, each a process of its own on free ports."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

HOST, REGION = "127.0.0.1", "eu-central-1"
PROJECT = Path(__file__).resolve().parents[1]
PYTHON = Path(os.environ.get("LOCAL_AWS") or PROJECT.parents[2] / ".local-aws") / "bin/python"
"""Of an environment with the dependencies of pyproject.toml."""


class Running:
    """A running emulator; `plain` is its endpoint without TLS."""

    def __init__(self, endpoint: str, plain: str, ca: Path | None) -> None:
        self.endpoint, self.plain, self.ca = endpoint, plain, ca

    def client(self, service: str, **options: Any) -> Any:
        """A client of the account itself, unless the options say otherwise."""
        ours = {"endpoint_url": self.endpoint, "region_name": REGION, "verify": str(self.ca) if self.ca else None}
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, **(ours | keys | options))


def free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """What the condition gives once it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)
    return found


@contextmanager
def started(folder: Path, **settings: str) -> Iterator[Running]:
    port, plain = free_port(), free_port()
    tls = "TLS_DIR" in settings
    paths = dict.fromkeys(("HOME", "TMPDIR", "STATE_DIR", "S3_DATA_DIR"), str(folder))
    ports = {
        "GATEWAY_PORT": str(port),
        "PLAIN_PORT": str(plain),
        "IOT_MTLS_PORT": str(free_port()),
        "SFTP_ENABLED": "0",
    }
    environment = {"PATH": os.environ["PATH"], "BIND_HOST": HOST, "MINISTACK_REGION": REGION, "LOG_LEVEL": "WARNING"}
    environment |= {"DOCKER_HOST": f"unix://{folder}/no-docker.sock"} | paths | ports | settings
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [PYTHON, "-m", "emulator_extension"], cwd=PROJECT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    running = Running(
        f"{'https' if tls else 'http'}://{HOST}:{port}",
        f"http://{HOST}:{plain if tls else port}",
        folder / "ca.pem" if tls else None,
    )

    def ready() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            with urllib.request.urlopen(f"{running.plain}/_ministack/ready", timeout=5):  # noqa: S310 - own address
                return True
        except OSError:
            return False

    try:
        eventually(ready)
        yield running
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with started(tmp_path_factory.mktemp("emulator"), AUTH="false") as running:
        yield running


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Roles and policies are in force, and the gateway speaks TLS."""
    folder = tmp_path_factory.mktemp("strict")
    with started(folder, AUTH="true", TLS_DIR=str(folder)) as running:
        yield running


@pytest.fixture
def name() -> str:
    return f"x-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def stream(aws: Running, name: str) -> Iterator[str]:
    """A new stream of one shard."""
    aws.client("kinesis").create_stream(StreamName=name, ShardCount=1)
    yield name
    aws.client("kinesis").delete_stream(StreamName=name)


def make_role(aws: Running, name: str, service: str, *allowed: dict[str, Any]) -> str:
    """A role that trusts the service, with these statements; its ARN."""
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    iam = aws.client("iam")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="allowed", PolicyDocument=policy(*allowed))
    return str(role)


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def records(aws: Running, stream: str, shard: str) -> tuple[list[Any], list[Any] | None]:
    """All records of a shard, two at a time, and its child shards; None for those of an open shard."""
    kinesis, found = aws.client("kinesis"), []
    asked = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    token = asked["ShardIterator"]
    while True:
        answer = kinesis.get_records(ShardIterator=token, Limit=2)
        found += answer["Records"]
        token = answer.get("NextShardIterator")
        if not token or not answer["Records"]:
            return found, None if token else answer["ChildShards"]
