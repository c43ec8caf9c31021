"""The API function and the names that others find the stack by. (The alert is tested from the device on.)"""

import json
import os
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest

from producer.cli import main
from tests.component.streams import wait_for
from tests.conftest import Deployed


@pytest.fixture(scope="module")
def table(stack: Deployed) -> str:
    """25 rows of `soil`, values 0, 0.5, 1, ..., one a second; and one row with measures."""
    dynamodb, name = stack.session.client("dynamodb"), stack.outputs["SensorTable"]
    for n in range(25):
        row: Any = {"SensorId": {"S": "soil"}, "Timestamp": {"S": time_of(n)}, "Value": {"N": str(n / 2)}}
        dynamodb.put_item(TableName=name, Item={**row, "ExpiresAt": {"N": "1900000000"}})
    row["SensorId"] = {"S": "tracker"}
    dynamodb.put_item(TableName=name, Item={**row, "Measures": {"M": {"speed": {"N": "20.1"}, "sats": {"N": "7.0"}}}})
    return name


def time_of(n: int) -> str:
    return f"2026-11-22T10:48:{n:02}.123Z"


def ask(stack: Deployed, request: Any) -> Any:
    answer = stack.session.client("lambda").invoke(
        FunctionName=stack.outputs["ApiFunction"], Payload=json.dumps(request).encode()
    )
    assert "FunctionError" not in answer
    return json.loads(answer["Payload"].read())


@pytest.mark.usefixtures("table")
def test_a_query_gives_the_newest_twenty_first(stack: Deployed) -> None:
    answer = ask(stack, {"operation": "query", "sensorid": "soil"})
    assert answer["Items"] == [{"SensorId": "soil", "Timestamp": time_of(n), "Value": n / 2} for n in range(24, 4, -1)]
    assert (answer["Count"], answer["ScannedCount"]) == (20, 20)
    assert {type(item["Value"]) for item in answer["Items"][::2]} == {int}


@pytest.mark.usefixtures("table")
def test_a_query_can_be_continued(stack: Deployed) -> None:
    request = {"operation": "query", "sensorid": "soil", "limit": 10}
    values = []
    while True:
        answer = ask(stack, request)
        values += [item["Value"] for item in answer["Items"]]
        if "LastEvaluatedKey" not in answer:
            break
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
    assert values == [n / 2 for n in range(24, -1, -1)]


@pytest.mark.usefixtures("table")
def test_measures_are_returned_where_there_are_some(stack: Deployed) -> None:
    [item] = ask(stack, {"operation": "query", "sensorid": "tracker"})["Items"]
    assert item["Measures"] == {"speed": 20.1, "sats": 7}


EXACT = [
    "41.10000000000000012345",
    "0.12345678901234567890123456789012345678",
    "12345678901234567890123456789012345678",
    "-9.9999999999999999999999999999999999999E+125",
    "1E-130",
    "7.0",
    "-0",
]


@pytest.fixture(scope="module")
def digits(stack: Deployed) -> list[Decimal]:
    """A row for each number, as value and as measure; the numbers, newest first."""
    dynamodb, name = stack.session.client("dynamodb"), stack.outputs["SensorTable"]
    for n, text in enumerate(EXACT):
        measures: Any = {"M": {"same": {"N": text}}}
        row: Any = {"SensorId": {"S": "digits"}, "Timestamp": {"S": time_of(n)}, "Value": {"N": text}}
        dynamodb.put_item(TableName=name, Item={**row, "Measures": measures})
    return numbers(reversed(EXACT))


def numbers(texts: Iterable[str]) -> list[Decimal]:
    return [Decimal(text) for text in texts]


def test_a_query_keeps_every_digit(stack: Deployed, digits: list[Decimal]) -> None:
    request = {"operation": "query", "sensorid": "digits"}
    answer = stack.session.client("lambda").invoke(
        FunctionName=stack.outputs["ApiFunction"], Payload=json.dumps(request).encode()
    )
    items = json.loads(answer["Payload"].read(), parse_float=str, parse_int=str)["Items"]
    assert numbers(item["Value"] for item in items) == digits
    assert numbers(item["Measures"]["same"] for item in items) == digits
    assert items[1]["Value"] == "7", "a whole number has no point"


@pytest.mark.usefixtures("_here")
def test_the_command_shows_every_digit(
    stack: Deployed, digits: list[Decimal], capsys: pytest.CaptureFixture[str]
) -> None:
    query = ["query", "digits", "--stack", stack.name]
    assert main(query) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert numbers(line.split()[2] for line in lines) == digits
    assert numbers(line.split("same=")[1] for line in lines) == digits
    assert main([*query, "--json"]) == 0
    items = json.loads(capsys.readouterr().out, parse_float=str, parse_int=str)["Items"]
    assert numbers(item["Value"] for item in items) == digits


@pytest.mark.usefixtures("_here")
def test_what_is_published_is_the_number_typed(stack: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", "--json", "--stack", stack.name, "typed", "--", *EXACT]) == 0
    assert [put["value"] for put in json.loads(capsys.readouterr().out)] == EXACT
    sent = [record["Data"] for record in wait_for(stack.session, stack.outputs["StreamName"], "typed", len(EXACT))]
    assert [json.loads(data, parse_float=str, parse_int=str)["value"] for data in sent] == EXACT


@pytest.fixture
def _here(stack: Deployed) -> Iterator[None]:
    with mock.patch.dict(os.environ, stack.variables):
        yield


def test_an_unknown_sensor_has_no_readings(stack: Deployed) -> None:
    assert ask(stack, {"operation": "query", "sensorid": "nobody"}) == {"Items": [], "Count": 0, "ScannedCount": 0}


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        ([], "object"),
        ({}, "operation"),
        ({"operation": "delete", "sensorid": "soil"}, "delete"),
        ({"operation": "query"}, "sensorid"),
        ({"operation": "query", "sensorid": ""}, "sensorid"),
        ({"operation": "query", "sensorid": 7}, "sensorid"),
        ({"operation": "query", "sensorid": "ü" * 1025}, "sensorid"),
        ({"operation": "query", "sensorid": "soil", "limit": 21}, "limit"),
        ({"operation": "query", "sensorid": "soil", "limit": True}, "limit"),
        ({"operation": "query", "sensorid": "soil", "ExclusiveStartKey": {"SensorId": "other"}}, "ExclusiveStartKey"),
    ],
)
def test_a_bad_request_is_answered_with_the_fault(stack: Deployed, request_: Any, word: str) -> None:
    answer = ask(stack, request_)
    assert answer.keys() == {"error"}
    assert word in answer["error"]
