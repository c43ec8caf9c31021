"""Reads the lease table periodically, and takes over the leases of lost workers.

Nothing waits for a read: each has a time limit, and other components use the last result.
"""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Set
from functools import partial
from typing import Final, TypeVar

from consumer.aws.codes import THROTTLED, code
from consumer.aws.retry import FAILURES
from consumer.kcl.lease_table import Leases, owned_by, readable
from consumer.kcl.lease_takeover import LOOK_SECONDS, Takeover
from consumer.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
T = TypeVar("T")

REQUEST_SECONDS: Final = 10.0
"""Limit of one request to the lease table."""
MAX_LOOK_AGE: Final = 60.0
"""Seconds without a look at the lease table after which the owners of others' leases count as unknown."""


class LeaseMonitor:
    """The lease table as the worker `worker_id` sees it. The lost worker may be the KCL's own leader."""

    def __init__(self, worker_id: str, lease_seconds: float, leases: Leases, metrics: Metrics) -> None:
        self._takeover = Takeover(worker_id, lease_seconds)
        self._worker_id = worker_id
        self._leases = leases
        self._metrics = metrics
        self._without_leader: set[str] = set()  # lost workers whose leader lock may still exist
        self._failures: Counter[str] = Counter()
        self.owned: frozenset[str] | None = None
        """The shards that this worker should read, by the last look; None before the first."""
        self.readable: Set[str] = frozenset()
        """The shards that can be read now, by the last look."""
        self._unowned: Set[str] = frozenset()
        self._looked_at = math.inf
        self.failing: str | None = None
        """Why the table cannot be read now; None as long as it can."""
        self._failed_at = -math.inf

    @property
    def answers(self) -> float:
        """For how many seconds no look at the table has failed; 0 while it cannot be read."""
        return 0.0 if self.failing else time.monotonic() - self._failed_at

    @property
    def renewed(self) -> bool:
        """Whether the last look found a lease, of any worker, that is being renewed."""
        return self._takeover.renewed

    def unowned(self, served: Set[str]) -> int:
        """How many of the `readable` shards no living worker is known to hold; `served` are those of this worker.

        When the last look is too old, all shards that this worker does not serve: the death of another worker would
        not have been noticed, nor its leases taken over.
        """
        old = time.monotonic() - self._looked_at > MAX_LOOK_AGE
        return len(self.readable - served) if old else len(self._unowned)

    async def run(self) -> None:
        """Looks every LOOK_SECONDS, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """One look at the table, and the takeovers that follow. What fails is tried again at the next look."""
        rows = await self._try("the lease table does not answer", self._leases.rows)
        if rows is None:
            return
        self.failing, self._looked_at = None, time.monotonic()
        lost = self._takeover.look(rows, self._looked_at)
        self.owned = frozenset(owned_by(self._worker_id, rows))
        self.readable = readable(rows)
        self._unowned = self.readable & self._takeover.unowned(rows)
        for lease in lost:
            taken = await self._try("a lease cannot be taken over", partial(self._leases.take, lease))
            why = f"of lost worker {lease.worker}" if lease.worker else f"not handed over by {lease.old_owner}"
            log.warning("lease %s %s: %s", lease.shard, why, "taken over" if taken else "another worker was first")
            if taken:
                self._metrics.taken_over.inc()
            if taken and lease.worker:
                self._without_leader.add(lease.worker)
        for owner in sorted(self._without_leader):
            if await self._try("the leader's lock cannot be released", partial(self._release, owner)):
                self._without_leader.discard(owner)

    async def _release(self, owner: str) -> bool:
        await self._leases.release_leadership(owner)
        return True

    async def _try(self, failed: str, request: Callable[[], Awaitable[T]]) -> T | None:
        """One try, with a time limit; None when it failed, which is logged at intervals as `failed`."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                answer = await request()
        except FAILURES as error:
            name = code(error)
            self._metrics.retries.labels("leases", name).inc()
            if name in THROTTLED:
                self._metrics.throttles.labels("leases").inc()
            if request == self._leases.rows:
                self.failing, self._failed_at = str(error) or name, time.monotonic()
            failures = self._failures[failed]
            if failures in (0, 5) or failures % 50 == 0:
                log.warning("%s: %s", failed, str(error) or name, extra={"attempt": failures + 1})
            self._failures[failed] += 1
            return None
        if attempts := self._failures.pop(failed, 0):
            log.info("resolved: %s", failed, extra={"attempts": attempts + 1})
        return answer
