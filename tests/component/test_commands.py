"""Every command of every program fails alike: one line on stderr, one table of exit codes, no traceback."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.local.emulator import Emulator
from tests.component.commands import ALL, MODULES, Walked
from tests.component.misconfigured import CASES, KEYS, base, refusing
from tests.conftest import Deployed

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"sensorstream: [^\n]+\n")
SERVES = {"console"}  # and has no result
PRINTS_TEXT = {"completion", "token"}  # which is its result
REPORTS = {"doctor": 1, "bug-report": 0}
"""They report what fails, which ends others with 2."""

every = pytest.mark.parametrize("command", ALL, ids=str)
asking = pytest.mark.parametrize("command", [each for each in ALL if each.asks_aws], ids=str)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Makes the given variables the environment, but for what a program needs to run."""

    def become(environ: dict[str, str]) -> None:
        for name in list(os.environ):
            if name not in ("PATH", "LANG", "TMPDIR", "LOCAL_DIR"):
                monkeypatch.delenv(name)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)

    return become


def started(command: Walked, words: list[str], environ: dict[str, str], out: int) -> "subprocess.Popen[str]":
    program = [sys.executable, "-m", MODULES[command.program], *words]
    environ = {"PATH": os.environ["PATH"], **environ}
    return subprocess.Popen(program, cwd=ROOT, env=environ, stdout=out, stderr=subprocess.PIPE, text=True)


@every
def test_what_a_command_finds_or_does_is_json_too(command: Walked) -> None:
    told = any("--json" in option.opts for option in command.options)
    assert told != (command.path[-1] in SERVES | PRINTS_TEXT)


