"""Notices what stands still: this process, the reading of a shard, a lease that no one serves.

Nothing here waits for what it guards against: the lease table is looked at in a loop of its own, a try at a time and
each with a limit; what decides reads what was seen last. docs/decisions/0014-unreadable-stream.md tells what is done
in which case.
"""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from consumer.aws.codes import THROTTLED, code
from consumer.aws.retry import FAILURES
from consumer.kcl.lease_table import Leases, owned_by, readable
from consumer.kcl.lease_takeover import LOOK, Rows, Takeover
from consumer.pipeline.reads import UNREAD, Reads, Unread
from consumer.pipeline.shards import Shards
from consumer.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
T = TypeVar("T")

SILENCE: Final = 120.0
"""Seconds without a successful read of a shard after which the daemon is started again."""
MAX_SILENCE: Final = 1800.0
"""Seconds; the time until the next start doubles up to here as long as starts do not help."""
UNSERVED: Final = 60.0
"""Seconds that a lease of ours may be without a conversation."""
EVERY: Final = 5.0
"""Seconds between two looks at the shards."""
PATIENCE: Final = 10.0
"""Seconds for one request to the lease table."""
HOPE: Final = SILENCE + 90.0
"""Seconds without a word of a shard, a start of the daemon among them, after which a new container is worth a try."""
FAIR: Final = HOPE - SILENCE
"""Seconds that a daemon must have had for that, with a lease table that answers."""
DOWN: Final = 60.0
"""Seconds between two lives of the daemon that need no new container; the supervisor's longest pause is shorter."""
BLIND: Final = 60.0
"""Seconds without a look at the lease table after which the owners of others' leases count as unknown."""
SOME: Final = 5
"""Shards that a line for people names."""
ANSWERED: Final = frozenset({"access-denied", "kms", "not-found", "throttled"})
"""Reasons that Kinesis itself gave: the daemon lives and asks on, another start of it changes nothing."""


class StallDetector:
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
        # macOS has no such name: its CLOCK_MONOTONIC goes on while the machine sleeps (clock_gettime(3) there).
        return time.clock_gettime(time.CLOCK_BOOTTIME if hasattr(time, "CLOCK_BOOTTIME") else time.CLOCK_MONOTONIC)

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


class LeaseMonitor:
    """Looks at the lease table, for all who want to know; takes over what lost workers leave behind, where the KCL's
    leader may be what was lost."""

    def __init__(self, worker_id: str, lease_seconds: float, leases: Leases, metrics: Metrics) -> None:
        self._takeover = Takeover(worker_id, lease_seconds)
        self._worker_id = worker_id
        self._leases = leases
        self._metrics = metrics
        self._without_leader: set[str] = set()  # lost workers whose lock may still stand
        self._failures: Counter[str] = Counter()
        self.owned: frozenset[str] | None = None
        """The shards that are ours to read, as they were seen last; None before the first look."""
        self.open, self.unowned = 0, 0
        """Shards that can be read now, and how many of them no living worker is known to hold; as seen last."""
        self._readable: set[str] = set()
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

    async def run(self) -> None:
        """Looks every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            await self.look()

    async def look(self) -> None:
        """One look, and what follows from it. What fails is tried again at the next."""
        rows = await self._ask("the lease table does not answer", self._leases.rows)
        if rows is None:
            return
        self.failing = None
        self.owned = frozenset(owned_by(self._worker_id, rows))
        lost = self._takeover.look(rows, time.monotonic())
        self._count(rows)
        for lease in lost:
            taken = await self._ask("a lease cannot be taken over", partial(self._leases.take, lease))
            why = f"of {lease.worker}, which is lost" if lease.worker else f"that {lease.old_owner} does not hand over"
            log.warning("%s %s: %s", lease.shard, why, "ours now" if taken else "changed")
            if taken:
                self._metrics.taken_over.inc()
            if taken and lease.worker:
                self._without_leader.add(lease.worker)
        for owner in sorted(self._without_leader):
            if await self._ask("the leader's lock cannot be given up", partial(self._release, owner)):
                self._without_leader.discard(owner)

    async def _release(self, owner: str) -> bool:
        await self._leases.release_leadership(owner)
        return True

    async def _ask(self, failed: str, request: Callable[[], Awaitable[T]]) -> T | None:
        """One try, with a limit; None when it failed, which is told now and then in these words."""
        try:
            async with asyncio.timeout(PATIENCE):
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

    def _count(self, rows: Rows) -> None:
        self._readable, self._looked_at = readable(rows), time.monotonic()
        self.open, self.unowned = len(self._readable), len(self._readable & self._takeover.unowned(rows))
        self._metrics.leases.labels("open").set(self.open)
        self._metrics.leases.labels("unowned").set(self.unowned)

    def doubt(self, live: set[str]) -> None:
        """Counts what is not `live`, served by this worker, as unowned, once the table has not been seen for long: a
        worker that dies meanwhile would not be noticed, nor its leases taken over."""
        if time.monotonic() - self._looked_at > BLIND:
            self.unowned = len(self._readable - live)
            self._metrics.leases.labels("unowned").set(self.unowned)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the shards are not served well, and whether a new container could cure that."""

    why: str
    replace: bool


