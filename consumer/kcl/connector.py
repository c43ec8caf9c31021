"""Started by the KCL daemon for each shard: passes its stdin and stdout to the service, then becomes `cat`.

    python -I -S connector.py SOCKET

The service speaks the protocol on the two pipes. The daemon takes the death of this process for a failure, so it lives
exactly as long as the service holds the socket open: `cat` only waits for the end of the socket, which is now its
stdin, and needs hardly any resources. The pipes themselves are closed here at once, so that only the service can end
them.
"""

import os
import socket
import sys


def main(path: str) -> None:
    """Never returns; raises OSError (its traceback goes to the daemon's log) when no service is there."""
    service = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    service.connect(path)
    socket.send_fds(service, [b"\0"], [0, 1])
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(service.fileno(), 0)
    os.dup2(null, 1)
    os.execvp("cat", ["cat"])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1])
