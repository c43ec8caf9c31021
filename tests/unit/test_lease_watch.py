"""Who watches: enough workers at any time, in turn, and each long enough."""

import pytest

from consumer.kcl.lease_takeover import LOOK_SECONDS, MAX_HAND_OVER
from consumer.kcl.lease_watch import SEATS, STAND_INS, spread, stands_in_for, term_seconds, watches

LEASE = 10.0


def fleet(size: int) -> frozenset[str]:
    return frozenset(f"task-{number}" for number in range(size))


def watching(workers: frozenset[str], now: float, lease: float = LEASE) -> set[str]:
    return {worker for worker in workers if watches(worker, workers, now, lease)}


@pytest.mark.parametrize("size", [0, 1, SEATS])
def test_a_small_fleet_watches_all_the_time(size: int) -> None:
    assert all(watching(fleet(size), now) == fleet(size) for now in range(0, 10_000, 37))


@pytest.mark.parametrize("size", [3, 10, 1000])
def test_there_are_always_two_watchers_and_for_a_moment_their_successors(size: int) -> None:
    counts = [len(watching(fleet(size), now)) for now in range(1_800_000_000, 1_800_003_000, 37)]
    assert min(counts) == SEATS
    assert max(counts) <= SEATS + 1 or size == 3
    assert sum(counts) / len(counts) < SEATS * 1.15


@pytest.mark.parametrize("lease", [2.0, 10.0, 300.0])
@pytest.mark.parametrize("size", [3, 4, 50])
def test_when_a_watcher_is_lost_another_has_been_watching_for_longer_than_a_lease(size: int, lease: float) -> None:
    began: dict[str, float] = {}
    for look in range(int(20 * term_seconds(lease) / LOOK_SECONDS)):
        now = 1_800_000_000 + look * LOOK_SECONDS
        began = {worker: began.get(worker, now) for worker in watching(fleet(size), now, lease)}
        if look * LOOK_SECONDS > term_seconds(lease):
            experienced = [worker for worker, since in began.items() if now - since >= lease]
            assert len(experienced) >= 2 or size == 3, now
            assert experienced


@pytest.mark.parametrize("size", [6, 7, 1000])
def test_each_watcher_has_stand_ins_that_do_not_watch(size: int) -> None:
    workers = fleet(size)
    for now in range(1_800_000_000, 1_800_003_000, 61):
        stand_ins = {worker: stands_in_for(worker, workers, now, LEASE) for worker in workers}
        watchers = watching(workers, now)
        assert frozenset[str]().union(*stand_ins.values()) == watchers
        for watcher in watchers:
            standing = [worker for worker, of in stand_ins.items() if watcher in of]
            assert len(standing) >= STAND_INS
            assert len(set(standing) - watchers) >= STAND_INS - (len(watchers) - SEATS)


def test_when_the_watchers_are_gone_their_first_stand_ins_watch() -> None:
    workers = fleet(50)
    for now in range(1_800_000_000, 1_800_003_000, 61):
        watchers = watching(workers, now)
        heirs = watching(workers - watchers, now)
        assert all(stands_in_for(heir, workers, now, LEASE) for heir in heirs - watchers)


def test_workers_spread_their_looks() -> None:
    spreads = [spread(worker) for worker in fleet(1000)]
    assert 1 <= min(spreads) < 1.01
    assert 1.99 < max(spreads) < 2
    assert 1.45 < sum(spreads) / 1000 < 1.55


def test_a_watcher_stays_long_enough_to_see_a_hand_over_that_does_not_end() -> None:
    for lease in (2.0, 10.0, 300.0):
        assert term_seconds(lease) > MAX_HAND_OVER + 3 * lease + LOOK_SECONDS


def test_every_worker_has_its_turn() -> None:
    seen: set[str] = set()
    for number in range(200):
        seen |= watching(fleet(20), 1_800_000_000 + number * term_seconds(LEASE))
    assert seen == fleet(20)


def test_one_worker_more_or_less_seldom_changes_who_watches() -> None:
    """So workers that have not seen the same fleet mostly draw the same watchers."""
    times = range(1_800_000_000, 1_800_060_000, 300)
    same = sum(watching(fleet(100), now) == watching(fleet(101), now) - {"task-100"} for now in times)
    assert same > 0.9 * len(times)


def test_a_fleet_in_which_no_worker_knows_of_its_replacements_is_watched_most_of_the_time() -> None:
    """After a deployment of everything at once each worker has seen the old fleet only: then each of the two seats is
    taken with a probability of a half."""
    old = frozenset(f"old-{number}" for number in range(60))
    times = range(1_800_000_000, 1_800_060_000, 300)
    counts = [sum(watches(worker, old, now, LEASE) for worker in fleet(60)) for now in times]
    assert sum(count > 0 for count in counts) > 0.65 * len(times)
    assert sum(counts) / len(counts) < 2 * SEATS
