"""Runs one command that must not outlive whoever started it: `python guard.py COMMAND...`.

The starter holds the other end of our standard input and made us the leader of a session. When it dies, however it
dies, the input ends and the whole process group is killed. SIGTERM is passed on; the exit code is the command's. What
the command leaves behind is ended and collected here, so that no zombie waits for an init that does not collect.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading

PR_SET_CHILD_SUBREAPER = 36


def _watch_starter() -> None:
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


def _collect_orphans() -> None:
    """Ends the rest of the group. Whoever is deaf to SIGTERM is left to the starter's SIGKILL."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return


def main(command: list[str]) -> int:
    """Exit code of the command; 128 + n when signal n ended it, 127 when it could not be started."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    threading.Thread(target=_watch_starter, daemon=True).start()
    code = child.wait()
    _collect_orphans()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
