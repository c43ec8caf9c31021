"""Runs a command that dies with the process that started it, even if that is killed by SIGKILL.

    python -I -S parent_death.py PARENT COMMAND ARGUMENT...
    python -I -S parent_death.py stdin COMMAND ARGUMENT...

On Linux the kernel's parent-death signal does it, which has to be asked for in the child, between fork and exec.
`preexec_fn` would do it, but runs Python in a fork of a process that may have threads; a file of its own has no such
hazard and costs 20 ms. `exec` keeps the signal, and the process id stays the one that the parent knows.

Elsewhere there is no such signal. With `stdin` the parent holds the other end of our standard input and never writes:
a guard, forked here, waits for its end and then kills the process group, which the command must lead. The guard ends
with the group.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: str, command: list[str]) -> None:
    """Never returns; exit code 1 and a line on stderr when the command cannot be run."""
    if parent == "stdin":
        _guard(os.getpid())
    else:
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != int(parent):  # it died before we asked
            sys.exit(1)
    try:
        os.execv(command[0], command)  # noqa: S606  # the service's own java
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


def _guard(group: int) -> None:
    """Forks it; returns in the command's process, whose standard input is then empty."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    if os.fork() == 0:
        for output in (1, 2):  # whoever reads them waits for their end
            os.dup2(nowhere, output)
        while os.read(0, 1):
            pass
        os.killpg(group, signal.SIGKILL)
        os._exit(0)
    os.dup2(nowhere, 0)
    os.close(nowhere)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
