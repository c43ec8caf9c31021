"""Child processes of the local stack: logged, waited for, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from consumer.kcl import parent_death

ROOT = Path(__file__).resolve().parents[2]
LOCAL = Path(os.environ.get("LOCAL_DIR") or ROOT / ".local")
"""Names, logs and device credentials of the running stack; LOCAL_DIR moves it."""


class LocalError(Exception):
    """Why the local stack cannot run, in one line that says what to do."""


class Running(ABC):
    """Runs while it is entered; what fails to start is stopped."""

    @abstractmethod
    def start(self) -> None:
        """Returns when it is ready; raises LocalError."""

    @abstractmethod
    def stop(self) -> None:
        """Returns when it has ended, however far it came."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Child:
    """One guarded process with its descendants (see consumer/kcl/parent_death.py); its output goes to `log`."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path, cwd: Path = ROOT) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        guard = [sys.executable, "-I", "-S", parent_death.__file__, "stdin"]
        with log.open("wb") as out:
            self._guard = subprocess.Popen(
                [*guard, *command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id of the guard, which is also the id of the process group."""
        return self._guard.pid

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._guard.poll()

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Ask until ready; LocalError when the process ends or the time is over, with the last line of its log."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.exit_code() is not None:
                raise LocalError(f"{self.name} ended with code {self.exit_code()}: {self._last_line()}")
            if time.monotonic() > deadline:
                raise LocalError(f"{self.name} is not ready after {seconds:g} s; see {self.log}")
            time.sleep(0.05)

    def _last_line(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return f"{lines[-1]} (see {self.log})" if lines else f"see {self.log}"

    def stop(self, seconds: float) -> int:
        """SIGTERM, wait up to `seconds`, then SIGKILL for what is left of the group. Returns the exit code."""
        try:
            self._guard.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._guard.wait(seconds)
        finally:
            with suppress(ProcessLookupError):  # nothing is left, as it should be
                os.killpg(self.pid, signal.SIGKILL)
            self._guard.wait()
            if self._guard.stdin:
                self._guard.stdin.close()
        return self._guard.returncode
