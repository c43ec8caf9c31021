"""Reads the lease table periodically; where this worker watches, also gives the leases of lost workers to others.

Nothing waits for a read: each has a time limit, and other components use the last result.
"""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Set
from functools import partial
from typing import Final, TypeVar

from consumer.aws.codes import THROTTLED, code
from consumer.aws.retry import FAILURES
from consumer.kcl.lease_table import Leases, owned_by, readable
from consumer.kcl.lease_takeover import LOOK_SECONDS, Lost, Takeover
from consumer.kcl.lease_watch import spread, stands_in_for, watches
from consumer.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
T = TypeVar("T")

OWN_SECONDS: Final = 30.0
"""Seconds between two looks of a worker that does not watch."""
NEWS_SECONDS: Final = 10.0
"""Seconds, times the number of workers, after which a worker that does not watch reads all rows; times `spread`."""
REQUEST_SECONDS: Final = 10.0
"""Limit of one look at the lease table, and of one write."""
AT_ONCE: Final = 8
"""Takeovers under way at the same time."""
MAX_LOOK_AGE: Final = 60.0
"""Seconds without a look at the lease table after which the owners of others' leases count as unknown."""
UNREADABLE: Final = "the lease table does not answer"


class LeaseMonitor:
    """The lease table as the worker `worker_id` sees it. The lost worker may be the KCL's own leader.

    A worker that watches reads all rows, every LOOK_SECONDS. The others read what is theirs, every OWN_SECONDS, and now
    and then all rows, to know who the workers are: one in the fleet every NEWS_SECONDS or two, and new workers more
    often. A few stand in for the watchers: every LOOK_SECONDS they read a row of theirs.
    """

    def __init__(
        self,
        worker_id: str,
        lease_seconds: float,
        leases: Leases,
        served: Callable[[], Set[str]],
        metrics: Metrics,
    ) -> None:
        """`served` gives the shards that have a live conversation."""
        self._takeover = Takeover(worker_id, lease_seconds)
        self._worker_id = worker_id
        self._lease_seconds = lease_seconds
        self._leases = leases
        self._served = served
        self._metrics = metrics
        self._without_leader: set[str] = set()  # lost workers whose leader lock may still exist
        self._failures: Counter[str] = Counter()
        self.owned: frozenset[str] | None = None
        """The shards that this worker should read, by the last look; None before the first."""
        self.doubtful = False
        """Whether this worker does not know why it cannot read: then it watches, to see if any lease is renewed."""
        self._readable: Set[str] = frozenset()
        self._unowned: Set[str] = frozenset()
        self._started = time.monotonic()
        self._watched_at = self._looked_at = -math.inf
        self._standing_in_until = -math.inf
        self._spread = spread(worker_id)
        self.failing: str | None = None
        """Why the table cannot be read now; None as long as it can."""
        self._failed_at = -math.inf

    @property
    def answers(self) -> float:
        """For how many seconds no look at the table has failed; 0 while it cannot be read."""
        return 0.0 if self.failing else time.monotonic() - self._failed_at

    @property
    def renewed(self) -> bool:
        """Whether the last look at all rows found a lease, of any worker, that is being renewed."""
        return self._takeover.renewed

    def leases(self) -> dict[str, int]:
        """How many shards can be read now (`open`), and how many of them no living worker is known to hold (`unowned`).
        Empty where other workers watch.

        When the table cannot be read for too long, all shards that this worker does not serve count as unowned: the
        death of another worker would not have been noticed, nor its leases taken over.
        """
        now = time.monotonic()
        if self.owned is not None and now - self._looked_at > MAX_LOOK_AGE:
            return {"open": len(self._readable), "unowned": len(self._readable - self._served())}
        if now - self._watched_at > MAX_LOOK_AGE:
            return {}
        return {"open": len(self._readable), "unowned": len(self._unowned)}

    async def run(self) -> None:
        """Looks every LOOK_SECONDS, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """One look at the table, and the takeovers that follow. What fails is tried again at the next look."""
        now = time.monotonic()
        if self._watches(now) or await self._stands_in(now):
            await self._watch()
        elif now - self._looked_at >= OWN_SECONDS:
            own = await self._read(partial(self._leases.own, self._served()))
            self.owned = self.owned if own is None else own

    def _watches(self, now: float) -> bool:
        others = self._takeover.workers
        known_for = max(OWN_SECONDS, min((now - self._started) / 2, NEWS_SECONDS * len(others)))
        if now - self._watched_at >= known_for * self._spread or self.doubtful or self._without_leader:
            return True
        return now < self._standing_in_until or watches(self._worker_id, others, time.time(), self._lease_seconds)

    async def _stands_in(self, now: float) -> bool:
        """Whether a watcher for which this worker stands in shows no sign of life: then this one watches in its place
        until it can tell who is lost."""
        takeover = self._takeover
        watchers = stands_in_for(self._worker_id, takeover.workers, time.time(), self._lease_seconds)
        leases = {worker: shard for worker in watchers if (shard := takeover.lease_of(worker))}
        if not leases:
            return False
        rows = await self._try("the watchers' leases cannot be read", partial(self._leases.some, leases.values()))
        if rows is not None and not all(takeover.alive(each, rows.get(leases[each], {}), now) for each in leases):
            self._standing_in_until = now + self._lease_seconds + 2 * LOOK_SECONDS
        return now < self._standing_in_until

    async def _watch(self) -> None:
        rows = await self._read(self._leases.rows)
        if rows is None:
            return
        self._watched_at = self._looked_at
        lost = self._takeover.look(rows, self._looked_at)
        await asyncio.sleep(0)  # thousands of rows take a while
        self.owned = frozenset(owned_by(self._worker_id, rows))
        self._readable = readable(rows)
        self._unowned = self._readable - self._takeover.held
        await self._few_at_once(self._take, lost)
        await self._few_at_once(self._release, sorted(self._without_leader))

    async def _take(self, lease: Lost) -> None:
        taken = await self._try("a lease cannot be taken over", partial(self._leases.take, lease))
        why = f"of lost worker {lease.worker}" if lease.worker else f"not handed over by {lease.old_owner}"
        outcome = f"given to {lease.new_owner}" if taken else "another worker was first"
        log.warning("lease %s %s: %s", lease.shard, why, outcome)
        if taken:
            self._metrics.taken_over.inc()
        if taken and lease.worker:
            self._without_leader.add(lease.worker)

    async def _release(self, owner: str) -> None:
        async def release() -> bool:
            await self._leases.release_leadership(owner)
            return True

        if await self._try("the leader's lock cannot be released", release):
            self._without_leader.discard(owner)

    @staticmethod
    async def _few_at_once(request: Callable[[T], Awaitable[None]], subjects: Iterable[T]) -> None:
        """All requests, AT_ONCE at a time: a lost zone leaves thousands of leases."""
        limit = asyncio.Semaphore(AT_ONCE)

        async def limited(subject: T) -> None:
            async with limit:
                await request(subject)

        await asyncio.gather(*map(limited, subjects))

    async def _read(self, request: Callable[[], Awaitable[T]]) -> T | None:
        """One try to read the table; None when it failed."""
        answer = await self._try(UNREADABLE, request)
        if answer is not None:
            self.failing, self._looked_at = None, time.monotonic()
        return answer

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
            if failed == UNREADABLE:
                self.failing, self._failed_at = str(error) or name, time.monotonic()
            failures = self._failures[failed]
            if failures in (0, 5) or failures % 50 == 0:
                log.warning("%s: %s", failed, str(error) or name, extra={"attempt": failures + 1})
            self._failures[failed] += 1
            return None
        if attempts := self._failures.pop(failed, 0):
            log.info("resolved: %s", failed, extra={"attempts": attempts + 1})
        return answer
