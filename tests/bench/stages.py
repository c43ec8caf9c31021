"""Where the Python path's time goes: the running service sampled by py-spy, each sample counted for one stage."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.effort import Effort
from tests.bench.paths import Parts, fed
from tests.bench.system import BENCH_PYTHON, Servers, Service

RATE = 250
"""Samples a second."""
STAGES = (
    ("archive: compression", r"archive/compression"),
    ("archive: line", r"consumer/archive/"),
    ("decode by contract", r"consumer/payload/(?!times)|consumer/pipeline/decoding"),
    ("rows: sign", r"botocore/auth|botocore/signers|aws/signature|\(hmac\.py"),
    ("rows: body", r"sinks/(table|rows)|payload/times|botocore/serialize|json/encoder"),
    (
        "rows: send and answer",
        r"botocore|aiohttp|consumer/aws|httptools|consumer/sinks/dynamodb|selector_events|sslproto",
    ),
    ("protocol", r"consumer/kcl/protocol|asyncio/streams|unix_events"),
    ("metrics and statistics", r"consumer/telemetry|prometheus_client|sinks/statistics|sinks/devices|sinks/cloudwatch"),
    ("pipeline", r"consumer/pipeline"),
)
"""Stages, each with what a frame of it looks like; the innermost frame that looks like any counts."""
_PATTERNS = [(name, re.compile(pattern)) for name, pattern in STAGES]


def pyspy() -> str:
    """The sampler of the bench's environment."""
    found = BENCH_PYTHON.with_name("py-spy")
    if not found.exists():
        sys.exit("py-spy is missing: make .bench/ready")
    return str(found)


def record(servers: Servers, effort: Effort, kind: str, out: Path) -> float:
    """Samples the service under deliveries of 500 into a file of py-spy's `kind`; returns us of CPU per reading."""
    parts, readings = Parts(), effort.readings[500]
    with Service(servers, 1) as service:
        service.feed(**parts.next(effort.warm_up, 100))
        options = ["--rate", str(RATE), "--duration", str(effort.profile_seconds), "--threads", "--nonblocking"]
        command = [pyspy(), "record", *options, "--format", kind, "--output", str(out), "--pid", str(service.pids[0])]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as sampler:
            costs = fed(servers, service, readings, 500, parts, effort.profile_seconds)
            sampler.wait()
    return median(costs)


def stages(servers: Servers, effort: Effort) -> dict[str, Any]:
    """us of CPU per reading by stage, at deliveries of 500."""
    out = servers.folder / "stacks"
    us = record(servers, effort, "raw", out)
    counts: Counter[str] = Counter()
    for line in out.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        if "MainThread" in stack.partition(";")[0]:  # the others of the service wait
            counts[stage(stack.split(";"))] += int(count)
    total = counts.total()
    return {name: round(us * count / total, 2) for name, count in counts.most_common()}


def stage(frames: list[str]) -> str:
    """The stage of a stack of frames, the innermost last."""
    for frame in reversed(frames):
        for name, pattern in _PATTERNS:
            if pattern.search(frame):
                return name
    return "event loop"
