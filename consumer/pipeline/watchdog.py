"""Ends a run of a daemon that is alive but does not read. docs/decisions/0014-unreadable-stream.md has the cases."""

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
"""Seconds without a successful read of a shard after which the daemon is restarted."""
MAX_SILENCE_SECONDS: Final = 1800.0
"""The limit doubles up to this value as long as restarts do not help."""
MAX_UNSERVED_SECONDS: Final = 60.0
"""Seconds that this worker may own a lease without a conversation."""
REFUSED_BY_KINESIS: Final = frozenset({"access-denied", "kms", "not-found", "throttled"})
"""Reasons that come from Kinesis itself: the daemon works and retries, a restart would not help."""


class DaemonStuck(RunFailed):
    """The daemon does not read a shard that it should."""

    reason = Reason.TIMEOUT


class Watchdog:
    """Watches the reads during each run of the daemon."""

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
        """Why the daemon has to be restarted; empty if it does not."""
        served = self._shards.served
        candidates = [each for each in unread if not _refused(each)]
        limit = self._limit
        silent = [each.shard for each in candidates if each.shard in served and min(each.seconds, uptime) > limit]
        if silent:
            return f"no successful read of {names(silent)} for {limit:.0f} s"
        if self._lease_monitor.failing:  # neither this process nor the daemon can know who owns the others now
            return ""
        limit += MAX_UNSERVED_SECONDS - SILENCE_SECONDS
        unserved = [each.shard for each in candidates if each.shard not in served and min(each.seconds, uptime) > limit]
        return f"this worker owns the lease of {names(unserved)}, but the daemon does not serve it" if unserved else ""


def _refused(unread: Unread) -> bool:
    """Whether the daemon still tries to read this shard, and Kinesis itself refuses."""
    failure = unread.failure
    return (
        failure is not None and failure.reason in REFUSED_BY_KINESIS and time.monotonic() - failure.at < UNREAD_SECONDS
    )
