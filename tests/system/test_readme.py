"""README's commands, as they stand there, against the running system."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.process import ROOT
from infra.local.stack import env_file
from tests.system.conftest import System

README = (ROOT / "README.md").read_text()
AWS = '''#!{python}
"""The aws command, as far as README uses it: aws [--profile P] SERVICE OPERATION --option value ..."""
import json, sys
import boto3
words = sys.argv[1:]
profile = words[1] if words[0] == "--profile" else None
service, operation, *options = words[2:] if profile else words
given = dict(zip(options[::2], options[1::2], strict=True))
limit = given.pop("--max-items", None)
names = {{"".join(part.title() for part in name[2:].split("-")): value for name, value in given.items()}}
client = boto3.Session(profile_name=profile).client(service)
paging = {{"MaxItems": int(limit)}} if limit else {{}}
pages = client.get_paginator(operation).paginate(**names, PaginationConfig=paging)
print(json.dumps(pages.build_full_result(), default=str))
'''


def block(beginning: str) -> list[str]:
    """The lines of README's shell block that begins so."""
    [found] = [text for text in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if text.startswith(beginning)]
    return [line for line in found.splitlines() if line]


@pytest.fixture
def shell(system: System, tmp_path: Path) -> dict[str, str]:
    """The environment of a new terminal on this machine, with an aws command."""
    aws = tmp_path / "aws"
    aws.write_text(AWS.format(python=sys.executable))
    aws.chmod(0o755)
    bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return bare | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "STACK_NAME": system.stack.options.name}


def run(shell: dict[str, str], *lines: str) -> subprocess.CompletedProcess[str]:
    script = "\n".join(["set -euo pipefail", *lines]).replace(".local/env", str(env_file()))
    command = ["bash", "-c", script]
    return subprocess.run(command, cwd=ROOT, env=shell, capture_output=True, text=True, timeout=300, check=False)


def test_the_commands_of_your_own_tools_work_in_their_order(shell: dict[str, str]) -> None:
    first, source, *commands = block("make up")
    assert (first.split()[:2], source.split()[:2]) == (["make", "up"], ["source", ".local/env"])
    assert len(commands) >= 6
    said = {}
    for command in commands:
        done = run(shell, source, command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        said[command.split(" #")[0].strip()] = done.stdout
    for command, output in said.items():
        if "sensorstream query" in command:
            assert output.count("soilSensor1") >= 10
        if "dynamodb scan" in command:
            assert output.count("SensorId") == 3
        if command.startswith("curl"):
            assert "sensorstream_lag_seconds" in output
        if "sensorstream audit" in command:
            assert "clean" in output
        if "sensorstream sql" in command:
            assert [int(line.split()[-1]) >= 1 for line in output.splitlines()[1:]].count(True) >= 3


@pytest.mark.parametrize("profile", ["client", "operator"])
def test_the_roles_may_what_is_said_of_them(shell: dict[str, str], profile: str) -> None:
    """The operator reads everything; the client does not scan the table."""
    [scan] = [line for line in block("make up") if "dynamodb scan" in line]
    done = run(shell, "source .local/env", scan.replace("--profile operator", f"--profile {profile}"))
    if profile == "operator":
        assert done.returncode == 0, done.stderr
    else:
        assert "AccessDenied" in done.stderr
