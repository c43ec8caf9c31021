"""`audit --rollups` finds nothing where the rollups equal the archive, and each row that does not."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from producer.cli import main
from tests.component.recovery import Site
from tests.component.recovery import site as new_site
from tests.conftest import Deployed

T0 = 1_795_345_920_000
BATTERY = '[{"device":"name","time":"timeStampEpoch","value":"humidity","measures":["battery"]}]'
Rows = dict[str, dict[str, Any]]


@pytest.fixture
def site(stack: Deployed) -> Iterator[Site]:
    with new_site(stack) as made:
        made.settings = {"TABLE_RESOLUTION": "0,1m", "READING_CONTRACTS": BATTERY}
        yield made


def reading(device: str, second: int, value: str) -> bytes:
    at = T0 + second * 1000
    return f'{{"name":"{device}","humidity":{value},"battery":{second},"timeStampEpoch":{at}}}'.encode()


def fill(site: Site) -> None:
    """Late readings, several of a record, malformed ones, two shards."""
    for n in range(4):
        for second in (0, 70, 5, 130):
            site.put(f"d{n}", reading(f"d{n}", second + n, f"{second}.1"), b"malformed")
        site.put(f"d{n}", b"[" + reading(f"d{n}", 20, "1E+120") + b"," + reading(f"d{n}", 21, "-3") + b"]")
    site.consume()
    site.split()
    for n in range(4):
        site.put(f"d{n}", reading(f"d{n}", 30, "7"), reading(f"d{n}", 31, "0.5"))
    site.consume()


def audited(site: Site, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    code = main(["audit", "--rollups", "--reading-contracts", BATTERY, *options, "--json", "--stack", site.stack.name])
    return code, json.loads(capsys.readouterr().out)


def test_rollups_that_equal_the_archive_are_clean(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    fill(site)
    code, found = audited(site, capsys)
    assert (code, found["ok"], found["findings"]) == (0, True, {})
    assert (found["readings"], found["otherwise"]) == (4 * 8, 0)
    site.start_again(TABLE_RESOLUTION="0,1m", READING_CONTRACTS=BATTERY)  # another owner, from the same checkpoint
    site.consume()
    again = audited(site, capsys)
    assert again == (0, found)
    rows = site.session.client("dynamodb").scan(TableName=site.stack.rollup_table)["Items"]
    assert found["rollups"] == len(rows) == 4 * 4


def test_an_object_that_was_stored_meanwhile_is_no_finding(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    fill(site)
    s3 = site.session.client("s3")
    last = site.keys("readings/")[-1]
    s3.delete_object(Bucket=site.stack.bucket, Key=last)
    code, found = audited(site, capsys)
    assert (code, found["findings"]) == (0, {})


def wrong_sum(rows: Rows) -> None:
    rows["d1"]["Value"]["M"]["Sum"] = {"N": "1"}


def another_count(rows: Rows) -> None:
    rows["d1"]["Measures"]["M"]["battery"]["M"]["Count"] = {"N": "99"}


def of_another_program(rows: Rows) -> None:
    del rows["d1"]["Readings"]


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [(wrong_sum, "rollup_wrong"), (another_count, "rollup_wrong"), (of_another_program, "rollup_wrong")],
)
def test_a_row_that_differs_is_found(
    site: Site, capsys: pytest.CaptureFixture[str], spoil: Callable[[Rows], None], kind: str
) -> None:
    fill(site)
    dynamodb = site.session.client("dynamodb")
    rows = {row["SensorId"]["S"]: row for row in dynamodb.scan(TableName=site.stack.rollup_table)["Items"]}
    spoil(rows)
    dynamodb.put_item(TableName=site.stack.rollup_table, Item=rows["d1"])
    code, found = audited(site, capsys)
    assert code == 1
    assert {name: each["count"] for name, each in found["findings"].items()} == {kind: 1}
    assert rows["d1"]["Window"]["S"] in found["findings"][kind]["places"][0]


def test_rows_too_many_and_too_few_are_found(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    fill(site)
    dynamodb, table = site.session.client("dynamodb"), site.stack.rollup_table
    row = next(row for row in dynamodb.scan(TableName=table)["Items"] if row["SensorId"]["S"] == "d2")
    dynamodb.delete_item(TableName=table, Key={name: row[name] for name in ("SensorId", "Window")})
    dynamodb.put_item(TableName=table, Item=row | {"SensorId": {"S": "nobody"}})
    code, found = audited(site, capsys)
    assert code == 1
    assert {name: each["count"] for name, each in found["findings"].items()} == {
        "rollup_missing": 1,
        "rollup_unexpected": 1,
    }


def test_without_rollups_nothing_is_compared(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.settings = {}
    site.put("d", reading("d", 0, "1"))
    site.consume()
    code, found = audited(site, capsys)
    assert (code, found["nothing"]) == (3, "no archive object that is counted in rollups")
    assert main(["audit", "--rollups", "--no-stream", "--stack", site.stack.name]) == 2
