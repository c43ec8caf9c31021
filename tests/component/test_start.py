"""What a person sees when the service cannot start: one line that names the fix and an exit code, no traceback."""

import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.telemetry.metrics import VERSION
from tests.conftest import Deployed

ROOT = Path(__file__).parents[2]


def start(environ: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Exit code and stderr of `python -m consumer`; with arguments also what it prints."""
    base = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-m", "consumer", *arguments],
        cwd=ROOT,
        env=base | environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr + (done.stdout if arguments else "")


def last_line(text: str) -> str:
    assert "Traceback" not in text
    return text.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def environ(stack: Deployed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {
        **stack.variables,
        "STREAM_NAME": stack.outputs["StreamName"],
        "SENSOR_TABLE": stack.outputs["SensorTable"],
        "ARCHIVE_BUCKET": stack.outputs["ArchiveBucket"],
        "HTTP_PORT": "0",
        "RUN_DIR": str(tmp_path_factory.mktemp("run")),
    }


def test_a_missing_setting_is_named(environ: dict[str, str]) -> None:
    code, err = start(environ | {"STREAM_NAME": ""})
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("sensorstream: STREAM_NAME: ")


def test_a_bad_setting_is_named(environ: dict[str, str]) -> None:
    code, err = start(environ | {"INITIAL_POSITION": "LATEST"})
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("sensorstream: INITIAL_POSITION: ")


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_all_faults_are_reported_at_once(environ: dict[str, str], arguments: tuple[str, ...]) -> None:
    wrong = {
        "STREAM_NAME": "",
        "READING_CONTRACT": "a",
        "ARCHIVE_MAX_SECOND": "5",
        "HTTP_PORT": "many",
        "FAST_START": "yes",
    }
    code, err = start(environ | wrong, *arguments)
    assert code == 2
    assert [line.split(": ")[1] for line in err.splitlines()] == [
        "STREAM_NAME",
        "FAST_START",
        "HTTP_PORT",
        "ARCHIVE_MAX_SECOND",
        "READING_CONTRACT",
    ]
    assert "did you mean READING_CONTRACTS?" in err


def test_a_check_shows_the_settings_and_makes_no_request(environ: dict[str, str]) -> None:
    code, out = start(
        environ | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_SECRET_ACCESS_KEY": "planted"}, "--check"
    )
    assert code == 0
    assert f"STREAM_NAME={environ['STREAM_NAME']}\n" in out
    assert f"APPLICATION_NAME={environ['STREAM_NAME']}-consumer (derived)\n" in out
    assert "settings are set and fine" in out.splitlines()[-1]
    assert "planted" not in out


def test_help_version_and_unknown_arguments() -> None:
    code, text = start({}, "--help")
    assert code == 0
    assert "docs/settings.md" in text
    assert start({}, "--version") == (0, f"{VERSION}\n")
    for unknown in ("--chekc", "run"):
        code, text = start({}, unknown)
        assert code == 2
        assert "unrecognized arguments" in text


def test_a_missing_java_is_named(environ: dict[str, str], tmp_path: Path) -> None:
    code, err = start(environ | {"PATH": str(tmp_path), "JAVA": "", "JAVA_HOME": ""})
    assert code == 1
    assert last_line(err) == "sensorstream: java >= 17 not found: install one, or set JAVA to its path"


def test_a_java_that_was_chosen_and_is_none_is_named(environ: dict[str, str]) -> None:
    """Another one would be a silent choice."""
    code, err = start(environ | {"JAVA": "/bin/false"})
    assert code == 1
    assert last_line(err).startswith("sensorstream: JAVA=/bin/false is not a java >= 17: ")


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_host_is_not_blamed_on_the_port(environ: dict[str, str], host: str) -> None:
    code, err = start(environ | {"HTTP_HOST": host})
    assert code == 1
    assert last_line(err).startswith(f"sensorstream: HTTP_HOST: cannot listen on {host}:0: ")
    assert last_line(err).endswith("choose an address of this host")


def test_a_taken_port_is_named(environ: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, err = start(environ | {"HTTP_PORT": str(port)})
    assert code == 1
    assert last_line(err).startswith(f"sensorstream: HTTP_PORT: cannot listen on 127.0.0.1:{port}: ")


def test_an_unreachable_endpoint_is_named(environ: dict[str, str]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        endpoint = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        code, err = start(environ | {"AWS_ENDPOINT_URL_DYNAMODB": endpoint})
    assert code == 1
    assert last_line(err).startswith("sensorstream: SENSOR_TABLE: ")
    assert endpoint in err


@pytest.mark.parametrize("variable", ["SENSOR_TABLE", "ARCHIVE_BUCKET", "STREAM_NAME"])
def test_a_wrong_name_is_named(environ: dict[str, str], variable: str) -> None:
    code, err = start(environ | {variable: "not-there"})
    assert code == 1
    assert last_line(err).startswith(f"sensorstream: {variable}: not-there: ")


def test_a_folder_that_cannot_be_made_is_named(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, err = start(environ | {"RUN_DIR": str(tmp_path / "file" / "run")})
    assert code == 1
    assert last_line(err).startswith("sensorstream: RUN_DIR: ")


def test_a_folder_in_use_is_named(environ: dict[str, str]) -> None:
    with (Path(environ["RUN_DIR"]) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, err = start(environ)
    assert code == 1
    assert last_line(err).startswith(f"sensorstream: RUN_DIR: {environ['RUN_DIR']} is in use")
