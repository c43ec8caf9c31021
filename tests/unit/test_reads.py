"""Lag and age of reads through work, idleness, a backlog and an outage."""

import pytest

from consumer.kcl.read_errors import REASONS
from consumer.pipeline import reads as module
from consumer.pipeline.reads import FRESH_SECONDS, UNREAD_SECONDS, Reads, lag


class Clock:
    """Both clocks, set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000 + self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("oldest", "behind", "age", "expected"),
    [
        (0, 0, 0.2, 0),  # caught up and idle
        (0, 0, FRESH_SECONDS, 0),
        (42, 0, 0.2, 42),  # an open archive object
        (600, 5_000, 0, 600),  # at work on a delivery that the table does not take
        (0, 90_000, 0, 90),  # a backlog
        (3, 90_000, 1, 91),
        (0, 0, FRESH_SECONDS + 1, FRESH_SECONDS + 1),  # what came since is unknown
        (0, 0, 3600, 3600),
        (60, 0, 3600, 3600),
        (0, 30_000, 3600, 3630),
        (0, None, 5, 5),  # never read
    ],
)
def test_the_lag_is_the_age_of_the_oldest_record_that_is_not_durable(
    oldest: float, behind: int | None, age: float, expected: float
) -> None:
    assert lag(oldest, behind, age) == expected


def test_through_an_outage_age_and_lag_grow_also_over_restarts_and_fall_with_the_next_read(clock: Clock) -> None:
    reads = Reads()
    reads.hold({"a"})
    with reads.delivery("a", 0):
        clock.now += 500  # a slow sink: that is no failed read
        assert (reads.age("a"), reads.lag("a", 500.0)) == (0, 500)
    assert reads.lag("a") == 0
    clock.now += UNREAD_SECONDS + 1
    reads.failed("a", "access-denied", "no")
    assert reads.age("a") == reads.lag("a") == UNREAD_SECONDS + 1
    reads.left("a", None)  # the daemon is started again
    reads.hold({"a"})
    clock.now += 100
    assert reads.age("a") == reads.lag("a") == UNREAD_SECONDS + 101
    assert reads.failing() == {reason: int(reason == "access-denied") for reason in REASONS}
    with reads.delivery("a", 160_000):
        assert reads.age("a") == 0
        assert reads.lag("a") == 160
    assert not any(reads.failing().values())
    assert reads.unread() == []


def test_what_was_in_hand_when_a_conversation_ended_still_waits(clock: Clock) -> None:
    reads = Reads()
    with reads.delivery("a", 0):
        pass
    reads.left("a", int((clock.time() - 50) * 1000))
    assert reads.lag("a") == pytest.approx(50)
    clock.now += 5
    assert reads.lag("a") == pytest.approx(55)
    with reads.delivery("a", 0):  # the records come again, in hand
        pass
    assert reads.lag("a") == 0


def test_a_lease_that_was_never_served_counts_from_when_it_became_ours(clock: Clock) -> None:
    reads = Reads()
    reads.hold({"a"})
    clock.now += 61
    assert [(each.shard, each.reason) for each in reads.unread()] == [("a", "other")]
    reads.hold({"a", "b"})
    assert [each.shard for each in reads.unread()] == ["a"]
    reads.hold({"b"})
    assert reads.held == ["b"]
    reads.hold({"a", "b"})  # it was another worker's meanwhile
    assert reads.unread() == []


def test_a_failure_without_a_shard_concerns_each_that_is_not_read_since(clock: Clock) -> None:
    reads = Reads()
    reads.hold({"a", "b"})
    clock.now += 1
    reads.failed(None, "credentials", "expired")
    reads.failed("b", "kms", "disabled")
    clock.now += UNREAD_SECONDS
    assert {each.shard: each.reason for each in reads.unread()} == {"a": "credentials", "b": "kms"}
    with reads.delivery("a", 0):
        pass
    clock.now += UNREAD_SECONDS + 1
    assert {each.shard: each.reason for each in reads.unread()} == {"a": "other", "b": "kms"}
