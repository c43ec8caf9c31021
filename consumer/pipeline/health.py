"""The health of the service: the answer of /healthz, and a log line when a shard cannot be read.

Nothing here waits for another component. docs/decisions/0014-unreadable-stream.md describes all cases.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Final

from consumer.kcl.daemon import Daemon
from consumer.kcl.lease_monitor import LeaseMonitor
from consumer.pipeline.reads import Reads, Unread, names
from consumer.pipeline.shards import Shards
from consumer.pipeline.watchdog import SILENCE_SECONDS

log = logging.getLogger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two looks at the shards."""
REPLACE_SECONDS: Final = SILENCE_SECONDS + 90.0
"""Seconds without a successful read of a shard, including a restart of the daemon, after which the container should be
replaced."""
RECOVERY_SECONDS: Final = REPLACE_SECONDS - SILENCE_SECONDS
"""Seconds that a daemon must have been running for that, with a lease table that answers."""
MAX_DOWN_SECONDS: Final = 60.0
"""Seconds between two runs of the daemon after which the container should be replaced; the supervisor's longest pause
is shorter."""

NO_WRITES: Final = "no lease is renewed: the lease table may not take writes"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the service is not healthy, and whether a new container could cure that."""

    why: str
    replace: bool


class Health:
    """Determines which shards this worker should read, and whether the service is healthy."""

    def __init__(self, daemon: Daemon, shards: Shards, lease_monitor: LeaseMonitor, reads: Reads) -> None:
        self._daemon = daemon
        self._shards = shards
        self._lease_monitor = lease_monitor
        self._reads = reads
        self._was_ready = False
        self._reported: set[str] = set()

    async def run(self) -> None:
        """Looks every second, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(INTERVAL)

    def look(self) -> None:
        """Updates the shards that this worker should read; logs those that cannot be read, or can be again."""
        self._reads.hold(self._shards.served | (self._lease_monitor.owned or frozenset()))
        self._was_ready = self.ready
        unread = self._reads.unread()
        self._lease_monitor.doubtful = any(each.failure is None for each in unread)
        now = {each.shard for each in unread}
        if new := [each for each in unread if each.shard not in self._reported]:
            log.error("%s", _text(new))
        if again := sorted((self._reported - now) & set(self._reads.held)):
            log.info("%s: read again", names(again))
        self._reported = now

    @property
    def ready(self) -> bool:
        """Whether a shard has been read, or the lease table has shown that other workers hold all leases. Leases
        without a worker, as at a first start, may come to this worker."""
        monitor = self._lease_monitor
        leases = monitor.leases()
        spare = monitor.owned == frozenset() and bool(leases.get("open")) and leases["unowned"] == 0
        return self._was_ready or self._reads.ever or spare

    @property
    def outage(self) -> bool:
        """Whether stream or lease table cannot be reached: failed starts of the daemon then do not count."""
        return self._lease_monitor.failing is not None or self._reads.refused

    def trouble(self) -> Trouble | None:
        """The trouble that /healthz reports; None when healthy. Lag and a slow sink are not reported."""
        new, failing = not self.ready, self._lease_monitor.failing
        seconds = time.monotonic() - self._daemon.since
        if self._daemon.pid is None:
            return Trouble("the KCL daemon is not running", replace=new or seconds > MAX_DOWN_SECONDS)
        table = f"the lease table does not answer: {failing}" if failing else ""
        if unread := self._reads.unread():
            fatal = any(each.failure is None and each.seconds > REPLACE_SECONDS for each in unread)
            had_time = min(seconds, self._lease_monitor.answers) > RECOVERY_SECONDS
            still = "" if table or self._lease_monitor.renewed else NO_WRITES
            why = "; ".join(filter(None, (_text(unread), table, still)))
            return Trouble(why, replace=new or (fatal and had_time and not still))
        if table:
            return Trouble(table, replace=new)
        if new or (self._reads.held and not self._shards.live):
            return Trouble(f"no shard yet: {self._daemon.phase}", replace=new)
        return None


def _text(unread: list[Unread]) -> str:
    """All reasons, each with its shards and an example."""
    found: dict[str, list[Unread]] = {}
    for each in unread:
        found.setdefault(each.reason, []).append(each)
    parts = []
    for reason, shards in found.items():
        text = next((each.failure.text for each in shards if each.failure), "the daemon does not say why")
        seconds = max(each.seconds for each in shards)
        parts.append(f"{names([each.shard for each in shards])} cannot be read for {seconds:.0f} s: {reason}: {text}")
    return "; ".join(parts)
