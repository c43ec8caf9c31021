"""Ends a run of a daemon that lives but does not read. docs/decisions/0014-unreadable-stream.md has the cases."""

import asyncio
import time
from typing import Final

from consumer.kcl.lease_monitor import LeaseMonitor
from consumer.pipeline.reads import UNREAD_SECONDS, Reads, Unread, names
from consumer.pipeline.shards import Shards
from consumer.restarts import Reason, RunFailed

INTERVAL: Final = 5.0
"""Seconds between two looks at the shards."""
SILENCE_SECONDS: Final = 120.0
"""Seconds without a successful read of a shard after which the daemon is started again."""
MAX_SILENCE_SECONDS: Final = 1800.0
"""The time until the next start doubles up to here as long as starts do not help."""
MAX_UNSERVED_SECONDS: Final = 60.0
"""Seconds that a lease of ours may be without a conversation."""
ANSWERED: Final = frozenset({"access-denied", "kms", "not-found", "throttled"})
"""Reasons that Kinesis itself gave: the daemon lives and asks on, another start of it changes nothing."""


class DaemonStuck(RunFailed):
    """The daemon does not read a shard that it should."""

    reason = Reason.TIMEOUT


class Watchdog:
    """Looks at the reads of each run of the daemon, and waits for nothing else."""

    def __init__(self, shards: Shards, lease_monitor: LeaseMonitor, reads: Reads) -> None:
        self._shards = shards
        self._lease_monitor = lease_monitor
        self._reads = reads
        self._limit = SILENCE_SECONDS

    async def run(self) -> None:
        """Watches a daemon that has just been started, until cancelled. Raises DaemonStuck."""
        started = time.monotonic()
        while True:
            await asyncio.sleep(INTERVAL)
            self.look(time.monotonic() - started)

    def look(self, uptime: float) -> None:
        """One look at a daemon that has been running for `uptime` seconds; raises DaemonStuck."""
        unread = self._reads.unread()
        if not unread:
            self._limit = SILENCE_SECONDS
        if stuck := self._stuck(unread, uptime):
            self._limit = min(MAX_SILENCE_SECONDS, 2 * self._limit)
            raise DaemonStuck(stuck)

    def _stuck(self, unread: list[Unread], uptime: float) -> str:
        """Why the daemon has to be started again; empty if it has not."""
        served = self._shards.served
        candidates = [each for each in unread if not _refused(each)]
        limit = self._limit
        silent = [each.shard for each in candidates if each.shard in served and min(each.seconds, uptime) > limit]
        if silent:
            return f"no successful read of {names(silent)} for {limit:.0f} s"
        if self._lease_monitor.failing:  # who owns the others now is not known, and the daemon cannot know either
            return ""
        limit += MAX_UNSERVED_SECONDS - SILENCE_SECONDS
        unserved = [each.shard for each in candidates if each.shard not in served and min(each.seconds, uptime) > limit]
        return f"the lease of {names(unserved)} is ours, but the daemon does not serve it" if unserved else ""


def _refused(unread: Unread) -> bool:
    """Whether the daemon still asks for this shard, and Kinesis itself refuses."""
    failure = unread.failure
    return failure is not None and failure.reason in ANSWERED and time.monotonic() - failure.at < UNREAD_SECONDS
