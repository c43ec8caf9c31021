"""One file with what helps to find a defect: versions, settings, health, shards, the last lines of the logs.

Everything in it is text that a person can read before it is given away. Credentials are never in it; addresses of mail,
account numbers and whatever is a credential of the caller are taken out of all parts.
"""

import json
import os
import platform
import re
import sys
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import boto3

from consumer.kcl import java
from producer.aws.errors import UserError, explain_if_aws
from producer.ops.doctor import examine

LINES = 200
"""Of each log, the last ones."""
PACKAGES = (
    "sensorstream",
    "amazon_kclpy",
    "aiobotocore",
    "boto3",
    "httptools",
    "msgspec",
    "orjson",
    "prometheus-client",
)
NAMES = (
    "STACK_NAME",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "CONSUMER_URL",
    "IOT_ENDPOINT",
    "DEVICES_DIR",
)
"""Variables of the environment that are no secrets; of all others only that they are set is told, if they are AWS's."""
SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
HIDDEN = (
    (re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"), "(mail)"),
    (re.compile(r"(?<![\d.])(?<!shardId-)\d{12}(?![\d.])"), "(account)"),
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"), "(key)"),
)


def written(session: boto3.Session, stack: str, path: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Writes the file and returns its path; what cannot be asked is told in its place. Raises UserError when the file
    cannot be written."""
    parts = [f"# Sensorstream, deployment {stack}, {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"]
    for title, ask in (
        ("Versions", versions()),
        ("Environment", environment(environ)),
        ("Examination", examination(session, stack)),
        ("Parameters", parameters(session, stack)),
        ("Consumer", consumer(environ.get("CONSUMER_URL"))),
        ("Logs of the local stack", local_logs(Path(environ.get("LOCAL_DIR") or ".local") / "log")),
        ("Log of the consumer's tasks", task_log(session, stack)),
    ):
        parts += ["", f"## {title}", "", *_asked(ask)]
    text = hidden("\n".join(parts) + "\n", [environ[name] for name in SECRETS if environ.get(name)])
    try:
        path.write_text(text)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    return path


def _asked(ask: Iterator[str]) -> Iterator[str]:
    """The lines of a part, and why there are no more."""
    try:
        yield from ask
    except Exception as error:  # noqa: BLE001 - whatever a part says of itself, the others are wanted
        yield f"could not be asked: {explain_if_aws(error) or f'{type(error).__name__}: {error}'}"


def hidden(text: str, secrets: list[str]) -> str:
    """Without what must not be given away."""
    for secret in secrets:
        text = text.replace(secret, "(credential)")
    for pattern, instead in HIDDEN:
        text = pattern.sub(instead, text)
    return text


def versions() -> Iterator[str]:
    yield f"Python {sys.version.split()[0]}, {platform.platform()}, {os.cpu_count()} processors"
    runtime = java.find()
    yield f"Java {java.version(str(runtime))}" if runtime else "no Java of version 17 or newer"
    for package in PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            yield f"{package} is not installed"


def environment(environ: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(environ):
        if name in NAMES:
            yield f"{name}={environ[name]}"
        elif name.startswith("AWS_"):
            yield f"{name} is set"


def examination(session: boto3.Session, stack: str) -> Iterator[str]:
    """What `sensorstream doctor` says."""
    yield examine(session, stack, probe=False).as_text()


def parameters(session: boto3.Session, stack: str) -> Iterator[str]:
    """Of the stacks of the deployment."""
    client = session.client("cloudformation")
    for name in (stack, f"{stack}-service"):
        for found in client.describe_stacks(StackName=name)["Stacks"]:
            for each in found.get("Parameters", []):
                yield f"{name} {each['ParameterKey']}={each.get('ParameterValue', '')}"


def consumer(url: str | None) -> Iterator[str]:
    """Health, shards and those metrics that are not 0."""
    if not url:
        yield "CONSUMER_URL is not set: of a deployment, the examination and the log say how its tasks are"
        return
    yield _get(f"{url}/healthz").strip()
    for shard in json.loads(_get(f"{url}/shards"))["shards"]:
        yield json.dumps(shard)
    for line in _get(f"{url}/metrics").splitlines():
        if not line.startswith("#") and not line.endswith((" 0.0", " 0")) and "_bucket{" not in line:
            yield line


def _get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - the caller's own consumer
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:  # /healthz tells with 503 what is wrong
        with error:
            return error.read().decode()


def local_logs(folder: Path) -> Iterator[str]:
    """The last lines of each log of a checkout's local stack."""
    for path in sorted(folder.glob("*.log")):
        yield f"### {path.name}"
        with path.open(errors="replace") as lines:
            yield from (line.rstrip("\n") for line in deque(lines, LINES))


def task_log(session: boto3.Session, stack: str) -> Iterator[str]:
    """The last lines that the tasks have written within the hour."""
    client: Any = session.client("logs")
    since = int((datetime.now(UTC).timestamp() - 3600) * 1000)
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=f"/sensorstream/{stack}/consumer", startTime=since
    )
    yield from deque((event["message"].rstrip("\n") for page in pages for event in page["events"]), LINES)
