"""Whether the shards can be read: when each was read last, failed reads in the daemon's log since, and the lag.

Deliveries do not show what is not delivered, so progress is measured by reads: the daemon hands over the answer of each
successful read, an empty one too. What is known of a shard outlives conversations and runs of the daemon: a daemon that
was started again is no proof that the shard can be read.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from consumer.kcl.read_errors import REASONS

FRESH_SECONDS: Final = 30.0
"""Since the last read, up to which a shard that was caught up still counts as caught up. POLL_MILLIS is at most 10 s,
and an enhanced fan-out subscription that is idle sends an event every five seconds or so."""
UNREAD_SECONDS: Final = 60.0
"""Without a successful read, after which a shard counts as one that cannot be read: more than a restart of the daemon
in place takes."""
MAX_NAMES: Final = 5
"""Shards that a line for people names."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What the daemon's log said of a read that failed; `at` by the monotonic clock."""

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
    """Some of them, and how many more there are."""
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
        """Says which shards are ours to read; a new one counts from now, the others are forgotten."""
        now = time.monotonic()
        self._shards = {name: self._shards.get(name) or _Shard(now) for name in shards}

    @property
    def held(self) -> list[str]:
        return sorted(self._shards)

    @contextmanager
    def delivery(self, shard: str, behind_millis: int | None) -> Iterator[None]:
        """A read has succeeded; for as long as the block lasts we work on what it brought."""
        known = self._shards.setdefault(shard, _Shard(time.monotonic()))
        self.ever = True
        known.behind, known.left = behind_millis, None
        with self.work(shard):
            yield

    @contextmanager
    def work(self, shard: str) -> Iterator[None]:
        """For as long as the block lasts there is nothing to read: we work on what was read."""
        known = self._shards.setdefault(shard, _Shard(time.monotonic()))
        known.failure, known.at_work = None, True
        try:
            yield
        finally:
            known.at_work, known.read_at = False, time.monotonic()

    def left(self, shard: str, arrival_millis: int | None) -> None:
        """A conversation ended; the oldest of its records that is not durable arrived then (ms since the epoch)."""
        if known := self._shards.get(shard):
            known.left = arrival_millis

    def failed(self, shard: str | None, reason: str, text: str) -> None:
        """The daemon's log shows a read that failed; without a shard it concerns each that is not read."""
        failure = Failure(reason, text, time.monotonic())
        if shard is None:
            self._daemon = failure
        elif known := self._shards.get(shard):
            known.failure = failure

    def age(self, shard: str) -> float:
        """Seconds since the last successful read; 0 while we work on what it brought."""
        known = self._shards.get(shard)
        return 0.0 if known is None or known.at_work else time.monotonic() - known.read_at

    def lag(self, shard: str, oldest_seconds: float = 0.0) -> float:
        """See the function of this name; `oldest_seconds` of the conversation, if there is one."""
        known = self._shards.get(shard)
        if known is None:
            return oldest_seconds
        left = 0.0 if known.left is None else time.time() - known.left / 1000
        return lag(max(oldest_seconds, left), known.behind, self.age(shard))

    def unread(self, seconds: float = UNREAD_SECONDS) -> list[Unread]:
        """The shards that have not been read for so long, with what the log said of it."""
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
        """The last one since the last successful read; what concerns the shard itself before what concerns all."""
        known = self._shards[shard]
        if known.failure:
            return known.failure
        return self._daemon if self._daemon and self._daemon.at > known.read_at else None
