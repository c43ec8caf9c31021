"""Runs one command that must not outlive whoever started it: `python guard.py COMMAND...`.

The starter holds the other end of our standard input and made us the leader of a session. When it dies, however it
dies, the input ends and the whole process group is killed. SIGTERM is passed on; the exit code is the command's.
"""

import os
import signal
import subprocess
import sys
import threading


def _watch_starter() -> None:
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Exit code of the command; 128 + n when signal n ended it, 127 when it could not be started."""
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    threading.Thread(target=_watch_starter, daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
