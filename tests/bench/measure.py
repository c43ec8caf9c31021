"""All figures of one run, as one document of JSON."""

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.local.process import ROOT
from tests.bench import paths, programs, stages, tasks
from tests.bench.effort import Effort
from tests.bench.paths import Say
from tests.bench.system import PYTHON, Servers

REFERENCE = "500"
"""Records in a delivery of the figures that the summary compares: the default fetch size."""


def measure(effort: Effort, say: Say) -> dict[str, Any]:
    """Runs everything; `say` gets a line for each part."""
    found: dict[str, Any] = {"machine": machine(), "effort": effort.name}
    with Servers() as servers:
        found["python"] = paths.deliveries(servers, effort, say)
        found["batches"] = paths.variants(servers, effort, ("ours", "sample_like"), per_record=10)
        found["async_kinesis"] = paths.consume_only(servers, effort)
        say(f"async-kinesis: {found['async_kinesis']['median']} us")
        found["stages"] = stages.stages(servers, effort)
        found["shards"] = paths.shards(servers, effort, say)
        found["archive_bytes"] = paths.archive_bytes(servers, effort)
        found["programs"] = programs.lines_per_second(servers, effort)
        say(f"programs: {found['programs']}")
    with Servers(tls=True) as servers:
        found["tls"] = paths.variants(servers, effort, ("ours", "sample_like"))
    found |= whole_task(effort, say)
    found = json.loads(json.dumps(found))  # as it is kept, with names for numbers
    return found | {"summary": summary(found)}


def whole_task(effort: Effort, say: Say) -> dict[str, Any]:
    """What needs the real daemon."""
    found: dict[str, Any] = {}
    with Servers() as servers:
        found["task"] = tasks.draining(servers, effort, say)
        found["drain"] = {str(each): tasks.drain(servers, effort, each) for each in (1, 10)}
        say(f"drain: {found['drain']}")
        found["catch_up"] = tasks.catch_up(servers, effort)
        say(f"one shard catches up at {found['catch_up']} times its rate")
        modes = {"polling": "POLLING", "fanout": "FANOUT"}
        found["latency"] = {name: tasks.latency(servers, effort, mode, say) for name, mode in modes.items()}
        found["idle_percent"] = tasks.idle(servers, effort)
        say(f"idle: {found['idle_percent']} % of a core")
        found["live_us"] = tasks.live(servers, effort)
        say(f"live: {found['live_us']} us")
        found["recovery_s"] = tasks.recovery(servers, effort)
    return found


def machine() -> dict[str, Any]:
    """What it was measured on, and what was."""
    revision = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(revision, cwd=ROOT, capture_output=True, text=True, check=True)
    version = subprocess.run([PYTHON, "--version"], capture_output=True, text=True, check=True)
    return {
        "processor": _line("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_gb": round(int(_line("/proc/meminfo", "MemTotal").split()[0]) / 2**20),
        "python": version.stdout.split()[1],
        "commit": commit.stdout.strip(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def _line(path: str, name: str) -> str:
    """What stands behind the first `name:` of a file."""
    lines = (line.partition(":") for line in Path(path).read_text().splitlines())
    return next((value.strip() for found, _, value in lines if found.strip() == name), "")


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """The last line of `make bench`."""
    python = {name: (sizes.get(REFERENCE) or sizes["100"])["median"] for name, sizes in found["python"].items()}
    task = {name: figures["us"]["median"] for name, figures in found["task"].items()}
    shards = found["shards"]
    few, many = min(shards, key=int), max(shards, key=int)
    return {
        "python_us": python,
        "task_us": task,
        "ratios": {
            "python_vs_sample": round(python["sample_like"] / python["ours"], 2),
            "python_vs_seed": round(python["seed_like"] / python["ours"], 1),
            "task_vs_sample": round(task["sample_like"] / task["ours"], 2),
        },
        "mb_per_extra_shard": round((shards[many]["mb"] - shards[few]["mb"]) / max(1, int(many) - int(few)), 3),
        "cpu_growth_1_to_128": round(shards[many]["us"]["median"] / shards[few]["us"]["median"] - 1, 3),
        "latency_s": {mode: _latency(each) for mode, each in found["latency"].items()},
        **({"live_us": found["live_us"]} if "live_us" in found else {}),
        "recovery_s": found["recovery_s"]["median"],
        "drain_readings_s_per_core": found["drain"]["1"]["readings_s"],
        "drain_readings_s_per_core_batched": found["drain"]["10"]["readings_s"],
        "archive_bytes_per_reading": found["archive_bytes"],
        "catch_up": found["catch_up"],
        "idle_percent": found["idle_percent"],
        "programs_lines_s": found["programs"],
    }


def _latency(rates: dict[str, Any]) -> dict[str, Any]:
    """The percentiles at the highest rate, and of every rate by its readings a second."""
    return {**rates[max(rates, key=int)], "by_rate": rates}
