"""Whatever is wrong with the AWS configuration: one line that names the fix, from every program, and no traceback."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.credentials import SSOProvider
from botocore.tokens import SSOTokenProvider

import infra.__main__
import producer.cli
from tests.component.misconfigured import CASES, base, refusing

ROOT = Path(__file__).parents[2]

PROGRAMS: dict[str, Callable[[], int]] = {
    "producer audit": lambda: producer.cli.main(["audit", "--stack", "s"]),
    "producer simulate": lambda: producer.cli.main(["simulate", "--stack", "s", "--devices", "1"]),
    "infra deploy": lambda: infra.__main__.main(["deploy", "--stack", "s", "--email", "a@example.org"]),
    "infra plan": lambda: infra.__main__.main(["plan", "--stack", "s", "--email", "a@example.org"]),
    "infra destroy": lambda: infra.__main__.main(["destroy", "--stack", "s", "--yes"]),
    "infra package": lambda: infra.__main__.main(["package", "--bucket", "bucket"]),
    "infra push": lambda: infra.__main__.main(["push", "--stack", "s"]),
    "infra token": lambda: infra.__main__.main(["token", "eu-central-1"]),
}

SLOW = ("container-refuses",)
"""botocore asks a container's address three times, a second apart, whatever the answer: one program is enough."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with refusing() as address:
        yield address


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Makes the given variables the process's environment, but for what a program needs to run."""

    def become(environ: dict[str, str]) -> None:
        for name in list(os.environ):
            if name not in ("PATH", "LANG", "TMPDIR", "LOCAL_DIR"):
                monkeypatch.delenv(name)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)

    for provider in (SSOProvider, SSOTokenProvider):  # who have looked at HOME already
        monkeypatch.setattr(provider, "_SSO_TOKEN_CACHE_DIR", str(tmp_path / ".aws/sso/cache"))
    return become


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
        code = program()
        reported = capsys.readouterr()
        lines = reported.err.strip().splitlines()
        assert code in (1, 2), (name, reported)
        assert re.search(fix, lines[-1]), (name, reported.err)
        assert len(lines) <= 2, (name, reported.err)  # deploy says first where it goes
        assert "planted" not in reported.err.replace("AKIAPLANTED", ""), (name, reported.err)


@pytest.mark.parametrize("case", sorted(CASES.keys() - {"retry-mode", "attempts"}))  # it has its own
def test_the_consumer_names_the_fix(case: str, server: str, tmp_path: Path) -> None:
    environ, fix = CASES[case](tmp_path, server)
    names = {"STREAM_NAME": "events", "SENSOR_TABLE": "table", "ARCHIVE_BUCKET": "bucket", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-m", "consumer"],
        cwd=ROOT,
        env=base(tmp_path) | names | {"RUN_DIR": str(tmp_path / "run"), "HTTP_PORT": "0"} | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert re.search(fix, done.stderr), done.stderr
    assert "planted" not in done.stderr
    credentials = not environ.get("AWS_ENDPOINT_URL") and "HTTPS_PROXY" not in environ
    assert not (credentials and "STREAM_NAME" in done.stderr), "it is not about the stream"


def test_no_region_is_named(
    tmp_path: Path, only: Callable[[dict[str, str]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    environ = base(tmp_path) | {"STACK": "s"}
    del environ["AWS_REGION"]
    only(environ)
    for name, program in PROGRAMS.items():
        if name != "infra token":  # which is given one
            assert program() == 2
            assert "set AWS_REGION" in capsys.readouterr().err, name
