"""What the KCL daemon starts for each shard: hands its stdin and stdout to the service, lives on as `cat`.

    python -I -S connector.py SOCKET

The service speaks the protocol on the two pipes; this process only stands for them. The daemon takes its
death for a failure, so it lives exactly as long as the service holds the socket open, and costs next to
nothing: of the socket, now its stdin, `cat` reads nothing but the end. The pipes themselves are closed here
at once, so that their end is the service's alone to give.
"""

import os
import socket
import sys


def main(path: str) -> None:
    """Never returns; raises OSError (its traceback goes to the daemon's log) when no service is there."""
    service = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    service.connect(path)
    socket.send_fds(service, [b"\0"], [0, 1])
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(service.fileno(), 0)
    os.dup2(nowhere, 1)
    os.execvp("cat", ["cat"])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1])
