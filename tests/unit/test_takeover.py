"""Whose leases are taken, when, and by whom."""

from typing import Any

from consumer.takeover import LOOK, Lost, Takeover

LEASE = 10.0


def row(owner: str | None, counter: int, checkpoint: str = "17", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"checkpoint": {"S": checkpoint}, "leaseCounter": {"N": str(counter)}, **more}
    return found | ({"leaseOwner": {"S": owner}} if owner else {})


def watch(me: str, *tables: dict[str, dict[str, Any]], gap: float = LOOK) -> list[Lost]:
    """What the last of some looks, one every `gap` seconds, says."""
    takeover = Takeover(me, LEASE)
    taken: list[Lost] = []
    for number, rows in enumerate(tables):
        taken = takeover.look(rows, 1000 + number * gap)
    return taken


def test_leases_that_nobody_renews_for_longer_than_they_last_are_taken() -> None:
    tables = [{"a": row("lost", 7), "b": row("me", n)} for n in range(4)]
    assert watch("me", *tables[:3]) == []
    assert watch("me", *tables) == [Lost("a", "lost", 7)]


def test_a_worker_without_leases_takes_them_too() -> None:
    assert watch("me", *[{"a": row("lost", 7)}] * 4) == [Lost("a", "lost", 7)]


def test_a_worker_that_renews_one_of_its_leases_is_not_lost() -> None:
    assert watch("me", *({"a": row("other", 7), "b": row("other", n)} for n in range(9))) == []


def test_nothing_is_taken_while_our_own_leases_stand_still() -> None:
    assert watch("me", *[{"a": row("other", 7), "b": row("me", 3)}] * 9) == []


def test_after_a_time_without_looks_watching_begins_anew() -> None:
    assert watch("me", *({"a": row("lost", 7), "b": row("me", n)} for n in range(9)), gap=LEASE + 1) == []


def test_finished_and_free_leases_are_left_alone() -> None:
    assert watch("me", *[{"a": row("lost", 7, "SHARD_END"), "b": row(None, 1)}] * 9) == []


def test_a_lease_that_a_lost_worker_was_handing_over_is_still_its_own() -> None:
    tables = [{"a": row("me", 7, checkpointOwner={"S": "lost"}), "b": row("me", n)} for n in range(4)]
    assert watch("me", *tables) == [Lost("a", "me", 7)]


def test_the_survivors_share_what_is_left_and_leave_none() -> None:
    tables = [
        {"a": row("lost", 7), "b": row("lost", 7), "c": row("lost", 7), "x": row("me", n), "y": row("other", n)}
        for n in range(4)
    ]
    mine, others = ({lost.shard for lost in watch(worker, *tables)} for worker in ("me", "other"))
    assert mine | others == {"a", "b", "c"}
    assert not mine & others


def test_who_does_not_care_for_its_share_is_not_waited_for() -> None:
    tables = [{"a": row("lost", 7), "x": row("me", n), "y": row("other", n)} for n in range(6)]
    assert {lost.shard for count in (4, 5) for lost in watch("me", *tables[:count])} == {"a"}


def test_leases_without_a_living_owner_are_known_ours_too() -> None:
    tables = [{"a": row("lost", 7), "b": row("other", n), "c": row(None, 1), "d": row("me", 7)} for n in range(4)]
    takeover = Takeover("me", LEASE)
    unowned = []
    for number, rows in enumerate(tables):
        takeover.look(rows, 1000 + number * LOOK)
        unowned.append(takeover.unowned(rows))
    assert unowned[:3] == [{"c"}] * 3
    assert unowned[3] == {"a", "c", "d"}


def test_a_lease_that_is_being_handed_over_has_an_owner() -> None:
    rows = {"a": row("me", 7, checkpointOwner={"S": "other"})}
    takeover = Takeover("me", LEASE)
    takeover.look(rows, 1000)
    assert takeover.unowned(rows) == set()
