"""The history of alerts as the alert function writes it, read by command and console."""

import json
import os
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest

from infra.functions.alert import minute
from infra.functions.alert.episodes import Measured, State, decide
from infra.functions.alert.policy import Policy, parse
from infra.functions.alert.store import BATCH, _history
from infra.local.emulator import Emulator
from producer.cli import main
from producer.ops.alert_history import AlertHistory, Episode
from tests.component.alert_rig import Rig
from tests.component.strict import Strict
from tests.conftest import Deployed

POLICY = json.dumps({
    "rules": [
        {"name": "dry", "recovery": False}, {"name": "very-dry", "threshold": 10, "severity": "critical"},
        {"name": "silent", "silent": 2, "interval": 15},
    ],
    "digest": 5,
})  # fmt: skip
DEVICES = 40


@pytest.fixture
def rig(tables: str) -> Rig:
    return Rig(tables, POLICY)


def history(rig: Rig) -> AlertHistory:
    return AlertHistory(rig.client, rig.names["alerts"])


def brief(episodes: Iterator[Episode]) -> list[tuple[str, str, str, str | None, str | None]]:
    """Device, rule, state, value, and the value of the end: "" of one that is open."""
    return [
        (e.began.device, e.began.rule, e.began.state, e.began.value, e.ended.value if e.ended else "") for e in episodes
    ]


def test_all_devices_of_a_digest_stand_in_the_history_and_so_do_ends_that_are_not_told(rig: Rig) -> None:
    for number in range(DEVICES):
        rig.reading(f"soil-{number:02}", 20)
        rig.now += 1000
    for number in range(0, DEVICES, 2):
        rig.row(f"soil-{number:02}", 41)
    rig.now += 60_000
    assert minute.run(rig.function())
    assert ("digest", "35") in rig.told()
    found = list(history(rig).episodes())
    assert [each.began.device for each in found] == [f"soil-{number:02}" for number in reversed(range(DEVICES))]
    assert {each.ended.value if each.ended else "" for each in found[1::2]} == {"41"}
    still = [each.began.device for each in history(rig).episodes(only_open=True)]
    assert still == [f"soil-{number:02}" for number in range(DEVICES - 1, 0, -2)]


def test_a_device_has_an_episode_for_each_rule_and_each_spell(rig: Rig) -> None:
    rig.reading("soil", 8)
    rig.reading("other", 20)
    rig.now += 60_000
    rig.row("soil", 20, listed=False)
    minute.run(rig.function())
    rig.now += 60_000
    rig.row("soil", 50)
    minute.run(rig.function())
    rig.now += 31 * 60_000
    minute.run(rig.function())
    rig.now += 1
    rig.reading("soil", 30)
    assert brief(history(rig).episodes("soil"))[:2] == [
        ("soil", "dry", "open", "30", ""),
        ("soil", "silent", "silent", None, ""),
    ]
    assert sorted(brief(history(rig).episodes("soil"))[2:]) == [
        ("soil", "dry", "open", "8", "50"),
        ("soil", "very-dry", "open", "8", "20"),
    ]
    assert brief(history(rig).episodes("other")) == [("other", "dry", "open", "20", "")]
    assert list(history(rig).episodes("nobody")) == []


def test_a_storm_is_read_in_pages_of_sixteen_requests(emulator: Emulator) -> None:
    """A storm of all devices at once and its end, as the function's store writes it."""
    rig = Rig(emulator.endpoint, POLICY)
    write(rig.client, rig.names["alerts"], rows_of_a_storm(2000, rig.now))
    made: list[str] = []
    rig.client.meta.events.register("before-call.dynamodb.Query", lambda **_: made.append("query"))
    read = history(rig)
    page = read.page()
    assert len(made) == 16
    assert 16 * 50 < len(page.notices) <= 16 * 100
    assert len(list(read.episodes())) == 2000
    assert len(made) < 16 * (2 + 4000 // 800)
    assert [each.began.device for each in read.episodes(only_open=True)] == ["soil-00000"]
    made.clear()
    assert [each.began.device for each in read.episodes("soil-00777")] == ["soil-00777"]
    assert len(made) <= 3


def rows_of(policy: Policy, rule: str, device: str, *measured: Measured) -> Iterator[Any]:
    """The history's rows of what a device is like, as the function's store makes them."""
    [found] = [each for each in policy.rules if each.name == rule]
    state: State | None = None
    for each in measured:
        changed = decide(policy, found, device, state, each, each.at)
        assert changed
        state, notice = changed
        yield _history(notice, each.at)


def rows_of_a_storm(count: int, begins: int) -> list[Any]:
    """All devices are dry one after another, and all but the first are well a minute later."""
    policy = parse(POLICY, "below", "35")
    rows: list[Any] = []
    for number in range(count):
        dry = Measured(Decimal(20), "20", begins + number)
        wet = Measured(Decimal(50), "50", begins + 60_000 + number)
        rows += rows_of(policy, "dry", f"soil-{number:05}", *([dry, wet] if number else [dry]))
    return rows


def write(client: Any, table: str, rows: list[Any]) -> None:
    for start in range(0, len(rows), BATCH):
        batch = [{"PutRequest": {"Item": row}} for row in rows[start : start + BATCH]]
        assert not client.batch_write_item(RequestItems={table: batch})["UnprocessedItems"]


def test_the_command_shows_episodes_to_the_operator(strict: Strict, capsys: pytest.CaptureFixture[str]) -> None:
    event = {"name": "history-basil", "humidity": 8}
    strict.client("lambda").invoke(FunctionName=strict.names["AlertFunction"], Payload=json.dumps(event).encode())[
        "Payload"
    ].read()
    with mock.patch.dict(os.environ, strict.variables("operator")):
        asked = ["alerts", "--stack", "strict", "--device", "history-basil"]
        assert main([*asked, "--open", "--json"]) == 0
        [episode] = json.loads(capsys.readouterr().out)["episodes"]
        assert (episode["device"], episode["rule"], episode["open"]) == ("history-basil", "dry", True)
        assert main(asked) == 0
        assert "history-basil  dry   warning" in capsys.readouterr().out
        assert main([*asked[:-1], "nobody", "--open"]) == 0
        assert capsys.readouterr().out == "no open episodes of nobody\n"
    with mock.patch.dict(os.environ, strict.variables("client")):
        assert main(["alerts", "--stack", "strict"]) == 2
    assert "dynamodb:Query" in capsys.readouterr().err


def test_without_a_policy_the_command_says_so(stack: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch.dict(os.environ, stack.variables):
        assert main(["alerts", "--stack", stack.name]) == 2
    assert "no AlertPolicy" in capsys.readouterr().err
