"""The call of each minute: silences, recoveries, the end of quiet hours, removed rules, rows that cannot be read."""

import json
from typing import Any

import pytest

from infra.functions.alert import minute
from infra.functions.alert.policy import parse
from tests.component.alert_rig import T0, Rig

MINUTE = 60_000
DRY = {"name": "dry", "hysteresis": 3}


def policy(*rules: dict[str, Any], **given: Any) -> str:
    return json.dumps({"rules": list(rules), **given})


@pytest.fixture
def rig(tables: str) -> Rig:
    return Rig(tables, policy(DRY, {"name": "gone", "silent": 2, "interval": 10}))


def minutes(rig: Rig, count: int = 1) -> None:
    for _ in range(count):
        rig.now += MINUTE
        assert minute.run(rig.function())


def test_a_device_that_goes_silent_and_returns_is_told_of_twice(rig: Rig) -> None:
    rig.row("soil", 50)
    minutes(rig, 20)
    assert rig.told() == []
    minutes(rig, 3)
    assert rig.told() == [("silent", "soil")]
    assert rig.published[0]["MessageAttributes"]["time"]["StringValue"] == str(T0)
    rig.row("soil", 50, listed=False)  # the list of devices is behind
    minutes(rig, 3)
    assert rig.told() == [("silent", "soil"), ("recovered", "soil")]
    minutes(rig, 20)
    assert rig.told()[2:] == [("silent", "soil")]


def test_a_device_that_only_the_list_takes_for_silent_is_not(rig: Rig) -> None:
    rig.row("soil", 50)
    rig.now += 30 * MINUTE
    rig.row("soil", 50, listed=False)
    minutes(rig)
    assert rig.told() == []


def test_who_was_silent_for_a_week_is_taken_to_be_gone(rig: Rig) -> None:
    rig.row("soil", 50)
    rig.now += minute.GONE
    minutes(rig)
    assert rig.told() == []


def test_a_recovery_is_seen_in_the_newest_row(rig: Rig) -> None:
    for device in ("soil", "sand"):
        rig.reading(device, 20)
        rig.row(device, 20)
    rig.row("soil", 50, rig.now + 30_000)
    rig.row("soil", 40, rig.now + 40_000)
    minutes(rig)
    assert rig.told() == [("open", "soil"), ("open", "sand"), ("recovered", "soil")]
    assert rig.published[-1]["MessageAttributes"]["value"]["StringValue"] == "40"


def test_with_rollups_only_a_recovery_is_seen_in_the_list_of_devices(rig: Rig) -> None:
    rig.reading("soil", 20)
    rig.row("soil", 50, rig.now + 30_000)
    [row] = rig.client.scan(TableName=rig.names["rows"])["Items"]
    rig.client.delete_item(TableName=rig.names["rows"], Key={name: row[name] for name in ("SensorId", "Timestamp")})
    minutes(rig)
    assert rig.told() == [("open", "soil"), ("recovered", "soil")]


def test_the_end_of_quiet_hours_releases_what_waited(tables: str) -> None:
    """T0 is noon; critical notices do not wait."""
    wet = {"name": "drier", "threshold": 10, "severity": "critical"}
    rig = Rig(tables, policy(DRY, wet, quiet={"from": "11:00", "to": "12:10"}))
    rig.reading("soil", 20)
    rig.reading("sand", 5)
    assert [(each["rule"], each["device"]) for each in attributes(rig)] == [("drier", "sand")]
    minutes(rig, 9)
    assert len(rig.published) == 1
    minutes(rig)
    assert sorted((each["rule"], each["device"]) for each in attributes(rig)[1:]) == [("dry", "sand"), ("dry", "soil")]
    minutes(rig)
    assert len(rig.published) == 3


def attributes(rig: Rig) -> list[dict[str, str]]:
    return [{k: v["StringValue"] for k, v in each["MessageAttributes"].items()} for each in rig.published]


def test_single_notices_of_a_minute_are_as_few_as_the_policy_says_whoever_tells_them(tables: str) -> None:
    rig = Rig(tables, policy(DRY, digest=3))
    for n in range(5):
        rig.reading(f"soil{n}", 20)
    minutes(rig)
    assert sorted(rig.told()[3:]) == [("open", "soil3"), ("open", "soil4")]
    for n in range(5, 10):
        rig.reading(f"soil{n}", 20)
    assert len(rig.published) == 3 + 2 + 1
    minutes(rig)
    assert rig.told()[6:] == [("digest", "4")]


KEPT = ("device", "rule", "episode")


@pytest.mark.parametrize("now", [policy({"name": "other"}), policy(DRY | {"devices": "sand*"})])
def test_an_episode_whose_rule_is_removed_ends_in_the_history(rig: Rig, now: str) -> None:
    rig.reading("soil", 20)
    before, rig.policy = rig.policy, parse(now, "below", "35")
    minutes(rig, 2)
    began, ended = sorted((json.loads(row["Notice"]["S"]) for row in rig.rows("history")), key=lambda each: each["at"])
    assert (began["kind"], ended["kind"], ended["state"]) == ("threshold", "removed", "recovered")
    assert {name: began[name] for name in KEPT} == {name: ended[name] for name in KEPT}
    assert [row["Open"]["BOOL"] for row in rig.rows("state")] == [False]
    assert rig.told() == [("open", "soil")]
    rig.policy = before
    rig.reading("soil", 20)
    assert rig.told() == [("open", "soil")] * 2


