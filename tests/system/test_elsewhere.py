"""A consumer beside the local stack, with only the files that are written for it: compose.yaml without containers."""

import json
import os
import subprocess
import sys
from pathlib import Path

from infra.local.emulator import free_port
from infra.local.process import ROOT, Child
from infra.local.stack import health
from tests.system.conftest import wait_for


def shell(command: str, folder: Path, **more: str) -> list[str]:
    """A command with the variables of the stack's file, as a person's shell has them."""
    given = " ".join(f"{name}={value}" for name, value in more.items())
    return ["bash", "-c", f"source {folder}/env; {f'export {given}; ' if given else ''}exec {command}"]


def test_it_consumes_in_its_tasks_role(tmp_path: Path) -> None:
    """The stack runs in a folder of its own: another one runs in this process."""
    port, path = free_port(), {"PATH": os.environ["PATH"]}
    ports = [f"AWS_PORT={free_port()}", f"MQTT_PORT={free_port()}", f"HTTP_PORT={port}"]
    up = [sys.executable, "-m", "infra.local", "up", "STACK=elsewhere", "PARAMS=ShardCount=1", "CONSUMER=no", *ports]
    state = tmp_path / "state"
    stack = Child("the stack", up, path | {"LOCAL_DIR": str(state)}, tmp_path / "stack.log")
    try:
        stack.wait_until((state / "consumer/env").exists, 60)
        # What the image itself sets, and what is a port of the container's own there.
        own = {"RUN_DIR": str(tmp_path), "TMPDIR": str(tmp_path), "HTTP_HOST": "127.0.0.1", "HTTP_PORT": str(port)}
        command = shell(f"{sys.executable} -m consumer", state / "consumer", **own)
        consumer = Child("the consumer", command, path, tmp_path / "consumer.log")
        try:
            consumer.wait_until(lambda: health(f"http://127.0.0.1:{port}")[0], 180)
            as_client = {"AWS_PROFILE": "client"}
            subprocess.run(
                shell(f"{sys.executable} -m producer publish greenhouse-7 41.5 41.7", state, **as_client),
                cwd=ROOT, env=path, check=True, timeout=60,
            )  # fmt: skip
            query = shell(f"{sys.executable} -m producer query greenhouse-7 --json", state, **as_client)

            def rows() -> int:
                found = subprocess.run(query, cwd=ROOT, env=path, capture_output=True, check=True, timeout=60)
                return int(json.loads(found.stdout)["Count"])

            wait_for(lambda: rows() == 2, "both rows")
        finally:
            assert consumer.stop(120) == 0
    finally:
        assert stack.stop(120) == 0
