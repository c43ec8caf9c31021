"""The KCL daemon: starts it, reads its log, ends it.

The daemon is one Java process in a process group of its own, and the connectors that it starts in the same
group. It never outlives the service: java has a parent-death signal or a guard (parent_death.py), connectors see
the end of their sockets.
"""

import asyncio
import contextlib
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from consumer.kcl.daemon_config import CONNECTOR, HERE, PROPERTIES, java_command, kcl_properties
from consumer.kcl.daemon_log import BatchSkipped, DaemonLog, FailedRead, Lines
from consumer.settings import Settings

READ_BYTES = 1 << 18
DEATH_SIGNAL = sys.platform == "linux"
"""Whether the kernel can end java with the service; elsewhere (macOS) a small process waits for the end of a pipe."""

log = logging.getLogger("kcl")


class Daemon:
    """One KCL daemon at a time; `start` again after `wait` has returned.

    Its log is read by the event loop and logged again as `kcl`. A line that says that a batch may have been
    skipped kills the daemon at once.
    """

    def __init__(
        self,
        settings: Settings,
        java: Path,
        socket_path: Path,
        run_dir: Path,
        environment: Callable[[Mapping[str, str]], Mapping[str, str]],
        on_failed_read: FailedRead = lambda shard, reason, text: None,
    ) -> None:
        """`environment` returns the daemon's environment, with its credentials, for that of the service."""
        self._settings = settings
        self._java = java
        self._socket_path = socket_path
        self._run_dir = run_dir
        self._environment = environment
        self._new_log = partial(DaemonLog, on_failed_read)
        self._log = self._new_log()
        self._pipes: dict[int, Lines] = {}
        self._end: asyncio.Task[int] | None = None
        self.pid: int | None = None
        self.since = time.monotonic()
        """When the daemon was started, or ended, whichever was last."""

    @property
    def phase(self) -> str:
        """The step that the daemon is at while it starts, for people."""
        return self._log.phase

    @property
    def undeliverable(self) -> list[bytes]:
        """The records that this daemon could not de-aggregate, to be removed once they are durable; a new daemon will
        report the others."""
        return self._log.undeliverable

    async def start(self) -> None:
        """Starts the process; returns before it does anything. Raises OSError when it cannot be started."""
        assert self.pid is None, "the daemon runs"  # noqa: S101
        self._log = self._new_log()
        self._write_files()
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(
                    sys.executable,
                    "-I",
                    "-S",
                    str(HERE / "parent_death.py"),
                    str(os.getpid()) if DEATH_SIGNAL else "stdin",
                ),
                *java_command(self._java, self._settings.java_heap_mb),
                stdin=asyncio.subprocess.DEVNULL if DEATH_SIGNAL else asyncio.subprocess.PIPE,
                stdout=out_end,
                stderr=err_end,
                cwd=self._run_dir,
                env={
                    **self._environment(os.environ),
                    "AWS_REGION": self._settings.aws_region,
                    "LC_ALL": "C.UTF-8",
                },
                start_new_session=True,
            )
        except BaseException:
            os.close(out)
            os.close(err)
            raise
        finally:
            os.close(out_end)
            os.close(err_end)
        self.pid, self.since = process.pid, time.monotonic()
        self._open_pipes(out, err)
        self._end = asyncio.create_task(self._ended(process))

    async def wait(self) -> int:
        """Returns the exit code (negative: the signal) once the daemon and its connectors are gone."""
        assert self._end is not None, "start first"  # noqa: S101
        return await asyncio.shield(self._end)

    def terminate(self) -> None:
        """Asks for a graceful end: every shard gets `shutdownRequested`. Harmless when the daemon is gone."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Ends java and its connectors at once. Harmless when they are gone."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def drain_log(self) -> None:
        """Reads what is in the log now, without waiting; raises BatchSkipped if it forbids checkpoints.

        The daemon logs synchronously: its lines about a batch are in the pipe before the next batch is delivered.
        """
        for pipe in list(self._pipes):
            self._read(pipe)
        self._log.flush()
        if self._log.skipped:
            raise BatchSkipped(self._log.skipped)

    def gone(self, shard: str) -> bool:
        """Whether Kinesis has answered the KCL that the shard, or its registered consumer, does not exist. Reads the
        log first, as `drain_log`."""
        self.drain_log()
        return shard in self._log.gone

    def _write_files(self) -> None:
        self._run_dir.mkdir(parents=True, exist_ok=True)
        (self._run_dir / PROPERTIES).write_text(kcl_properties(self._settings), encoding="latin-1")
        command = [sys.executable, "-I", "-S", str(HERE / "connector.py"), str(self._socket_path)]
        (self._run_dir / CONNECTOR).write_text(f"exec {shlex.join(command)}\n")

    def _open_pipes(self, out: int, err: int) -> None:
        # Two pipes, since long lines of two writers to one pipe would mix.
        self._pipes = {out: Lines(self._log.line), err: Lines(self._log.plain_line)}
        for pipe in self._pipes:
            os.set_blocking(pipe, False)
            asyncio.get_running_loop().add_reader(pipe, self._read, pipe)

    def _read(self, pipe: int) -> None:
        skipped_before = self._log.skipped
        while True:
            try:
                data = os.read(pipe, READ_BYTES)
            except BlockingIOError:
                break
            if not data:
                self._close(pipe)
                break
            self._pipes[pipe].feed(data)
        if self._log.skipped and not skipped_before:
            log.critical("the daemon may have skipped a batch; killed", extra={"event": self._log.skipped})
            self.kill()

    def _close(self, pipe: int) -> None:
        asyncio.get_running_loop().remove_reader(pipe)
        del self._pipes[pipe]
        os.close(pipe)

    async def _ended(self, process: asyncio.subprocess.Process) -> int:
        code = await process.wait()
        group, self.pid, self.since = process.pid, None, time.monotonic()
        for pipe in list(self._pipes):
            self._read(pipe)
        for pipe in list(self._pipes):
            self._close(pipe)
        self._log.flush(end=True)
        await _end_group(group)
        return code


async def _end_group(group: int) -> None:
    """Kills the remaining connectors, and reaps them where they became children of this process (as PID 1)."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
    while True:
        try:
            reaped, _ = os.waitpid(-group, os.WNOHANG)  # noqa: ASYNC222  # does not wait
        except ChildProcessError:
            return
        if not reaped:
            await asyncio.sleep(0.01)
