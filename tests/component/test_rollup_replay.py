"""`replay --to-rollups` makes the rows again that the consumer has made, and changes none that stand."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from producer.cli import main
from tests.component.recovery import Site, make_table
from tests.component.recovery import site as new_site
from tests.component.test_rollup_audit import BATTERY, audited, fill, reading
from tests.conftest import Deployed


@pytest.fixture
def site(stack: Deployed) -> Iterator[Site]:
    with new_site(stack) as made:
        made.settings = {"READING_CONTRACTS": BATTERY}
        made.put("d0", reading("d0", 0, "1"))  # before there were rollups
        made.consume()
        made.settings |= {"TABLE_RESOLUTION": "0,1m"}
        fill(made)
        yield made


def replayed(site: Site, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    to = [*options, "--reading-contracts", BATTERY, "--json", "--stack", site.stack.name]
    assert main(["replay", "--to-rollups", *to]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["ok"]
    return found


def rows(site: Site, table: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Without the epochs: an object that an owner took over is counted under the one that stored it."""
    items = site.session.client("dynamodb").scan(TableName=table, ConsistentRead=True)["Items"]
    found = {(item["SensorId"]["S"], item["Window"]["S"]): item for item in items}
    return {key: item | {"Counted": item["Counted"]["S"].partition("/")[0]} for key, item in found.items()}


def test_a_table_that_was_lost_is_made_again(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    table, copy = site.stack.rollup_table, f"{site.stack.rollup_table}-copy"
    before = rows(site, table)
    assert len(before) == 4 * 4
    make_table(site.session.client("dynamodb"), copy, "Window")
    found = replayed(site, capsys, copy)
    assert rows(site, copy) == before
    assert (found["readings"], found["not_counted"], found["target"]) == (4 * 8, 1, f"rollups {copy}")
    assert found["rows"] >= len(before)
    for device, window in before:
        site.session.client("dynamodb").delete_item(
            TableName=table, Key={"SensorId": {"S": device}, "Window": {"S": window}}
        )
    replayed(site, capsys)
    assert rows(site, table) == before
    assert audited(site, capsys)[0] == 0


def test_what_stands_is_counted_no_second_time(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    before = rows(site, site.stack.rollup_table)
    for _ in range(2):
        assert replayed(site, capsys)["rows"] == 0
    assert rows(site, site.stack.rollup_table) == before
    site.put("d0", reading("d0", 33, "5"))
    site.consume()  # goes on where it was
    assert audited(site, capsys)[0] == 0


def test_windows_that_have_expired_and_lines_that_are_read_otherwise_are_left_out(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = f"{site.stack.rollup_table}-other"
    make_table(site.session.client("dynamodb"), copy, "Window")
    other = BATTERY.replace("humidity", "moisture")
    assert main(["replay", "--to-rollups", copy, "--reading-contracts", other, "--stack", site.stack.name]) == 0
    assert "28 records are read otherwise" in capsys.readouterr().out
    assert rows(site, copy) == {}
    site.put("d0", b'{"name":"d0","humidity":1,"timeStampEpoch":1000000000000}')
    site.consume()
    found = replayed(site, capsys, copy, "--rollup-ttl-days", "8000")
    assert (found["expired"], len(rows(site, copy))) == (1, 4 * 4)


@pytest.mark.parametrize("also", [["--from", "2026-11-22"], ["--to", "2026-11-22"], ["--to-table"]])
def test_what_does_not_go_together_is_refused(also: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--to-rollups", "x", *also]) == 2
    assert "--to-rollups" in capsys.readouterr().err


def test_a_row_of_another_program_is_named(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    dynamodb, table = site.session.client("dynamodb"), site.stack.rollup_table
    device, window = next(iter(rows(site, table)))
    item = {"SensorId": {"S": device}, "Window": {"S": window}, "Counted": {"S": "x"}}
    dynamodb.put_item(TableName=table, Item=item)
    assert main(["replay", "--to-rollups", "--reading-contracts", BATTERY, "--stack", site.stack.name]) == 2
    assert f"{window}: another program has written this row" in capsys.readouterr().err
