"""`sensorstream query`: ranges, limits, CSV, JSON, and readings as they come."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest

from consumer.payload.reading import Reading
from consumer.sinks.rollup_rows import Counted, Length, Row, place, put_body
from consumer.sinks.windows import Key, Window, windows
from producer.cli import main
from tests.conftest import Deployed

T0 = 1_795_341_600_000
"""2026-11-22T10:00:00Z"""
LONG = "12345678901234567890.123456789012345678"


def at(second: int) -> str:
    return f"2026-11-22T10:{second // 60:02}:{second % 60:02}.000Z"


def put(stack: Deployed, device: str, second: int, **more: Any) -> None:
    item = {"SensorId": {"S": device}, "Timestamp": {"S": at(second)}, "Value": {"N": str(second)}} | more
    stack.session.client("dynamodb").put_item(TableName=stack.outputs["SensorTable"], Item=item)


@pytest.fixture(scope="module")
def device(stack: Deployed) -> str:
    """30 readings, one a second, the last with measures."""
    for second in range(30):
        measures = {"M": {"a,b": {"N": LONG}, "c": {"N": "7"}}}
        put(stack, "queried", second, **({"Measures": measures} if second == 29 else {}))
    return "queried"


@pytest.fixture(autouse=True)
def _here(stack: Deployed) -> Iterator[None]:
    with mock.patch.dict(os.environ, stack.variables | {"STACK_NAME": stack.name}):
        yield


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["query", *arguments]) == 0
    return capsys.readouterr().out


def test_without_a_range_the_newest_twenty_are_shown(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, device).splitlines()
    assert lines[0].split() == ["SENSOR", "TIME", "(UTC)", "VALUE", "MEASURES"]
    assert lines[1].split() == [device, at(29), "29", f"a,b={LONG}", "c=7"]
    assert [line.split()[1] for line in lines[1:]] == [at(second) for second in range(29, 9, -1)]


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        (["--from", at(2)], range(29, 1, -1)),
        (["--from", "2026-11-22"], range(29, -1, -1)),
        (["--from", at(2), "--to", at(5)], range(4, 1, -1)),
        (["--to", "2026-11-22T11:00:03+01:00"], range(2, -1, -1)),
        (["--from", at(2), "--limit", "3"], range(29, 26, -1)),
    ],
)
def test_a_range_is_shown(device: str, options: list[str], seconds: range, capsys: pytest.CaptureFixture[str]) -> None:
    answer = json.loads(said(capsys, device, "--json", *options))
    assert [item["Timestamp"] for item in answer["Items"]] == [at(second) for second in seconds]
    assert answer["Count"] == len(seconds)


def test_csv_is_read_again_with_every_digit(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(said(capsys, device, "--csv", "--limit", "2"))))
    assert [(row["SensorId"], row["Timestamp"], row["Value"]) for row in rows] == [
        (device, at(29), "29"), (device, at(28), "28")
    ]  # fmt: skip
    assert json.loads(rows[0]["Measures"], parse_float=Decimal) == {"a,b": Decimal(LONG), "c": 7}
    assert rows[1]["Measures"] == ""


@pytest.fixture(scope="module")
def rolled(stack: Deployed) -> str:
    """30 windows of a minute, as the consumer writes their rows."""
    for minute in range(30):
        at, measures = T0 + minute * 60_000, {"c": Decimal(LONG)}
        both = [
            Reading("minutes", at + n * 1000, number, measures)
            for n, number in enumerate((Decimal(minute), Decimal("0.5")))
        ]
        found: dict[Key, Window] = {}
        windows(both, 60, found)
        for key, window in found.items():
            where = place(key, Length(60), "shardId-000000000000")
            item = json.loads(put_body("rollups", where, Row(Counted((minute, 0), 1), None, window), None))["Item"]
            stack.session.client("dynamodb").put_item(TableName=stack.outputs["RollupTable"], Item=item)
    return "minutes"


def test_rollups_are_shown_a_line_each(rolled: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, rolled, "--rollups").splitlines()
    assert lines[0].split() == [
        "SENSOR", "WINDOW", "(UTC)", "SECONDS", "READINGS", "LAST", "MIN", "MEAN", "MAX", "MEASURES", "(MEAN)"
    ]  # fmt: skip
    assert lines[1].split() == [rolled, at(1740), "60", "2", "0.5", "0.5", "14.75", "29", "c=1.23457e+19"]
    assert [line.split()[1] for line in lines[1:]] == [at(60 * minute) for minute in range(29, 9, -1)]
    options = ["--rollups", "--from", at(61), "--to", at(181)]
    answer = json.loads(said(capsys, rolled, "--json", *options), parse_float=Decimal)
    assert [item["Window"] for item in answer["Items"]] == [at(180), at(120)]
    half, big, twice = Decimal("0.5"), Decimal(LONG), Decimal("24691357802469135780.246913578024691356")
    assert answer["Items"][1] == {
        "SensorId": rolled, "Window": at(120), "Seconds": 60, "Readings": 2, "First": at(120), "Last": at(121),
        "Value": {"Last": half, "Min": half, "Max": 2, "Mean": Decimal("1.25"), "Sum": Decimal("2.5"), "Count": 2},
        "Measures": {"c": {"Last": big, "Min": big, "Max": big, "Mean": big, "Sum": twice, "Count": 2}},
    }  # fmt: skip
    [row] = csv.DictReader(io.StringIO(said(capsys, rolled, "--csv", "--rollups", "--limit", "1")))
    assert (row["Window"], row["Readings"], row["Sum"], row["Mean"]) == (at(1740), "2", "29.5", "14.75")
    assert json.loads(row["Measures"], parse_float=Decimal)["c"]["Last"] == Decimal(LONG)
    assert said(capsys, "nobody", "--rollups") == "no rollups of nobody\n"


def test_csv_of_nothing_is_its_headline(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "nobody", "--csv") == "SensorId,Timestamp,Value,Measures\n"
    assert said(capsys, "nobody") == "no readings of nobody\n"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--csv", "--json"], "--csv and --json"),
        (["--follow", "--to", at(1)], "--to: --follow has no end"),
        (["--follow", "--rollups"], "--rollups: --follow shows readings"),
        (["--from", at(1), "--to", at(1)], "--from must be before --to"),
        (["--limit", "0"], "--limit"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "x", *options]) == 2
    assert why in capsys.readouterr().err


def test_a_name_that_no_device_has_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "x" * 2049]) == 2
    assert capsys.readouterr().err == (
        "sensorstream: the query API answers 400: device must be a text of 1..2048 bytes\n"
    )


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("--json", ['"Timestamp":"{}"', "{{"]),
        ("--csv", ["followed,{},"]),
        (None, ["followed  {}  "]),
    ],
)
def test_readings_are_followed_as_they_come(stack: Deployed, form: str | None, shown: list[str]) -> None:
    device = "followed"
    for second in range(3):
        put(stack, device, second)
    command = [sys.executable, "-m", "producer", "query", device, "--follow", "--limit", "2", *([form] if form else [])]
    following = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    limit = threading.Timer(60, following.kill)
    limit.start()
    try:
        assert following.stdout
        lines = [next(following.stdout) for _ in range(3 if form == "--csv" else 2)][-2:]
        put(stack, device, 100)
        lines.append(next(following.stdout))
        put(stack, device, 50)  # earlier than what was shown
        put(stack, device, 101)
        lines.append(next(following.stdout))
        following.send_signal(signal.SIGINT)
        assert following.wait(30) == 0
    finally:
        limit.cancel()
        following.kill()
        following.communicate()
    for line, second in zip(lines, (1, 2, 100, 101), strict=True):
        assert all(text.format(at(second)) in line for text in shown), line
    dynamodb = stack.session.client("dynamodb")
    for second in (50, 100, 101):
        key = {"SensorId": {"S": device}, "Timestamp": {"S": at(second)}}
        dynamodb.delete_item(TableName=stack.outputs["SensorTable"], Key=key)
