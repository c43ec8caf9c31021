"""File descriptors: as many as the machine allows, and the cause named where they do not suffice."""

import errno
import resource
from typing import Final

PER_SHARD: Final = 3
"""The connector's socket and its two pipes."""
BESIDE: Final = 100
"""What the service holds open beside: connections to AWS, its own doors, the daemon's log."""
ENOUGH: Final = 1 << 20
"""No more is asked for: some programs look at each descriptor up to the limit."""


class TooFewDescriptors(Exception):
    """The limit is reached; the message is one line that names the fix."""

    def __init__(self, needs: str) -> None:
        super().__init__(
            f"the limit of {limit()} open files is reached: {needs}; raise it (ulimit -n, LimitNOFILE of systemd, "
            "nofile under Ulimits of the task definition)"
        )


def limit() -> int:
    """How many this process may have open now."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ENOUGH if soft == resource.RLIM_INFINITY else soft


def raise_limit() -> int:
    """Raises the soft limit as far as the hard one lets it; returns what holds then. Children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    for wanted in (most, 10_240):  # macOS names no limit and takes no more than this (OPEN_MAX)
        if soft == resource.RLIM_INFINITY or wanted <= soft:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            break
        except (OSError, ValueError):
            continue
    return limit()


def reached(error: BaseException) -> bool:
    """Whether an error says that no more can be opened, by this process or by the machine."""
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)


def of_shards(shards: int) -> TooFewDescriptors:
    """What to raise where a further shard finds none left."""
    return TooFewDescriptors(f"{shards} shards are open, each takes {PER_SHARD}, and some {BESIDE} are used beside")
