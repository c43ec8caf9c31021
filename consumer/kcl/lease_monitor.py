"""Looks at the lease table in one loop, for all who want to know, and takes over what lost workers leave behind.

Nothing waits for it: a look has a time limit, and others use what was seen last.
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
    """What the worker `worker_id` sees in the lease table. The KCL's own leader may be what was lost."""

    def __init__(self, worker_id: str, lease_seconds: float, leases: Leases, metrics: Metrics) -> None:
        self._takeover = Takeover(worker_id, lease_seconds)
        self._worker_id = worker_id
        self._leases = leases
        self._metrics = metrics
        self._without_leader: set[str] = set()  # lost workers whose lock may still stand
        self._failures: Counter[str] = Counter()
        self.owned: frozenset[str] | None = None
        """The shards that are ours to read, as they were seen last; None before the first look."""
        self.readable: Set[str] = frozenset()
        """The shards that can be read now, as seen last."""
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

        Once the table has not been seen for long, all that this worker does not serve: a worker that dies meanwhile
        would not be noticed, nor its leases taken over.
        """
        old = time.monotonic() - self._looked_at > MAX_LOOK_AGE
        return len(self.readable - served) if old else len(self._unowned)

    async def run(self) -> None:
        """Looks every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """One look, and what follows from it. What fails is tried again at the next."""
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
            why = f"of {lease.worker}, which is lost" if lease.worker else f"that {lease.old_owner} does not hand over"
            log.warning("%s %s: %s", lease.shard, why, "ours now" if taken else "changed")
            if taken:
                self._metrics.taken_over.inc()
            if taken and lease.worker:
                self._without_leader.add(lease.worker)
        for owner in sorted(self._without_leader):
            if await self._try("the leader's lock cannot be given up", partial(self._release, owner)):
                self._without_leader.discard(owner)

    async def _release(self, owner: str) -> bool:
        await self._leases.release_leadership(owner)
        return True

    async def _try(self, failed: str, request: Callable[[], Awaitable[T]]) -> T | None:
        """One try, with a limit; None when it failed, which is logged now and then in these words."""
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
            log.info("no longer: %s", failed, extra={"attempts": attempts + 1})
        return answer
