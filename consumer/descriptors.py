"""File descriptors: raises their limit as far as possible, and explains the error where they run out."""

import errno
import resource
from typing import Final

PER_SHARD: Final = 3
"""The connector's socket and its two pipes."""
OTHER_DESCRIPTORS: Final = 100
"""What the service holds open besides: connections to AWS, its listening sockets, the daemon's log."""
MAX_DESCRIPTORS: Final = 1 << 20
"""The highest limit that is requested: some programs iterate over every descriptor up to the limit."""


class TooFewDescriptors(Exception):
    """The limit is limit_reached; the message is one line that names the fix."""

    def __init__(self, needs: str) -> None:
        super().__init__(
            f"the limit of {limit()} open files is reached: {needs}; raise it (ulimit -n, LimitNOFILE of systemd, "
            "nofile under Ulimits of the task definition)"
        )


def limit() -> int:
    """The number of descriptors that this process may have open now."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


def raise_limit() -> int:
    """Raises the soft limit as far as the hard one allows; returns the new soft limit. Children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    for wanted in (most, 10_240):  # macOS names no limit and takes no more than this (OPEN_MAX)
        if soft == resource.RLIM_INFINITY or wanted <= soft:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            break
        except (OSError, ValueError):
            continue
    return limit()


def limit_reached(error: BaseException) -> bool:
    """Whether an error means that this process, or the machine, can open no more files."""
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)


def too_many_shards(shards: int) -> TooFewDescriptors:
    """The error to raise when one more shard cannot be opened."""
    return TooFewDescriptors(
        f"{shards} shards are open, each takes {PER_SHARD}, and some {OTHER_DESCRIPTORS} are used for the rest"
    )
