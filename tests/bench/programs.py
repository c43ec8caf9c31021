"""The operator's commands: lines of the archive that audit, replay and redrive read, per second of their CPU time."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from consumer.archive.format import DEAD_LETTERS, READINGS
from consumer.archive.writer import RotationPolicy
from consumer.payload.contracts import DEFAULT
from consumer.pipeline.decoding import decode_all
from consumer.record import Record
from consumer.telemetry.metrics import Metrics
from infra.local.process import ROOT
from tests.bench.effort import Effort
from tests.bench.paths import PAST_MS
from tests.bench.recorded import records
from tests.bench.system import Servers
from tests.component.recovery import packed

STACK, BUCKET, STREAM = "bench", "archive", "bench-1-programs"
SHARD = "shardId-000000000000"
ROTATION = RotationPolicy(records=10_000, size=8 << 20, window_ms=60_000)
DEAD_EVERY = 20
"""One record in so many is malformed, for redrive."""
NOTHING = ["--to", "2001-01-01"]
"""A span without lines: what starting the command costs."""
MOMENT = 0.01
"""Seconds; less cannot be told from starting."""
NOTHING_CODES = (0, 2, 3)
"""What the commands answer to that."""
COMMANDS = {
    "audit": ["audit", "--no-stream"],
    "replay_to_table": ["replay", "--to-table"],
    "replay_to_stream": ["replay", "--to-stream", "bench-1-replay"],
    "redrive": ["redrive", "--send"],
}


def lines_per_second(servers: Servers, effort: Effort) -> dict[str, int]:
    """Lines per second of CPU time, by command; starting is left out."""
    _stack(servers)
    dead = _archive(servers, effort.lines)
    found = {}
    for name, arguments in COMMANDS.items():
        # Twice: the first may compile what it imports.
        start = [_cpu(servers, [*arguments, *NOTHING], NOTHING_CODES) for _ in range(2)][1]
        lines = dead if name == "redrive" else effort.lines
        found[name] = round(lines / max(MOMENT, _cpu(servers, arguments) - start))
    return found


def _stack(servers: Servers) -> None:
    """As much of a deployed stack as the commands ask for."""
    session = servers.emulator.session()
    session.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": servers.emulator.region}
    )
    outputs = dict.fromkeys(
        (
            "AlertTopicArn",
            "ApiFunction",
            "QueryUrl",
            "DevicePolicy",
            "WatchPolicy",
            "AlertFunction",
            "UndeliveredQueue",
            "ReadingsRule",
        ),
        "unused",
    ) | {
        "StreamName": STREAM,
        "SensorTable": "sensors",
        "RollupTable": "rollups",
        "ArchiveBucket": BUCKET,
        "IotEndpoint": "localhost",
        "TopicPattern": "device/{device}/devicePayload",
        "BasicIngest": "false",
        "AlertSource": "rule",
        "AlertField": "humidity",
        "AlertWhen": "below",
        "AlertThreshold": "35",
        "AlertMaxAge": "86400",
    }
    for name, value in outputs.items():
        session.client("ssm").put_parameter(Name=f"/sensorstream/{STACK}/{name}", Value=value, Type="String")


def _archive(servers: Servers, lines: int) -> int:
    """Archive objects of the recorded input, made with the consumer's own code; returns the dead letters in it."""
    found = list(_records(lines))
    decoded = asyncio.run(decode_all(found, DEFAULT, Metrics()))
    s3 = servers.emulator.session().client("s3")
    for writer, _ in packed(SHARD, ROTATION, list(zip(found, decoded, strict=True)), 1, 0):
        made = writer.close()
        metadata = made.metadata.metadata()
        s3.put_object(Bucket=BUCKET, Key=READINGS + made.key, Body=made.body, Metadata=metadata)
        s3.put_object(Bucket=BUCKET, Key=DEAD_LETTERS + made.key, Body=made.dead_letters, Metadata=metadata)
    return sum(bool(each.rejected) for each in decoded)


def _records(lines: int) -> Iterator[Record]:
    for place, each in enumerate(records(1, lines, int(time.time() * 1000) - PAST_MS)):
        data = b"malformed" if place % DEAD_EVERY == 0 else each.data
        yield Record(data, each.key, str(each.sequence), 0, each.arrival)


def _cpu(servers: Servers, arguments: list[str], codes: tuple[int, ...] = (0,)) -> float:
    """Seconds of a command, which must end with one of these codes."""
    variables = servers.variables() | {
        "AWS_ENDPOINT_URL": servers.emulator.endpoint,
        "AWS_ENDPOINT_URL_DYNAMODB": servers.sink,
        "STACK_NAME": STACK,
    }
    command = [str(ROOT / ".venv/bin/python"), "-m", "producer", *arguments, "--json"]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        reported: Any = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in codes, reported.decode()
    return usage.ru_utime + usage.ru_stime
