"""Runs a command that dies with the process that started it, even if that is killed by SIGKILL.

    python -I -S leash.py PARENT COMMAND ARGUMENT...

The kernel's parent-death signal has to be asked for in the child, between fork and exec. `preexec_fn` would
do it, but runs Python in a fork of a process that may have threads; a file of its own has no such hazard
and costs 20 ms. `exec` keeps the signal, and the process id stays the one that the parent knows.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Never returns; exit code 1 and a line on stderr when the command cannot be run."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before we asked
        sys.exit(1)
    try:
        os.execv(command[0], command)  # noqa: S606  # the service's own java
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
