"""infra/image/push.sh into a registry in ECR's shape, under ECR's name; the engine is a stand-in (engine.py).

The token is that of GetAuthorizationToken. A real engine and a real registry: tests/image/test_push.py. That ECR takes
what GetAuthorizationToken gives as the password of the user AWS rests on AWS's documentation.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.deploy.image import token
from infra.local.process import ROOT
from tests.component.ecr import Registry
from tests.conftest import Deployed

HOST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
NAME = "sensorstream-imagerepository-abc123"
IMAGE = "sensorstream:1.0-abc-arm64"
ENGINES = ("docker", "buildah")


@pytest.fixture
def registry(stack: Deployed) -> Iterator[Registry]:
    with Registry(token(stack.session), {NAME}) as running:
        yield running


@pytest.fixture
def environ(stack: Deployed, registry: Registry, tmp_path: Path) -> dict[str, str]:
    """A shell in which `docker` and `buildah` are the stand-in; docker's engine answers where ~/engine exists."""
    programs, home, temporary = tmp_path / "bin", tmp_path / "home", tmp_path / "tmp"
    for folder in (programs, home, temporary):
        folder.mkdir()
    for engine in ENGINES:
        script = programs / engine
        script.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("engine.py")}" {engine} "$@"\n'
        )
        script.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
    own = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(home), "TMPDIR": str(temporary)}
    stand_in = {"STAND_IN_REGISTRY": registry.address, "STAND_IN_LOG": str(tmp_path / "log")}
    return kept | stack.variables | own | stand_in


def push(
    environ: dict[str, str], engine: str, repository: str = f"{HOST}/{NAME}"
) -> "subprocess.CompletedProcess[str]":
    if engine == "docker":
        Path(environ["HOME"], "engine").touch()
    command = [str(ROOT / "infra/image/push.sh"), IMAGE, repository]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_pushed_into_ecr_is_named_by_its_digest(
    environ: dict[str, str], registry: Registry, tmp_path: Path, engine: str
) -> None:
    done = push(environ, engine)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{HOST}/{NAME}@{registry.manifests[NAME, '1.0-abc-arm64']}\n"
    assert push(environ, engine).stdout == done.stdout, "once more: the tag is immutable, its content the same"
    assert registry.password not in (tmp_path / "log").read_text() + done.stderr, "no command line holds the token"
    assert [path.name for path in Path(environ["TMPDIR"]).rglob("*")] == [], "the token is kept nowhere"
    assert [path.name for path in Path(environ["HOME"]).rglob("*") if path.name != "engine"] == []


@pytest.mark.parametrize("engine", ENGINES)
def test_a_token_that_the_registry_refuses_is_reported(
    environ: dict[str, str], registry: Registry, engine: str
) -> None:
    registry.password = "another"  # as after twelve hours
    done = push(environ, engine)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"push: {HOST} refuses the token" in done.stderr
    assert registry.manifests == {}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_caller_without_a_token_gets_the_reason(environ: dict[str, str], registry: Registry, engine: str) -> None:
    done = push(environ | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, engine)
    assert (done.returncode, done.stdout) == (1, "")
    assert "http://127.0.0.1:9" in done.stderr
    assert f"push: no token for {HOST} (see above)" in done.stderr
    assert "Traceback" not in done.stderr
    assert registry.refused == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_what_the_registry_refuses_fails(environ: dict[str, str], engine: str) -> None:
    done = push(environ, engine, f"{HOST}/another")
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert "The repository with name 'another' does not exist" in done.stderr
