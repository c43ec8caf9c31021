"""Notices what stands still: this process, the daemon's word for a shard, a lease that nobody serves."""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from consumer.lease import Leases, readable
from consumer.metrics import Metrics
from consumer.retry import until_done
from consumer.shards import Shards
from consumer.takeover import LOOK, Rows, Takeover

log = logging.getLogger(__name__)

SILENCE: Final = 120.0
"""Seconds without a word from the daemon for a shard, where it ticks several times a second."""
EVERY: Final = 10.0
"""Seconds between two looks at the lease table."""
UNSERVED: Final = 60.0
"""Seconds that a lease of ours may be without a conversation."""


class Pulse:
    """Whether this process stood still (SIGSTOP, a suspended machine), by a clock that counts suspension.

    After longer than a lease lasts, the shards may be another worker's: nothing is written until the daemon has been
    started again and every shard was claimed anew.
    """

    def __init__(self, lease_seconds: float) -> None:
        self._limit = lease_seconds
        self._last = self._now()
        self._stood = False

    @staticmethod
    def _now() -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def awake(self) -> bool:
        """Whether it has been running all the time."""
        if self._now() - self._last > self._limit:
            self._stood = True
        return not self._stood

    def restarted(self) -> None:
        """All claims are about to be made anew."""
        self._last, self._stood = self._now(), False

    async def run(self, fail: Callable[[BaseException], None]) -> None:
        """Beats until cancelled; calls `fail` after a gap."""
        while True:
            if self.awake():
                self._last = self._now()
            else:
                fail(TimeoutError(f"this process stood still for more than {self._limit} s"))
            await asyncio.sleep(min(1.0, self._limit / 4))


class Heir:
    """Takes over what lost workers leave behind, where the KCL's leader may be what was lost."""

    def __init__(self, worker_id: str, lease_seconds: float, leases: Leases, metrics: Metrics) -> None:
        self._takeover = Takeover(worker_id, lease_seconds)
        self._leases = leases
        self._metrics = metrics

    async def run(self) -> None:
        """Looks every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            rows = await until_done("leases", self._leases.rows, self._metrics, lambda: None)
            lost = self._takeover.look(rows, time.monotonic())
            self._count(rows)
            for lease in lost:
                taken = await until_done("leases", partial(self._leases.take, lease), self._metrics, lambda: None)
                log.warning("%s of %s, which is lost: %s", lease.shard, lease.owner, "ours now" if taken else "changed")
                if taken:
                    self._metrics.taken_over.inc()
                    lead = partial(self._leases.release_leadership, lease.owner)
                    await until_done("leases", lead, self._metrics, lambda: None)

    def _count(self, rows: Rows) -> None:
        shards = readable(rows)
        self._metrics.leases.labels("open").set(len(shards))
        self._metrics.leases.labels("unowned").set(len(shards & self._takeover.unowned(rows)))


class Watchdog:
    """Restarts a daemon that lives but does not work; knows why the service is not healthy."""

    def __init__(self, shards: Shards, leases: Leases, metrics: Metrics, fail: Callable[[BaseException], None]) -> None:
        self._shards = shards
        self._leases = leases
        self._metrics = metrics
        self._fail = fail
        self._owned: set[str] | None = None
        self._unserved: dict[str, float] = {}

    def restarted(self) -> None:
        """Forgets what it knew of the last daemon."""
        self._owned = None
        self._unserved.clear()

    async def run(self) -> None:
        """Looks every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            if silent := self._silent(SILENCE):
                self._fail(TimeoutError(f"no word of {silent} for {SILENCE:.0f} s"))
            self._owned = await until_done("leases", self._leases.owned, self._metrics, lambda: None)
            now = time.monotonic()
            unserved = self._owned - {shard.name for shard in self._shards.live}
            self._unserved = {name: self._unserved.get(name, now) for name in unserved}
            for name, since in self._unserved.items():
                if now - since > UNSERVED:
                    self._fail(TimeoutError(f"the lease of {name} is ours, but nobody serves it"))

    def trouble(self) -> str | None:
        """Why the shards are not served well; None when they are. Lag and a slow sink are no reasons."""
        if silent := self._silent(SILENCE / 2):
            return f"the daemon is silent about {silent}"
        if not self._shards.live and self._owned != set():
            return "no shard yet"
        return None

    def _silent(self, seconds: float) -> str:
        now = time.monotonic()
        return ", ".join(s.name for s in self._shards.live if s.waiting_since and now - s.waiting_since > seconds)
