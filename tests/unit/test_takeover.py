"""Whose leases are taken, when, and by whom."""

from typing import Any

import pytest

from consumer.kcl.lease_takeover import LOOK_SECONDS, MAX_HAND_OVER, Lost, Takeover

LEASE = 10.0


HANDED: dict[str, Any] = {"checkpointOwner": {"S": "old"}}


def row(owner: str | None, counter: int, checkpoint: str = "17", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"checkpoint": {"S": checkpoint}, "leaseCounter": {"N": str(counter)}, **more}
    return found | ({"leaseOwner": {"S": owner}} if owner else {})


def watch(me: str, *tables: dict[str, dict[str, Any]], gap: float = LOOK_SECONDS) -> list[Lost]:
    """What the last of some looks, one every `gap` seconds, says."""
    takeover = Takeover(me, LEASE)
    taken: list[Lost] = []
    for number, rows in enumerate(tables):
        taken = takeover.look(rows, 1000 + number * gap)
    return taken


def test_leases_that_are_not_renewed_for_longer_than_they_last_are_taken() -> None:
    tables = [{"a": row("lost", 7), "b": row("me", n)} for n in range(4)]
    assert watch("me", *tables[:3]) == []
    assert watch("me", *tables) == [Lost("a", "lost", 7, "me")]


def test_a_worker_without_leases_takes_them_too() -> None:
    assert watch("me", *[{"a": row("lost", 7)}] * 4) == [Lost("a", "lost", 7, "me")]


def test_a_worker_that_renews_one_of_its_leases_is_not_lost() -> None:
    assert watch("me", *({"a": row("other", 7), "b": row("other", n)} for n in range(9))) == []


def test_nothing_is_taken_while_our_own_leases_stand_still() -> None:
    assert watch("me", *[{"a": row("other", 7), "b": row("me", 3)}] * 9) == []


@pytest.mark.parametrize("lease", [10.0, 30.0, 60.0, 120.0, 300.0])
@pytest.mark.parametrize("handed", [False, True])
def test_long_leases_are_taken_as_soon_as_they_have_expired(lease: float, handed: bool) -> None:
    """Two survivors, who renew theirs at a third of the time: most looks see nothing new of them."""
    survivors = [Takeover(worker, lease) for worker in ("me", "other")]
    for look in range(int(5 * lease / LOOK_SECONDS)):
        now = look * (LOOK_SECONDS + 0.02)  # a look takes some time itself
        rows = {"a": row("lost", min(look, 1), **(HANDED if handed else {}))}
        rows |= {worker: row(worker, int(3 * now / lease)) for worker in ("me", "other")}
        taken = [takeover.look(rows, 1000 + now) for takeover in survivors]
        if any(taken):
            break
    assert any(taken)
    assert lease < now - LOOK_SECONDS <= lease + 2 * LOOK_SECONDS


def test_after_a_time_without_looks_watching_begins_again() -> None:
    assert watch("me", *({"a": row("lost", 7), "b": row("me", n)} for n in range(9)), gap=LEASE + 1) == []


def test_finished_and_free_leases_are_left_alone() -> None:
    assert watch("me", *[{"a": row("lost", 7, "SHARD_END"), "b": row(None, 1)}] * 9) == []


@pytest.mark.parametrize("owner", ["me", "other", "lost", "old", None])
def test_a_hand_over_without_progress_is_taken_from_any_owners(owner: str | None) -> None:
    """`old` is alive: it was started again under its id, and renews `b`. The leader never gives `old` this lease."""
    tables = [{"a": row(owner, 7, **HANDED), "b": row("old", n), "x": row("me", n)} for n in range(6)]
    assert watch("me", *tables[:3]) == []
    (taken,) = watch("me", *tables[:4])
    assert taken == Lost("a", owner, 7, taken.new_owner, "old")
    assert taken.new_owner in ("me", "old")


def test_a_worker_takes_its_own_hand_over_that_stands_still() -> None:
    for others in ({}, {"b": row("me", 3)}):
        tables = [{"a": row("lost", 7, checkpointOwner={"S": "me"})} | others for _ in range(4)]
        assert watch("me", *tables) == ([] if others else [Lost("a", "lost", 7, "me", "me")]), (
            "not while ours stand still too"
        )
    moving = [{"a": row("lost", 7, checkpointOwner={"S": "me"}), "b": row("me", n)} for n in range(4)]
    assert watch("me", *moving) == [Lost("a", "lost", 7, "me", "me")]


def test_a_hand_over_that_goes_on_is_left_alone_however_long_it_takes() -> None:
    """30 s, by the KCL's default; the old owner renews the lease meanwhile. Its other leases may be lost."""
    tables = [{"a": row("other", n, **HANDED), "b": row("me", n)} for n in range(9)]
    assert watch("me", *tables) == []
    assert watch("me", *({"a": row("old", n), "b": row("me", n)} for n in range(3)), *tables[3:]) == []
    assert watch("other", *({**rows, "c": row("old", 1)} for rows in tables[:4])) == [Lost("c", "old", 1, "other")]