MALFORMED: dict[str, tuple[str, dict[str, Any]]] = {
    "a state without its fields": ("state", {"Open": {"BOOL": True}}),
    "a state of other types": (
        "state",
        {name: {"S": "?"} for name in ("Device", "Rule", "Episode", "Open", "Changed", "At", "Version")},
    ),
    "a notice without its fields": ("outbox", {"Lease": {"N": "0"}}),
    "a notice that is not JSON": ("outbox", {"Lease": {"N": "0"}, "Notice": {"S": "{"}}),
    "a notice of other fields": ("outbox", {"Lease": {"N": "0"}, "Notice": {"S": '{"id": 3}'}}),
}


@pytest.mark.parametrize("malformed", MALFORMED)
def test_a_row_that_cannot_be_read_stops_no_other_and_fails_the_call(rig: Rig, malformed: str) -> None:
    for n in range(8):
        rig.reading(f"soil{n}", 20)
        rig.row(f"soil{n}", 50, rig.now + 1)
    kind, fields = MALFORMED[malformed]
    for part in range(0, 16, 3):
        key = {"Part": {"S": f"{kind}#{part:02}"}, "Id": {"S": "!"}}
        rig.client.put_item(TableName=rig.names["alerts"], Item=key | fields)
    for _ in range(2):
        rig.now += 2 * MINUTE
        with pytest.raises(ValueError, match=rf"6 rows or devices cannot be read.*{kind}#00"):
            minute.run(rig.function())
    assert rig.told()[5:] == [("digest", "11")]
    assert [row["Id"]["S"] for row in rig.rows("outbox")] == ["!"] * (6 if kind == "outbox" else 0)


def test_a_notice_that_nobody_could_tell_is_not_taken_for_one(rig: Rig) -> None:
    rig.policy = parse(policy(DRY, digest=0), "below", "35")
    rig.reading("soil", 20)
    rig.reading("sand", 20)
    [row] = [row for row in rig.rows("outbox") if "sand" in row["Notice"]["S"]]
    changed = json.loads(row["Notice"]["S"]) | {"severity": "awful"}
    rig.client.put_item(TableName=rig.names["alerts"], Item=row | {"Notice": {"S": json.dumps(changed)}})
    rig.now += 2 * MINUTE
    with pytest.raises(ValueError, match="awful"):
        minute.run(rig.function())
    assert rig.told() == [("open", "soil")]


@pytest.mark.parametrize("table", ["rows", "devices"])
def test_a_device_whose_rows_cannot_be_read_stops_no_other(rig: Rig, table: str) -> None:
    for device in ("aloe", "soil"):
        rig.reading(device, 20)
        rig.row(device, 20)
    rig.now += 30 * MINUTE
    rig.row("soil", 50, rig.now, listed=False)
    for row in rig.client.scan(TableName=rig.names[table])["Items"]:
        if row["SensorId"]["S"] == "aloe":
            wrong = {"Timestamp": {"S": "soon"}} if table == "rows" else {"Seen": {"S": "soon"}}
            rig.client.put_item(TableName=rig.names[table], Item=row | wrong)
    with pytest.raises(ValueError, match="aloe"):
        minute.run(rig.function())
    assert ("recovered", "soil") in rig.told()


def test_many_open_episodes_keep_neither_silent_devices_nor_notices_waiting(rig: Rig) -> None:
    """On a slow machine, where a chunk takes some eight seconds: a call does not come to all of them, and the
    next ones begin elsewhere."""
    devices = [f"soil{n}" for n in range(4 * minute.CHUNK)]
    for device in devices:
        rig.reading(device, 20)
    rig.row("quiet", 50, rig.now - 30 * MINUTE)
    rig.now += MINUTE
    for device in devices:
        rig.row(device, 50, listed=False)
    seen = []
    for _ in range(20):
        rig.now += MINUTE
        ticks = iter(range(rig.now, rig.now + 10**9, 120))
        slow = rig.function()
        slow.clock = lambda ticks=ticks: next(ticks)  # type: ignore[misc]
        assert minute.run(slow)
        seen.append(sum(row["Open"]["BOOL"] for row in rig.rows("state")))
        if seen[-1] == 1:
            break
    notices = [json.loads(row["Notice"]["S"]) for row in rig.rows("history")]
    first = min(notice["due"] for notice in notices if notice["state"] == "recovered")
    [silent] = [notice for notice in notices if notice["state"] == "silent"]
    assert silent["due"] < first + MINUTE
    assert len(seen) > 2
    assert seen[-1] == 1
    assert sum(int(what) if state == "digest" else 1 for state, what in rig.told()) == 2 * len(devices) + 1
