"""Whether the shards can be read: when each was read last, failed reads in the daemon's log since, and the lag.

Progress is measured by successful reads, not by records: the daemon delivers the answer of each read, even an empty
one. The state of a shard outlives conversations and runs of the daemon: a restarted daemon does not prove that the
shard can be read.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from consumer.kcl.read_errors import REASONS

FRESH_SECONDS: Final = 30.0
"""Seconds since the last read during which a shard that was caught up still counts as caught up. POLL_MILLIS is at most
10 s, a silent shard's pause two, and an idle enhanced fan-out subscription sends an event about every five seconds."""
UNREAD_SECONDS: Final = 60.0
"""Seconds without a successful read after which a shard counts as unreadable; a restart of the daemon takes less."""
MAX_NAMES: Final = 5
"""Shards that are listed in a line for people."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed read, from the daemon's log; `at` by the monotonic clock."""

    reason: str
    text: str
    at: float


@dataclass(slots=True)
class _Shard:
    read_at: float
    behind: int | None = None
    left: int | None = None
    at_work: bool = False
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """A shard that cannot be read now, since when, and the last failure in the daemon's log since."""

    shard: str
    seconds: float
    failure: Failure | None

    @property
    def reason(self) -> str:
        return self.failure.reason if self.failure else "other"


def lag(oldest_seconds: float, behind_millis: int | None, read_age: float) -> float:
    """Seconds that the oldest record which is not durable may have waited for.

    `oldest_seconds` is the age of the oldest record in hand or in the open archive object (0 without one),
    `behind_millis` what Kinesis reported at the last successful read (None without one), `read_age` the seconds since
    then. What came after the last read is unknown, so while reads fail the lag grows with the time.
    """
    caught_up = behind_millis == 0 and read_age <= FRESH_SECONDS
    unread = 0.0 if caught_up else (behind_millis or 0) / 1000 + read_age
    return max(oldest_seconds, unread)


def names(shards: list[str]) -> str:
    """The first few shards, and the number of further ones."""
    more = f" and {len(shards) - MAX_NAMES} more" if len(shards) > MAX_NAMES else ""
    return ", ".join(shards[:MAX_NAMES]) + more


class Reads:
    """The shards of this worker, by the last successful read of each."""

    def __init__(self) -> None:
        self._shards: dict[str, _Shard] = {}
        self._daemon: Failure | None = None
        self.ever = False
        """Whether any read has succeeded in this process."""

    def hold(self, shards: Iterable[str]) -> None:
        """Sets the shards that this worker should read; a new one counts as read now, others are forgotten."""
        now = time.monotonic()
        self._shards = {name: self._shards.get(name) or _Shard(now) for name in shards}

    @property
    def held(self) -> list[str]:
        return sorted(self._shards)

    @contextmanager
    def delivery(self, shard: str, behind_millis: int | None) -> Iterator[None]:
        """A read has succeeded; its records are processed during the block."""
        known = self._shards.setdefault(shard, _Shard(time.monotonic()))
        self.ever = True
        known.behind, known.left = behind_millis, None
        with self.work(shard):
            yield

    @contextmanager
    def work(self, shard: str) -> Iterator[None]:
        """Records are processed during the block, so that no read is due."""
        known = self._shards.setdefault(shard, _Shard(time.monotonic()))
        known.failure, known.at_work = None, True
        try:
            yield
        finally:
            known.at_work, known.read_at = False, time.monotonic()

    def left(self, shard: str, arrival_millis: int | None) -> None:
        """A conversation ended; its oldest record that is not durable arrived at this time (ms since the epoch)."""
        if known := self._shards.get(shard):
            known.left = arrival_millis

    def failed(self, shard: str | None, reason: str, text: str) -> None:
        """The daemon's log shows a failed read; without a shard it applies to all shards that are not read."""
        failure = Failure(reason, text, time.monotonic())
        if shard is None:
            self._daemon = failure
        elif known := self._shards.get(shard):
            known.failure = failure

    def age(self, shard: str) -> float:
        """Seconds since the last successful read; 0 while its records are processed."""
        known = self._shards.get(shard)
        return 0.0 if known is None or known.at_work else time.monotonic() - known.read_at

    def lag(self, shard: str, oldest_seconds: float = 0.0) -> float:
        """As the function `lag`; `oldest_seconds` is that of the conversation, if there is one."""
        known = self._shards.get(shard)
        if known is None:
            return oldest_seconds
        left = 0.0 if known.left is None else time.time() - known.left / 1000
        return lag(max(oldest_seconds, left), known.behind, self.age(shard))

    def unread(self, seconds: float = UNREAD_SECONDS) -> list[Unread]:
        """The shards that have not been read for `seconds`, with the failure that the log shows."""
        ages = {name: self.age(name) for name in self.held}
        return [Unread(name, age, self._failure(name)) for name, age in ages.items() if age > seconds]

    @property
    def refused(self) -> bool:
        """Whether the daemon's log shows a failed read of any shard since its last successful one."""
        return any(self._failure(name) for name in self._shards)

    def failing(self) -> Mapping[str, int]:
        """How many shards cannot be read now, by reason; with all reasons."""
        reasons = [unread.reason for unread in self.unread()]
        return {reason: reasons.count(reason) for reason in REASONS}

    def _failure(self, shard: str) -> Failure | None:
        """The last failure since the last successful read; one of the shard itself takes precedence."""
        known = self._shards[shard]
        if known.failure:
            return known.failure
        return self._daemon if self._daemon and self._daemon.at > known.read_at else None