@every
def test_a_misspelt_option_is_refused_with_the_right_one(
    command: Walked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {name for option in command.options for name in option.opts}
    for name in known:
        if name[:-1] not in known:
            assert command.run([*command.words(tmp_path), name[:-1]]) == 2
            reported = capsys.readouterr().err
            assert LINE.fullmatch(reported), reported
            assert f"'{name}'" in reported
            assert "--help)" in reported


@every
def test_a_wrong_value_of_any_option_is_one_line(
    command: Walked,
    tmp_path: Path,
    only: Callable[[dict[str, str]], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where any text is good, there is still no AWS."""
    only(base(tmp_path))
    monkeypatch.chdir(tmp_path)  # where bug-report may write
    for option in command.options:
        if option.is_flag or not command.asks_aws:
            continue
        code = command.run([*command.words(tmp_path), f"{option.opts[0]}=?!"])
        reported = capsys.readouterr().err
        if not (code == REPORTS.get(command.path[-1]) and not reported):
            assert code == 2, (option.opts, reported)
            assert LINE.fullmatch(reported), (option.opts, reported)


@asking
@pytest.mark.parametrize("case", ["no-region", "none", "half-a-key", "nothing-listens", "denied", "no-aws"])
def test_without_aws_it_is_one_line_with_the_fix(
    command: Walked,
    case: str,
    tmp_path: Path,
    only: Callable[[dict[str, str]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with refusing() as server:
        environ, fix = CASES[case](tmp_path, server) if case in CASES else ({}, "set AWS_REGION")
        environ = base(tmp_path) | environ
        if case == "no-region":
            del environ["AWS_REGION"]
            if command.path == ("token",):
                return  # it is given one
        only(environ)
        code = command.run(command.words(tmp_path))
    told = capsys.readouterr()
    if (reports := REPORTS.get(command.path[-1])) is not None:
        assert (code, told.err) == (reports, "")
        assert re.search(fix, told.out if reports else (tmp_path / "written").read_text())
    else:
        assert code == 2, told
        assert LINE.fullmatch(told.err), told.err
        assert re.search(fix, told.err), told.err
    assert "planted" not in told.err + told.out


@pytest.mark.parametrize("command", [each for each in ALL if each.asks_aws and each.program != "infra"], ids=str)
def test_a_stack_that_is_not_there_is_named(
    command: Walked,
    emulator: Emulator,
    tmp_path: Path,
    only: Callable[[dict[str, str]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    only(emulator.variables())
    code = command.run(command.words(tmp_path))
    told = capsys.readouterr()
    if (reports := REPORTS.get(command.path[-1])) is not None:
        assert (code, told.err) == (reports, "")
        assert "no stack 's' here" in told.out + ((tmp_path / "written").read_text() if not reports else "")
    else:
        assert code == 2
        assert LINE.fullmatch(told.err), told.err
        assert "no stack 's' here" in told.err


@pytest.fixture
def silent() -> Iterator[tuple[str, socket.socket]]:
    """The address of a server that answers nothing, and the server."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        yield f"http://127.0.0.1:{server.getsockname()[1]}", server


@asking
def test_ctrl_c_ends_it_with_130(command: Walked, silent: tuple[str, socket.socket], tmp_path: Path) -> None:
    address, server = silent
    environ = base(tmp_path) | KEYS | {"AWS_ENDPOINT_URL": address}
    running = started(command, command.words(tmp_path), environ, subprocess.PIPE)
    with running, server.accept()[0]:
        running.send_signal(signal.SIGINT)
        told, reported = running.communicate(timeout=60)
    assert (running.returncode, told) == (130, "")
    assert "Traceback" not in reported
    assert reported.count("\n") == (command.program == "infra"), reported


@every
def test_help_that_nobody_reads_ends_silently(command: Walked, tmp_path: Path) -> None:
    assert unread(command, [*command.path, "--help"], base(tmp_path)) == (141, "")


@pytest.mark.parametrize("name", ["audit", "redrive", "query", "publish", "doctor", "bug-report"])
def test_a_result_that_nobody_reads_ends_silently(name: str, stack: Deployed, tmp_path: Path) -> None:
    [command] = [each for each in ALL if str(each) == f"sensorstream {name}"]
    words = [*command.words(tmp_path), "--stack", stack.name]
    assert unread(command, words, stack.variables) == (141, "")


def unread(command: Walked, words: list[str], environ: dict[str, str]) -> tuple[int, str]:
    """Exit code and stderr, with a stdout that the other side has closed."""
    read, write = os.pipe()
    os.close(read)
    with started(command, words, environ, write) as running:
        os.close(write)
        _, reported = running.communicate(timeout=60)
    return running.returncode, reported


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (["infra.local"], "usage: python -m infra.local"),
        (["infra.local", "dmeo"], "usage: python -m infra.local"),
        (["infra.local", "up", "--stack"], "--stack is not NAME=value"),
        (["infra.local", "up", "AWS_PROT=1"], "did you mean AWS_PORT?"),
        (["infra.local", "demo", "FOR=soon"], "FOR=soon is refused"),
        (["infra.local", "watch", "PROMETHEUS_PORT=x"], "PROMETHEUS_PORT=x is not a port"),
        (["consumer", "--chekc"], "unrecognized arguments: --chekc (see python -m consumer --help)"),
        (["consumer", "--check"], "STREAM_NAME"),
    ],
)
def test_programs_without_clicks_commands_refuse_alike(words: list[str], reported: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **base(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert all(LINE.fullmatch(line) for line in done.stderr.splitlines(keepends=True)), done.stderr
    assert reported in done.stderr


def test_settings_that_nobody_reads_end_silently(tmp_path: Path) -> None:
    names = {"STREAM_NAME": "events", "SENSOR_TABLE": "table", "ARCHIVE_BUCKET": "bucket", "PATH": os.environ["PATH"]}
    read, write = os.pipe()
    os.close(read)
    program = [sys.executable, "-m", "consumer", "--check"]
    with subprocess.Popen(program, cwd=ROOT, env=base(tmp_path) | names, stdout=write, stderr=subprocess.PIPE) as done:
        os.close(write)
        _, reported = done.communicate(timeout=60)
    assert (done.returncode, reported) == (0, b"")