def test_a_hand_over_that_never_ends_is_taken_although_it_is_renewed() -> None:
    """As by an old owner that was waiting for the shard's parents: KCL 3.1.3 shuts its consumer down, and renews on."""
    takeover = Takeover("me", LEASE)
    taken, owned = {}, {}
    for number in range(25):
        rows = {"a": row("other", number, **HANDED), "b": row("me", number), "c": row("old", number)}
        taken[number * LOOK_SECONDS] = takeover.look(rows, 1000 + number * LOOK_SECONDS)
        owned[number * LOOK_SECONDS] = takeover.held == rows.keys()
    first = min(seconds for seconds, found in taken.items() if found)
    assert 30 + LEASE < MAX_HAND_OVER + 3 * LEASE < first <= MAX_HAND_OVER + 3 * LEASE + 3 * LOOK_SECONDS
    assert taken[first] == [Lost("a", "other", int(first / LOOK_SECONDS), "me", "old")]
    assert owned[60]
    assert not owned[first]


def test_a_hand_over_that_begins_does_not_make_the_old_owner_live_longer() -> None:
    """It leaves the counter as it is."""
    tables = [{"a": row("old", 7), "c": row("old", 3), "b": row("me", n)} for n in range(2)]
    tables += [{"a": row("me", 7, **HANDED), "c": row("old", 3), "b": row("me", n)} for n in range(2, 4)]
    assert watch("me", *tables) == [Lost("a", "me", 7, "me", "old"), Lost("c", "old", 3, "me")]


def test_what_is_left_is_shared_among_the_survivors_and_those_with_the_fewest_leases_get_more() -> None:
    tables = [
        {shard: row("lost", 7) for shard in "abcde"}
        | {"v": row("one", n), "w": row("one", n), "x": row("me", n), "y": row("other", n), "z": row("slow", 1)}
        for n in range(4)
    ]
    shares: dict[str, list[str]] = {}
    for lost in watch("me", *tables):
        shares.setdefault(lost.new_owner, []).append(lost.shard)
    assert shares == {"me": ["a", "d"], "other": ["b", "e"], "one": ["c", "z"]}
    assert watch("other", *tables) == watch("me", *tables), "whoever watches: only one of equal writes succeeds"


def test_nothing_is_given_to_a_worker_that_may_be_lost_too() -> None:
    """Of two workers lost at once, one renewed its leases a little later."""
    tables = [{"a": row("lost", 7), "b": row("late", min(n, 1)), "c": row("me", n)} for n in range(4)]
    assert watch("me", *tables) == [Lost("a", "lost", 7, "me")]


def test_the_living_workers_are_known() -> None:
    takeover = Takeover("me", LEASE)
    for n in range(4):
        takeover.look({"a": row("lost", 7), "b": row("other", n), "c": row(None, n), "d": row("me", 7)}, 1000.0 + 5 * n)
    assert takeover.workers == {"other", "me"}


def test_leases_without_a_living_owner_are_known_ours_too() -> None:
    tables = [{"a": row("lost", 7), "b": row("other", n), "c": row(None, 1), "d": row("me", 7)} for n in range(4)]
    takeover = Takeover("me", LEASE)
    held = []
    for number, rows in enumerate(tables):
        takeover.look(rows, 1000 + number * LOOK_SECONDS)
        held.append(takeover.held)
    assert held[:3] == [{"a", "b", "d"}] * 3
    assert held[3] == {"b"}


@pytest.mark.parametrize("owner", ["me", "other", None])
def test_a_lease_that_is_being_handed_over_has_an_owner_as_long_as_it_is_renewed(owner: str | None) -> None:
    takeover = Takeover("me", LEASE)
    for number, counter in enumerate((7, 8, 9, 10, 11, 11, 11, 11)):
        rows = {"a": row(owner, counter, checkpointOwner={"S": "other"})}
        takeover.look(rows, 1000 + number * LOOK_SECONDS)
        assert takeover.held == ({"a"} if number < 7 else set())


def test_a_lease_read_between_two_looks_shows_whether_its_owner_lives() -> None:
    takeover = Takeover("me", LEASE)
    takeover.look({"a": row("other", 1), "b": row("me", 1)}, 1000.0)
    assert takeover.lease_of("other") == "a"
    assert takeover.lease_of("unknown") is None
    key: dict[str, Any] = {"leaseKey": {"S": "a"}}
    assert takeover.alive("other", row("other", 2, **key), 1500.0)
    assert takeover.alive("other", row("other", 2, **key), 1505.0)
    assert not takeover.alive("other", row("other", 2, **key), 1505.1)
    assert takeover.alive("other", row("other", 3, **key), 1505.2)
    assert not takeover.alive("other", row("me", 4, **key), 1505.3)
    assert not takeover.alive("other", {}, 1505.3)
