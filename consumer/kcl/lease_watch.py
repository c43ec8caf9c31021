"""Pure: which workers watch the lease table, chosen without talking. docs/decisions/0026-watch.md says why.

Every worker draws the watchers from the workers that it has seen, by a hash of name and time. Workers that have seen
the same draw the same; one that has seen others may watch needlessly, or not although it should. Neither is unsafe, as
only one of any number of takeovers of a lease succeeds.
"""

import hashlib
from collections.abc import Set
from functools import lru_cache
from typing import Final

from consumer.kcl.lease_takeover import LOOK_SECONDS, MAX_HAND_OVER

SEATS: Final = 2
"""Watchers at a time, so that the loss of a watcher is seen by the other."""


def term_seconds(lease_seconds: float) -> float:
    """How long a worker has a seat: long enough to see a hand-over that does not end."""
    return MAX_HAND_OVER + 6 * lease_seconds


def watches(me: str, workers: Set[str], now: float, lease_seconds: float) -> bool:
    """Whether `me` watches at `now` (Unix time, seconds): it has a seat, or will have one when it has watched for
    longer than a lease lasts, and so can tell who is lost."""
    known = frozenset(workers | {me})
    times = [at / term_seconds(lease_seconds) for at in (now, now + lease_seconds + LOOK_SECONDS)]
    # The seats do not change hands at the same time.
    terms = [tuple(int(time + seat / SEATS) for seat in range(SEATS)) for time in times]
    return any(me in _drawn(known, each) for each in terms)


@lru_cache(maxsize=8)
def _drawn(workers: frozenset[str], terms: tuple[int, ...]) -> frozenset[str]:
    """The watchers: one for each seat, in the term that it is in; all if they are fewer."""
    drawn: list[str] = []
    for seat, term in enumerate(terms):
        if left := [(_rank(worker, seat, term), worker) for worker in workers.difference(drawn)]:
            drawn.append(min(left)[1])
    return frozenset(drawn)


def _rank(worker: str, seat: int, term: int) -> bytes:
    return hashlib.blake2b(f"{seat} {term} {worker}".encode(), digest_size=8).digest()
