"""A limit of open files that is too low is raised as far as it goes, and named where it does not suffice."""

import os
import resource
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from consumer import descriptors
from producer.aws.errors import UserError
from producer.fleet.condition import Condition
from producer.fleet.ledger import Ledger
from producer.fleet.simulate import Simulator, Workload
from tests.unit.test_supervisor import FakeDaemon, Runs

ROOT = Path(__file__).parents[2]
SERVE = """
import asyncio, os, resource, sys
from pathlib import Path
from consumer.pipeline.listener import Listener
from consumer.pipeline.reads import Reads
from consumer.pipeline.shards import Shards
from consumer.pipeline.stall_detector import StallDetector
from tests.unit.fakes import World

async def main():
    components = World().components()
    limit = len(os.listdir("/proc/self/fd")) + int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    listener = Listener(Path(sys.argv[1]), Shards(StallDetector(10.0), Reads()), components)
    serving = asyncio.create_task(listener.serve(asyncio.Event()))
    while not os.path.exists(sys.argv[1]):
        await asyncio.sleep(0)
    print("ready", flush=True)
    await asyncio.wait([serving])
    print(repr(serving.exception().exceptions[0]), flush=True)
    os._exit(0)

asyncio.run(main())
"""


def limited(hard: int, code: str) -> str:
    """What a program prints that may not open more files than this."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 64), hard)),
    ).stdout.strip()


@pytest.mark.parametrize("hard", [64, 300, 1024])
def test_the_soft_limit_is_raised_to_the_hard_one(hard: int) -> None:
    code = "from consumer.descriptors import limit, raise_limit; print(limit(), raise_limit(), limit())"
    assert limited(hard, code) == f"64 {hard} {hard}"


def test_a_hard_limit_that_is_refused_is_approached(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS: no limit is named, and few are granted."""
    held = [256, resource.RLIM_INFINITY]

    def grant(_: int, wanted: tuple[int, int]) -> None:
        if wanted[0] > 10_240:
            raise ValueError
        held[0] = wanted[0]

    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(held))
    monkeypatch.setattr(resource, "setrlimit", grant)
    assert descriptors.raise_limit() == 10_240


@pytest.mark.parametrize("more", [6, 7, 8, 9, 10, 11])
def test_at_the_limit_the_cause_is_named(tmp_path: Path, more: int) -> None:
    """Whether it is the connector's socket that finds no room, or one of its pipes."""
    door = tmp_path / "door"
    with (
        subprocess.Popen(
            [sys.executable, "-c", SERVE, str(door), str(more)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as served,
        ExitStack() as stack,
    ):
        assert served.stdout
        assert served.stdout.readline() == "ready\n"
        for _ in range(6):
            connector = stack.enter_context(socket.socket(socket.AF_UNIX))
            pipes = [os.pipe(), os.pipe()]
            for pipe in pipes:
                for end in pipe:
                    stack.callback(os.close, end)
            with suppress(OSError):  # it has ended meanwhile
                connector.connect(str(door))
                socket.send_fds(connector, [b"\0"], [pipes[0][0], pipes[1][1]])
        reported = served.stdout.readline()
    assert reported.startswith("TooFewDescriptors('the limit of "), reported
    assert "raise it (ulimit -n" in reported


async def test_it_ends_the_service_instead_of_one_daemon_after_another() -> None:
    runs = Runs(FakeDaemon())
    running = runs.run()
    await runs.started(1)
    runs.listener.failures.put_nowait(descriptors.too_many_shards(340))
    with pytest.raises(descriptors.TooFewDescriptors, match="340 shards are open"):
        await running


def test_a_fleet_that_is_too_large_for_it_is_refused_before_it_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (300, 300))
    stack: Any = SimpleNamespace(name="s", alerts=Condition(), topics=[])
    with (
        Ledger(None) as ledger,
        pytest.raises(UserError, match=r"limit of 300 open files has room for 200; raise it"),
    ):
        Simulator(stack, Workload(devices=201, rate=10.0), ledger)
