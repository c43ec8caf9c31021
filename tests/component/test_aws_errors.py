"""Whatever is wrong with the AWS configuration: one line that names the fix, from every program, and no traceback."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest

import infra.__main__
import infra.registry
import producer.cli
from tests.component.misconfigured import CASES, base, refusing

PROGRAMS: dict[str, Callable[[], int]] = {
    "producer audit": lambda: producer.cli.main(["audit", "--stack", "s"]),
    "producer simulate": lambda: producer.cli.main(["simulate", "--stack", "s", "--devices", "1"]),
    "infra deploy": lambda: infra.__main__.main(["deploy", "--stack", "s", "--email", "a@example.org"]),
    "infra plan": lambda: infra.__main__.main(["plan", "--stack", "s", "--email", "a@example.org"]),
    "infra destroy": lambda: infra.__main__.main(["destroy", "--stack", "s", "--yes"]),
    "infra package": lambda: infra.__main__.main(["package", "--bucket", "b"]),
    "registry push": lambda: infra.registry.main(["push"]),
    "registry token": lambda: infra.registry.main(["token", "eu-central-1"]),
}

SLOW = ("container-refuses",)
"""botocore asks a container's address three times, a second apart, whatever it is told: one program is enough."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with refusing() as address:
        yield address


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, str]], None]]:
    """Makes the given variables the process's environment, but for what a program needs to run."""

    def become(environ: dict[str, str]) -> None:
        for name in list(os.environ):
            if name not in ("PATH", "LANG", "TMPDIR", "LOCAL_DIR"):
                monkeypatch.delenv(name)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        boto3.DEFAULT_SESSION = None

    yield become
    boto3.DEFAULT_SESSION = None


@pytest.mark.parametrize("case", CASES)
def test_every_program_names_the_fix(
    case: str,
    server: str,
    tmp_path: Path,
    only: Callable[[dict[str, str]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    environ, fix = CASES[case](tmp_path, server)
    only(base(tmp_path) | {"STACK": "s"} | environ)
    for name, program in list(PROGRAMS.items())[: 1 if case in SLOW else None]:
        boto3.DEFAULT_SESSION = None
        code = program()
        told = capsys.readouterr()
        lines = told.err.strip().splitlines()
        assert code in (1, 2), (name, told)
        assert re.search(fix, lines[-1]), (name, told.err)
        assert len(lines) <= 2, (name, told.err)  # deploy says first where it goes
        assert "planted" not in told.err.replace("AKIAPLANTED", ""), (name, told.err)


def test_no_region_is_named(
    tmp_path: Path, only: Callable[[dict[str, str]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    environ = base(tmp_path) | {"STACK": "s"}
    del environ["AWS_REGION"]
    only(environ)
    for name, program in PROGRAMS.items():
        if name != "registry token":  # which is given one
            boto3.DEFAULT_SESSION = None
            assert program() == 2
            assert "set AWS_REGION" in capsys.readouterr().err, name