class Watchdog:
    """Restarts a daemon that lives but does not work; knows why the service is not healthy."""

    def __init__(
        self,
        shards: Shards,
        lease_monitor: LeaseMonitor,
        reads: Reads,
        fail: Callable[[BaseException], None],
        runs: Callable[[], bool],
    ) -> None:
        """`runs` tells whether there is a daemon."""
        self._runs = runs
        self._shards = shards
        self._lease_monitor = lease_monitor
        self._reads = reads
        self._fail = fail
        self._started = self._ran = time.monotonic()
        self._ready = False
        self._silence = SILENCE
        self._told: set[str] = set()

    def restarted(self) -> None:
        """A daemon is about to be started, or was the last."""
        self._started = time.monotonic()

    async def run(self) -> None:
        """Looks every few seconds, until cancelled. Waits for nothing else."""
        while True:
            await asyncio.sleep(EVERY)
            self.look()

    def look(self) -> None:
        """One look: whether the daemon has to be started again, and what there is to tell."""
        self.hold()
        unread = self._reads.unread()
        self._tell(unread)
        if not unread:
            self._silence = SILENCE
        if stuck := self._stuck(unread, time.monotonic() - self._started):
            self._silence = min(MAX_SILENCE, 2 * self._silence)
            self._fail(TimeoutError(stuck))

    def _stuck(self, unread: list[Unread], runs: float) -> str:
        """Why a daemon that runs for so long has to be started again; empty if it has not."""
        live = {shard.name for shard in self._shards.live}
        candidates = [each for each in unread if not self._tries(each)]
        limit = self._silence
        silent = [each.shard for each in candidates if each.shard in live and min(each.seconds, runs) > limit]
        if silent:
            return f"no word of {_names(silent)} for {limit:.0f} s"
        if self._lease_monitor.failing:  # who owns the others now is not known, and the daemon cannot know either
            return ""
        limit += UNSERVED - SILENCE
        unserved = [each.shard for each in candidates if each.shard not in live and min(each.seconds, runs) > limit]
        return f"the lease of {_names(unserved)} is ours, but no one serves it" if unserved else ""

    def _tries(self, unread: Unread) -> bool:
        """Whether the daemon still asks for this shard, and Kinesis itself refuses."""
        failure = unread.failure
        return failure is not None and failure.reason in ANSWERED and time.monotonic() - failure.at < UNREAD

    def hold(self) -> None:
        """Tells `Reads` which shards are ours now; sees whether the daemon runs."""
        if self._runs():
            self._ran = time.monotonic()
        live = {shard.name for shard in self._shards.live}
        self._lease_monitor.doubt(live)
        self._reads.hold(live | (self._lease_monitor.owned or frozenset()))
        # Leases without a worker, as at a first start, may be for us.
        spare = (
            self._lease_monitor.owned == frozenset()
            and self._lease_monitor.open > 0
            and self._lease_monitor.unowned == 0
        )
        self._ready = self._ready or self._reads.ever or spare

    def _tell(self, unread: list[Unread]) -> None:
        """Says once of each shard that it cannot be read, and when it can be again; in one line for all."""
        now = {each.shard for each in unread}
        if new := [each for each in unread if each.shard not in self._told]:
            log.error("%s", _words(new))
        if again := sorted((self._told - now) & set(self._reads.held)):
            log.info("%s: read again", _names(again))
        self._told = now

    def trouble(self, phase: str) -> Trouble | None:
        """What /healthz says; None when all is well. Lag and a slow sink are no reasons.

        `phase` tells what the daemon does. Until a first shard has been read, or the lease table says that other
        workers have them all, the container is not ready.
        """
        new, failing = not self._ready, self._lease_monitor.failing
        if not self._runs():
            return Trouble("the KCL daemon is not running", replace=new or time.monotonic() - self._ran > DOWN)
        table = f"the lease table does not answer: {failing}" if failing else ""
        if unread := self._reads.unread():
            fatal = any(each.failure is None and each.seconds > HOPE for each in unread)
            fair = min(time.monotonic() - self._started, self._lease_monitor.answers) > FAIR
            still = (
                ""
                if table or self._lease_monitor.renewed
                else "no lease is renewed: the lease table may take no writes"
            )
            why = "; ".join(filter(None, (_words(unread), table, still)))
            return Trouble(why, replace=new or (fatal and fair and not still))
        if table:
            return Trouble(table, replace=new)
        if new or (self._reads.held and not self._shards.live):
            return Trouble(f"no shard yet: {phase}", replace=new)
        return None


def _words(unread: list[Unread]) -> str:
    """All reasons with their shards and an example each."""
    found: dict[str, list[Unread]] = {}
    for each in unread:
        found.setdefault(each.reason, []).append(each)
    parts = []
    for name, shards in found.items():
        text = next((each.failure.text for each in shards if each.failure), "the daemon does not say why")
        names = _names([each.shard for each in shards])
        longest = max(each.seconds for each in shards)
        parts.append(f"{names} cannot be read for {longest:.0f} s: {name}: {text}")
    return "; ".join(parts)


def _names(shards: list[str]) -> str:
    """Some of them, and how many more there are."""
    more = f" and {len(shards) - SOME} more" if len(shards) > SOME else ""
    return ", ".join(shards[:SOME]) + more
