"""Episodes of devices whose clocks are ahead, or whose names are long."""

import json
from decimal import Decimal
from typing import Any

import pytest

from infra.functions.alert import minute
from infra.functions.alert.episodes import Notice, State
from infra.functions.alert.fleet import Point
from infra.functions.alert.policy import parse
from infra.functions.alert.service import Alerts, Words
from infra.functions.alert.store import Store

T0 = 1_767_268_800_000
MINUTE, HOUR = 60_000, 3_600_000


class Kept:
    """In the table's place."""

    def __init__(self) -> None:
        self.kept: dict[str, State] = {}
        self.made: list[str] = []

    def states(self, _device: str, _rules: list[str]) -> dict[str, State]:
        return dict(self.kept)

    def change(self, _before: State | None, after: State, notice: Notice, _cooldown: int, _lease: int) -> bool:
        self.kept[after.rule] = after
        self.made.append(notice.state)
        return True

    def count(self, _minute: int) -> int:
        return 1_000


class Rows:
    """In the place of the devices' rows: (time, value) of one device, the newest last."""

    def __init__(self) -> None:
        self.points: list[Point] = []

    def before(self, _device: str, at: int) -> Point | None:
        return next((point for point in self.points[::-1] if point.at < at), None)

    def newest(self, _device: str) -> list[Point]:
        return self.points[::-1][:2]


class Ahead:
    """A device whose clock is an hour ahead."""

    def __init__(self, rule: dict[str, Any]) -> None:
        self.now, self.store, self.rows = T0, Kept(), Rows()
        store: Any = self.store
        rows: Any = self.rows
        policy = parse(json.dumps({"rules": [rule]}), "below", "35")
        self.alerts = Alerts(policy, store, rows, lambda **_: None, Words("Humidity", "below", ""), lambda: self.now)

    def sends(self, value: int) -> None:
        """A reading, a minute after the one before."""
        self.now += MINUTE
        self.rows.points.append(Point(self.now + HOUR, Decimal(value)))
        if value < 35:
            self.alerts.reading("soil", Decimal(value), str(value), self.now + HOUR)
        for state in self.store.kept.values():
            if state.open:
                minute._look_at(self.alerts, state)


def test_a_device_whose_clock_is_ahead_has_its_next_episode_after_a_recovery() -> None:
    device = Ahead({"name": "dry"})
    for value in (20, 40, 20, 40):
        device.sends(value)
        device.now += MINUTE
    assert device.store.made == ["open", "recovered"] * 2


def test_a_change_is_that_between_the_times_of_the_device() -> None:
    device = Ahead({"name": "falling", "change": 5})
    for value in range(99, 20, -1):
        device.sends(value)
    assert device.store.made == []
    device.sends(14)
    assert device.store.made == ["open"]


@pytest.mark.parametrize("device", ["soil", "😀" * 256, "x" * 2048])
def test_a_states_key_is_one_that_the_table_takes_however_long_a_name(device: str) -> None:
    asked: list[str] = []

    class Table:
        def batch_get_item(self, RequestItems: Any) -> Any:
            asked.extend(key["Id"]["S"] for key in RequestItems["alerts"]["Keys"])
            return {"Responses": {}}

    for name in (device, device[:-1] + "y"):
        assert Store(Table(), "alerts").states(name, ["a" * 32, "dry"]) == {}
    assert len(set(asked)) == 4
    assert max(len(each.encode()) for each in asked) <= 1024
