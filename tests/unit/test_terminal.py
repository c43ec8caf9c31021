"""Ctrl-C at a terminal on which make runs a command."""

import os
import pty
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.process import ROOT

COMMAND = """
import signal, sys
from infra.local.terminal import foreground
{begin}
try:
    print("waiting", flush=True)
    signal.pause()
except KeyboardInterrupt:
    print("ended well", flush=True)
{end}
sys.exit(0)
"""


def said(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            found = os.read(terminal, 1024)
        except OSError:  # the other end is closed
            return
        if not found:
            return
        yield found


def ended(tmp_path: Path, begin: str, end: str) -> int:
    """Status of a make whose command is interrupted by Ctrl-C, by waitpid."""
    (tmp_path / "command.py").write_text(COMMAND.format(begin=begin, end=end))
    (tmp_path / "Makefile").write_text(f"run:\n\t@exec {sys.executable} {tmp_path}/command.py\n")
    process, terminal = pty.fork()
    if process == 0:
        os.environ["PYTHONPATH"] = str(ROOT)
        os.execvp("make", ["make", "-s", "-C", str(tmp_path), "run"])  # noqa: S606
    text = b""
    for found in said(terminal):
        text += found
        if b"waiting" in text:
            os.write(terminal, b"\x03")
            break
    for found in said(terminal):
        text += found
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    assert b"ended well" in text
    return status


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_ctrl_c_ends_the_command_and_not_the_make_around_it(tmp_path: Path) -> None:
    status = ended(tmp_path, "context = foreground(); context.__enter__()", "context.__exit__(None, None, None)")
    assert os.WIFEXITED(status)
    assert os.WEXITSTATUS(status) == 0


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_without_it_make_fails(tmp_path: Path) -> None:
    """What the module is there for: by the signal or with an exit code, as it meets make."""
    assert ended(tmp_path, "", "") != 0
