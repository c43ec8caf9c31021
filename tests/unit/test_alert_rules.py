"""Episodes: measurements in, states and notices out."""

import json
from decimal import Decimal
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from infra.functions.alert.episodes import KEEP, Measured, Notice, State, decide
from infra.functions.alert.policy import Policy, parse

T0 = 1_767_268_800_000
MINUTE = 60_000


def policy(**rule: Any) -> Policy:
    return parse(json.dumps({"rules": [{"name": "dry", **rule}]}), "below", "35")


def run(by: Policy, *steps: tuple[int, float]) -> tuple[State | None, list[Notice]]:
    """(minute, value) in the order in which the function sees them; measured in that minute."""
    state, notices = None, []
    for minute, value in steps:
        at = T0 + minute * MINUTE
        if changed := decide(by, by.rules[0], "soil", state, Measured(Decimal(str(value)), str(value), at), at):
            state, notice = changed
            notices.append(notice)
    return state, notices


def states(by: Policy, *steps: tuple[int, float]) -> list[str]:
    return [notice.state for notice in run(by, *steps)[1]]


def test_an_episode_has_one_beginning_and_one_end() -> None:
    state, notices = run(policy(), (0, 36), (1, 34), (2, 20), (3, 35), (4, 36), (5, 30))
    assert [(n.state, n.value, (n.at - T0) // MINUTE) for n in notices] == [
        ("open", "34", 1), ("recovered", "35", 3), ("open", "30", 5),
    ]  # fmt: skip
    assert notices[0].episode == notices[1].episode != notices[2].episode
    assert len({n.id for n in notices}) == 3
    assert state is not None
    assert (state.open, state.version) == (True, 3)


def test_a_value_within_the_hysteresis_ends_no_episode_and_begins_none() -> None:
    assert states(policy(hysteresis=2), (0, 36), (1, 34), (2, 36.9), (3, 37)) == ["open", "recovered"]


def test_within_the_cooldown_after_an_end_no_episode_begins() -> None:
    by = policy(cooldown=10)
    assert states(by, (0, 34), (1, 36), (2, 34), (10, 34)) == ["open", "recovered"]
    assert states(by, (0, 34), (1, 36), (2, 34), (11, 34)) == ["open", "recovered", "open"]


def test_a_reading_older_than_the_last_change_changes_nothing() -> None:
    by = policy()
    state, _ = run(by, (5, 34), (9, 36))
    late = Measured(Decimal(30), "30", T0 + 8 * MINUTE)
    assert decide(by, by.rules[0], "soil", state, late, T0 + 20 * MINUTE) is None


def test_an_ended_episode_is_remembered_until_its_cooldown_and_lambdas_repetitions_are_over() -> None:
    open_, _ = run(policy(), (0, 34))
    ended, _ = run(policy(), (0, 34), (1, 36))
    assert open_
    assert ended
    assert open_.expires(600) is None
    assert ended.expires(0) == (T0 + MINUTE + KEEP) // 1000
    assert ended.expires(600) == (T0 + 601 * MINUTE) // 1000


def test_without_recovery_the_end_is_for_the_history_only() -> None:
    assert [n.told for n in run(policy(recovery=False), (0, 34), (1, 36))[1]] == [True, False]


STEPS = st.lists(st.tuples(st.integers(0, 120), st.integers(20, 50)), max_size=40)


@given(STEPS, st.integers(0, 5), st.integers(0, 30))
def test_whatever_comes_beginnings_and_ends_alternate_and_are_justified(
    steps: list[tuple[int, int]], hysteresis: int, cooldown: int
) -> None:
    by = policy(hysteresis=hysteresis, cooldown=cooldown)
    _, notices = run(by, *sorted(steps))
    assert [n.state for n in notices] == [("open", "recovered")[i % 2] for i in range(len(notices))]
    assert len({n.id for n in notices}) == len(notices)
    for before, after in pairwise(notices):
        assert after.at > before.at
        if after.state == "open":
            assert after.at - before.at >= cooldown * MINUTE
    for notice in notices:
        assert notice.value
        assert int(notice.value) < 35 if notice.state == "open" else int(notice.value) >= 35 + hysteresis


@given(STEPS)
def test_repeated_measurements_tell_nothing_more(steps: list[tuple[int, int]]) -> None:
    ordered = sorted(steps)
    assert run(policy(), *(step for step in ordered for _ in range(2))) == run(policy(), *ordered)


@given(STEPS, st.lists(st.integers(0, 39)))
def test_what_comes_late_tells_nothing_of_before_the_last_change(steps: list[tuple[int, int]], late: list[int]) -> None:
    """Repetitions of any earlier measurement at the end: at most one more change, since each is older than the last."""
    by, ordered = policy(), sorted(steps)
    state, notices = run(by, *ordered)
    for i in late:
        if i < len(ordered):
            minute, value = ordered[i]
            measured = Measured(Decimal(value), str(value), T0 + minute * MINUTE)
            changed = decide(by, by.rules[0], "soil", state, measured, T0 + 121 * MINUTE)
            assert not changed or changed[1].at > notices[-1].at
