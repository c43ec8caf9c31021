"""Runs a command that dies with the process that started it, even if that is killed by SIGKILL.

    python -I -S parent_death.py PARENT COMMAND ARGUMENT...
    python -I -S parent_death.py stdin COMMAND ARGUMENT...

With PARENT, its process id, it uses the kernel's parent-death signal (Linux only), which has to be requested in the
child, between fork and exec. `preexec_fn` would do, but runs Python in a fork of a process that may have threads; a
separate program has no such risk. `exec` keeps the signal and the process id.

With `stdin` it works on every system and for the command's descendants, too: this process stays as a guard. It must
lead a process group, and the parent holds the other end of its standard input and never writes. The local stack
(infra/local/process.py) uses this form.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def main(parent: str, command: list[str]) -> int:
    """The command's exit code (128 + n after signal n), or never returns; 1 and a line when it cannot be run."""
    try:
        if parent == "stdin":
            return _guard(command)
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):  # it has died already
            return 1
        os.execv(command[0], command)  # noqa: S606  # the service's own java
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 1


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) is refused")


def _guard(command: list[str]) -> int:
    """Forwards SIGTERM. When the parent dies, the group is killed; when the command ends, the rest of the group is.

    Remaining processes are reaped here, so that no zombies are left where init does not reap them.
    """
    if sys.platform == "linux":
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    threading.Thread(target=_kill_at_end_of_stdin, daemon=True).start()
    code = child.wait()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)  # processes that ignore it are left to the parent's SIGKILL
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return code if code >= 0 else 128 - code


def _kill_at_end_of_stdin() -> None:
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
