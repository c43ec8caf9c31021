"""`producer doctor` where roles count: all is well for the operator, and every finding has a remedy."""

import json
import os
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from producer.cli import main
from tests.component.strict import NAME, Strict


@pytest.fixture
def healthy(strict: Strict) -> Iterator[Strict]:
    """With the traces of a consumer, and without messages that other tests have left."""
    table, row = strict.names["ApplicationName"], {"leaseKey": {"S": "doctor"}, "leaseOwner": {"S": "worker"}}
    strict.client("dynamodb").put_item(TableName=table, Item=row)
    strict.client("sqs").purge_queue(QueueUrl=strict.names["UndeliveredQueueUrl"])
    yield strict
    strict.client("dynamodb").delete_item(TableName=table, Key={"leaseKey": {"S": "doctor"}})


def examined(
    strict: Strict, capsys: pytest.CaptureFixture[str], *arguments: str, role: str = "operator", code: int = 0
) -> dict[str, Any]:
    """The checks by name."""
    with mock.patch.dict(os.environ, strict.variables(role)):
        assert main(["doctor", "--json", "--stack", NAME, *arguments]) == code, capsys.readouterr().out
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] == (code == 0)
    assert all("remedy" in check for check in answer["checks"] if check["state"] == "finding")
    return {check["name"]: check for check in answer["checks"]}


def test_all_is_well_for_the_operator_with_probes(healthy: Strict, capsys: pytest.CaptureFixture[str]) -> None:
    checks = examined(healthy, capsys, "--probe")
    assert "OperatorRole" in checks["identity"]["detail"]
    reported = {name.removeprefix("probe: "): check["detail"] for name, check in checks.items() if "probe: " in name}
    assert len(reported) == 9
    assert '"humidity":99,' in reported["reading"], "a whole number has lost its point"
    assert reported["34 digits"] == "reaches the stream byte for byte"
    assert reported["35 digits"].endswith('is in the stream as {"probe":0.1234567890123456789012345678901234}')
    assert reported["binary"] == "reaches the stream byte for byte"


def test_without_probes_nothing_is_published(healthy: Strict, capsys: pytest.CaptureFixture[str]) -> None:
    checks = examined(healthy, capsys)
    assert checks["probes"]["state"] == "skipped"
    assert {name for name, check in checks.items() if check["state"] == "ok"} >= {
        "identity", "clock", f"stack {NAME}", "stream", "endpoint", "table", "leases", "archive", "query",
        "query API", "undelivered",
    }  # fmt: skip


def test_without_permission_the_role_that_has_it_is_named(healthy: Strict, capsys: pytest.CaptureFixture[str]) -> None:
    checks = examined(healthy, capsys, "--probe", role="client", code=1)
    denied = {name for name, check in checks.items() if check["state"] == "finding"}
    assert denied >= {"stacks", "stream", "table", "archive", "undelivered", "alerts", "alarms", "probes"}
    assert "operator role" in checks["stream"]["remedy"]
    assert checks["query"]["state"] == checks["query API"]["state"] == "ok", "a client may query"


def test_what_waits_for_a_person_is_a_finding(healthy: Strict, capsys: pytest.CaptureFixture[str]) -> None:
    healthy.client("sqs").send_message(QueueUrl=healthy.names["UndeliveredQueueUrl"], MessageBody="x")
    table = healthy.names["ApplicationName"]
    healthy.client("dynamodb").delete_item(TableName=table, Key={"leaseKey": {"S": "doctor"}})
    checks = examined(healthy, capsys, code=1)
    assert "redrive --undelivered" in checks["undelivered"]["remedy"]
    assert "no consumer has ever run" in checks["leases"]["detail"]


def test_a_stack_that_is_not_there_is_the_finding(strict: Strict, capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch.dict(os.environ, strict.emulator.variables()):
        assert main(["doctor", "--stack", "no-such"]) == 1
    assert "no stack 'no-such' here" in capsys.readouterr().out


def test_keys_that_are_not_good_end_it_there(strict: Strict, capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch.dict(
        os.environ, strict.emulator.place() | {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    ):
        assert main(["doctor", "--json", "--stack", NAME]) == 1
    found = [check for check in json.loads(capsys.readouterr().out)["checks"] if check["state"] == "finding"]
    assert found
    assert all(check["remedy"] for check in found)
