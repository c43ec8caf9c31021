"""Ctrl-C goes to the program that the terminal is about, and not also to the make that started it.

make is terminated by Ctrl-C whatever its command returns, so that a run that ended well would end by a signal.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def foreground() -> Iterator[None]:
    """This process alone is the terminal's foreground, if make in the foreground started it; else nothing happens.

    Ctrl-Z is without effect meanwhile: the shell would wait for make, and make for what stands still.
    """
    before = _before()
    if before is None:
        yield
        return
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # raised by tcsetpgrp of a process in the background
    os.setpgid(0, 0)
    os.tcsetpgrp(sys.stdin.fileno(), os.getpgid(0))
    try:
        yield
    finally:
        os.tcsetpgrp(sys.stdin.fileno(), before)


def _before() -> int | None:
    """The process group that is in the foreground, if it is this one's and make's, and may be left."""
    if "MAKELEVEL" not in os.environ or not sys.stdin or not sys.stdin.isatty():
        return None
    group = os.getpgid(0)
    leads = group == os.getpid()  # started by a shell itself
    return None if leads or os.tcgetpgrp(sys.stdin.fileno()) != group else group
