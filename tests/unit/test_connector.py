"""The connector: passes its pipes, lives as long as the socket, fails loudly when there is no listener."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from consumer.kcl import connector


def start(path: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", str(Path(connector.__file__)), str(path)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)


def test_it_hands_over_its_pipes_and_ends_with_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "with space.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with start(path) as process:
            assert process.stdin
            assert process.stdout
            service, _ = listener.accept()
            _, (incoming, outgoing), _, _ = socket.recv_fds(service, 1, 2)
            process.stdin.write(b"initialize\n")
            process.stdin.flush()
            assert os.read(incoming, 100) == b"initialize\n"
            os.write(outgoing, b"status\n")
            assert process.stdout.readline() == b"status\n"
            assert process.poll() is None

            os.close(outgoing)
            assert process.stdout.read() == b"", "the connector holds no end of the pipe"
            process.stdin.close()
            assert os.read(incoming, 100) == b""
            os.close(incoming)
            assert process.poll() is None
            service.close()
            assert process.wait(30) == 0


def test_without_a_service_it_fails(tmp_path: Path) -> None:
    with start(tmp_path / "nobody.sock") as process:
        assert process.wait(30) == 1
        assert process.stderr
        assert b"FileNotFoundError" in process.stderr.read()
