"""A terminal with a shell in it: what is typed, what is shown, Ctrl-C."""

import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.system.conftest import wait_for

SHELL = "import pty; pty.spawn(['bash', '--noprofile', '--norc', '--noediting', '-i'])"
BEGIN = """stty -echo cols 160 rows 50; PS1= PS2= PROMPT_COMMAND='printf "\\n<ready>\\n"'; \
trap 'printf "\\n<code $?>\\n"' ERR"""
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal:
    """Entered, it has a shell; left, the shell and what runs in it get SIGHUP, as when a window is closed."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", SHELL]
        self._shell = subprocess.Popen(command, cwd=folder, env=dict(env), stdin=pipe, stdout=pipe, bufsize=0)
        self._bytes = b""
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        self._keys(f"{BEGIN}\n")
        self.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.terminate()
        self._shell.wait(20)
        self._reader.join(20)
        for pipe in (self._shell.stdin, self._shell.stdout):
            assert pipe
            pipe.close()

    def begin(self, script: Path) -> None:
        """Has the shell do what stands in a file, as if it was typed."""
        self._bytes = b""
        self._keys(f". {script}\n")

    def wait(self, seconds: float = 120) -> None:
        """Until the shell has nothing to do."""
        wait_for(lambda: self.ready, f"end of the commands, which show\n{self.shown}\n", seconds)

    def interrupt(self) -> None:
        """Ctrl-C, until the shell has nothing to do."""
        self._keys("\x03")
        self.wait()

    @property
    def ready(self) -> bool:
        """Whether the shell has nothing to do."""
        return "\n<ready>\n" in self.shown

    @property
    def failed(self) -> bool:
        """Whether a command has ended with another exit code than 0."""
        return "\n<code " in self.shown

    @property
    def shown(self) -> str:
        """What has come since the commands began, without colours and movements of the cursor."""
        return CONTROL.sub("", self._bytes.decode(errors="replace"))

    def _keys(self, keys: str) -> None:
        assert self._shell.stdin
        self._shell.stdin.write(keys.encode())

    def _read(self) -> None:
        assert self._shell.stdout
        while found := self._shell.stdout.read(65536):
            self._bytes += found
