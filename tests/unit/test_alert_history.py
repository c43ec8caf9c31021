"""The history of alerts, read from sixteen partitions in pages, newest first."""

import json
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.functions.alert.episodes import Notice, State
from infra.functions.alert.store import Store
from producer.aws.errors import UserError
from producer.ops import alert_history
from producer.ops.alert_history import LAST, AlertHistory, Page, as_text

T0 = 1_767_268_800_000


class Table:
    """What DynamoDB's Query gives of rows that the alert function's store puts."""

    def __init__(self) -> None:
        self.parts: dict[str, list[tuple[str, Any]]] = {}
        self.asked: list[str] = []

    def transact_write_items(self, TransactItems: list[Any]) -> None:
        for item in (each["Put"]["Item"] for each in TransactItems):
            self.parts.setdefault(item["Part"]["S"], []).append((item["Id"]["S"], item))
            self.parts[item["Part"]["S"]].sort(key=lambda each: each[0])

    def query(self, **asked: Any) -> dict[str, Any]:
        part, before, after, *device = (each["S"] for each in asked["ExpressionAttributeValues"].values())
        self.asked.append(part)
        rows = self.parts.get(part, [])
        end = bisect_right(rows, before, key=lambda each: each[0])
        inside = [row for name, row in rows[:end] if name >= after][::-1]
        seen = inside[: asked["Limit"]]
        found = [row for row in seen if not device or device[0] in row["Notice"]["S"]]
        last = {"LastEvaluatedKey": {"Id": seen[-1]["Id"]}} if len(inside) > len(seen) else {}
        return {"Items": found, **last}


def begin(table: Table, device: str, at: int) -> State:
    """An episode of `dry` that begins at that time (ms), named after it and the device."""
    return _put(table, State(device, "dry", f"e-{device}-{at}", True, at, at, 1), "open", "20")


def end(table: Table, state: State, at: int) -> None:
    _put(table, State(state.device, "dry", state.episode, False, at, at, 2), "recovered", "38")


def _put(table: Table, state: State, what: str, value: str) -> State:
    name = f"{state.episode}-{what}"
    made = Notice(name, state.episode, state.device, "dry", "threshold", "warning", what, value, "35", T0, T0, False)
    Store(table, "alerts").change(None, state, made, 0, 0)
    return state


def pages(history: AlertHistory, device: str | None = None) -> Iterator[Page]:
    page = history.page(device=device)
    yield page
    while page.next:
        page = history.page(page.next, device=device)
        yield page


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 60), st.none() | st.integers(0, 60)),
        max_size=60,
        unique_by=lambda life: life[:2],
    ),
    st.integers(2, 9),
    st.integers(2, 9),
)
def test_pages_have_each_notice_once_newest_first_and_episodes_their_ends(
    lives: list[tuple[int, int, int | None]], of_all: int, of_one: int
) -> None:
    """Whatever is in one partition, and however few rows a request reads."""
    table = Table()
    expected: dict[tuple[str, str], bool] = {}
    for device, began, lasted in lives:
        state = begin(table, f"d{device}", T0 + began * 1000)
        expected[state.device, state.episode] = lasted is None
        if lasted is not None:
            end(table, state, T0 + (began + lasted) * 1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alert_history, "OF_ALL", of_all)
        patch.setattr(alert_history, "OF_ONE", of_one)
        history = AlertHistory(table, "alerts")
        ids = [each.id for page in pages(history) for each in page.notices]
        assert ids == sorted(
            {row["Id"]["S"] for name, rows in table.parts.items() for _, row in rows if name[0] == "h"}, reverse=True
        )
        found = list(history.episodes())
        assert {(each.began.device, each.began.episode): each.ended is None for each in found} == expected
        assert [each.began.id for each in found] == sorted((each.began.id for each in found), reverse=True)
        assert [each for each in found if not each.ended] == list(history.episodes(only_open=True))
        for name in ("d1", "d11"):
            assert list(history.episodes(name)) == [each for each in found if each.began.device == name]


def test_a_page_is_one_request_for_each_partition_and_for_a_device_one() -> None:
    table = Table()
    for n in range(3000):
        end(table, begin(table, f"device-{n}", T0 + n), T0 + n + 500)
    history = AlertHistory(table, "alerts")
    first = next(pages(history))
    assert sorted(table.asked) == [f"history#{part:02}" for part in range(16)]
    assert 16 * 50 < len(first.notices) <= 16 * 100
    table.asked.clear()
    assert [each.device for page in pages(history, "device-7") for each in page.notices] == ["device-7"] * 2
    assert len(table.asked) == 1


def test_what_is_new_is_asked_for_by_its_time() -> None:
    table = Table()
    for n in range(10):
        begin(table, f"device-{n}", T0 + n * 1000)
    found = AlertHistory(table, "alerts").page(LAST, "2026-01-01T12:00:07")
    assert [each.device for each in found.notices] == ["device-9", "device-8", "device-7"]
    assert found.next is None


def test_episodes_as_json_and_as_text() -> None:
    table = Table()
    end(table, begin(table, 'so"il é', T0), T0 + 60_000)
    begin(table, "basil", T0 + 1000)
    basil, soil = AlertHistory(table, "alerts").episodes()
    assert json.loads(json.dumps(soil.as_json())) == {
        "episode": f'e-so"il é-{T0}', "device": 'so"il é', "rule": "dry", "severity": "warning", "state": "open",
        "began": "2026-01-01T12:00:00.000Z", "ended": "2026-01-01T12:01:00.000Z", "open": False,
        "value": "20", "endValue": "38", "limit": "35",
    }  # fmt: skip
    assert (basil.as_json()["open"], basil.as_json()["ended"]) == (True, None)
    assert [line.split() for line in as_text([basil]).splitlines()][1] == [
        "2026-01-01T12:00:01.000Z", "open", "basil", "dry", "warning", "20",
    ]  # fmt: skip
    [only] = AlertHistory(table, "alerts").episodes('so"il é')
    assert only == soil


def test_without_a_policy_there_is_no_history() -> None:
    with pytest.raises(UserError, match="no AlertPolicy"):
        AlertHistory(Table(), None).page()
