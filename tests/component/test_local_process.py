"""Starting and ending of the local stack's processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local.emulator import HOST, Emulator, free_port
from infra.local.process import ROOT, Child, LocalError

UP = [sys.executable, "-m", "infra.local", "up"]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@pytest.mark.parametrize("variable", ["AWS_PORT", "MQTT_PORT", "HTTP_PORT"])
def test_a_taken_port_is_one_line_that_names_its_variable(variable: str) -> None:
    with socket.create_server((HOST, 0)) as taken:
        ports = {name: str(free_port()) for name in ("AWS_PORT", "MQTT_PORT", "HTTP_PORT")}
        ports[variable] = str(taken.getsockname()[1])
        command = [*UP, *(f"{name}={port}" for name, port in ports.items())]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.count("\n") == 1
    assert f"{variable}=" in found.stderr


def test_an_emulator_listens_on_loopback_only_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Emulator(log=tmp_path / "log") as emulator:
        inodes = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, timeout=10).stdout
        for port in (emulator.aws_port, emulator.mqtt_port):
            assert [line.split()[3] for line in inodes.splitlines() if f":{port} " in line] == [f"{HOST}:{port}"]
    assert not listens(emulator.aws_port)
    assert not listens(emulator.mqtt_port)


def test_the_end_of_an_emulator_is_reported(tmp_path: Path) -> None:
    child = Child("the thing", [sys.executable, "-c", "print('why'); raise SystemExit(7)"], {}, tmp_path / "log")
    with pytest.raises(LocalError, match=r"the thing ended with code 7: why"):
        child.wait_until(lambda: False, 30)
    child.stop(1)


def test_a_process_dies_with_its_starter_even_when_that_is_killed(tmp_path: Path) -> None:
    port = free_port()
    program = f"""
import sys, time
from pathlib import Path
from infra.local.process import Child
Child("server", [sys.executable, "-m", "http.server", "--bind", "{HOST}", "{port}"], {{}}, Path(r"{tmp_path}/log"))
time.sleep(60)
"""
    starter = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    try:
        until(lambda: listens(port))
    finally:
        starter.kill()
        starter.wait()
    until(lambda: not listens(port))


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_during_start_stops_everything(presses: int) -> None:
    ports = {name: str(free_port()) for name in ("AWS_PORT", "MQTT_PORT", "HTTP_PORT")}
    command = [*UP, *(f"{name}={port}" for name, port in ports.items())]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: listens(int(ports["AWS_PORT"])))
    for _ in range(presses):
        process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (0, "")
    assert out.endswith("stopped\n")
    assert not any(listens(int(port)) for port in ports.values())


def test_what_a_process_leaves_behind_is_ended_and_collected(tmp_path: Path) -> None:
    leaves = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid)"
    child = Child("the thing", [sys.executable, "-c", leaves], {"PATH": os.environ["PATH"]}, tmp_path / "log")
    until(lambda: child.exit_code() is not None)
    assert not Path("/proc", (tmp_path / "log").read_text().strip()).exists()
    assert child.stop(1) == 0
