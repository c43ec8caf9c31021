"""Pure: which workers watch the lease table, chosen without talking. docs/decisions/0026-watch.md says why.

Every worker draws the watchers, and who stands in for them, from the workers that it has seen, by a hash of name and
time. Workers that have seen the same draw the same; one that has seen others may watch needlessly, or not although it
should. Neither is unsafe, as only one of any number of takeovers of a lease succeeds.
"""

import hashlib
from collections.abc import Set
from functools import lru_cache
from itertools import product
from typing import Final

from consumer.kcl.lease_takeover import LOOK_SECONDS, MAX_HAND_OVER

SEATS: Final = 2
"""Watchers at a time, so that the loss of a watcher is seen by the other."""
STAND_INS: Final = 2
"""For each seat: they look whether its watcher is alive, as both watchers may be lost at once."""


def term_seconds(lease_seconds: float) -> float:
    """How long a worker has a seat: long enough to see a hand-over that does not end."""
    return MAX_HAND_OVER + 6 * lease_seconds


def watches(me: str, workers: Set[str], now: float, lease_seconds: float) -> bool:
    """Whether `me` watches at `now` (Unix time, seconds): it has a seat, or will have one when it has watched for
    longer than a lease lasts, and so can tell who is lost."""
    return any(seat[:1] == (me,) for seat in _seats(me, workers, now, lease_seconds))


def stands_in_for(me: str, workers: Set[str], now: float, lease_seconds: float) -> frozenset[str]:
    """The watchers, at `now` or soon, whose seat `me` takes when they show no sign of life."""
    return frozenset(seat[0] for seat in _seats(me, workers, now, lease_seconds) if me in seat[1:])


def spread(me: str) -> float:
    """Between 1 and 2, a worker's own: workers that were started together do not read all rows together for long."""
    return 1 + int.from_bytes(_rank(me, 0, 0)) / 2**64


def _seats(me: str, workers: Set[str], now: float, lease_seconds: float) -> list[tuple[str, ...]]:
    """For each seat, now and soon: its watcher, then those that stand in for it."""
    known = frozenset(workers if me in workers else workers | {me})
    times = [at / term_seconds(lease_seconds) for at in (now, now + lease_seconds + LOOK_SECONDS)]
    # The seats do not change hands at the same time.
    terms = {tuple(int(time + seat / SEATS) for seat in range(SEATS)) for time in times}
    return [seat for each in terms for seat in _drawn(known, each)]


@lru_cache(maxsize=8)
def _drawn(workers: frozenset[str], terms: tuple[int, ...]) -> list[tuple[str, ...]]:
    """For each seat, in the term that it is in, its watcher and its stand-ins. A worker has one place at most. When a
    watcher is gone, the first of its stand-ins has the seat."""
    orders = [sorted(workers, key=lambda worker: _rank(worker, seat, term)) for seat, term in enumerate(terms)]
    drawn: list[list[str]] = [[] for _ in orders]
    taken: set[str] = set()
    for _, (order, seat) in product(range(1 + STAND_INS), list(zip(orders, drawn, strict=True))):
        if left := next((worker for worker in order if worker not in taken), None):
            seat.append(left)
            taken.add(left)
    return [tuple(seat) for seat in drawn]


def _rank(worker: str, seat: int, term: int) -> bytes:
    return hashlib.blake2b(f"{seat} {term} {worker}".encode(), digest_size=8).digest()
