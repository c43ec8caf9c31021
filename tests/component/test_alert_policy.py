"""An alert policy where it runs: deployed, called by rule and schedule, and taken away again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.deploy.cloudformation import InputError
from infra.deploy.deployment import Deployment, Plan
from infra.local.emulator import Emulator
from tests.component.things import Alerts, certificate, connected
from tests.conftest import Deployed

POLICY = json.dumps({
    "rules": [{"name": "dry", "hysteresis": 3}, {"name": "very-dry", "threshold": 10, "severity": "critical"}],
    "digest": 5,
})  # fmt: skip
EVERY_MINUTE = {"sensorstreamMinute": True}


@pytest.fixture(scope="module")
def stack(emulator: Emulator) -> Deployed:
    parameters = {"ShardCount": "1", "AlertPolicy": POLICY, "TopicPattern": "policy/{device}", "TopicDeviceLevel": "2"}
    outputs = Deployment(emulator.session(), "policy", parameters, lambda _: None, 0.1).apply_data()
    return Deployed("policy", outputs, emulator.session(), emulator, parameters, [])


@pytest.fixture(scope="module")
def heard(stack: Deployed) -> Iterator[Alerts]:
    alerts = Alerts(stack)
    yield alerts
    alerts.close()


def call(stack: Deployed, event: dict[str, Any]) -> None:
    answer = stack.session.client("lambda").invoke(
        FunctionName=stack.outputs["AlertFunction"], Payload=json.dumps(event).encode()
    )
    said = answer["Payload"].read().decode()
    assert "FunctionError" not in answer, said


def told(messages: list[Any]) -> list[tuple[str, str, str]]:
    given = [{k: v["Value"] for k, v in each["MessageAttributes"].items()} for each in messages]
    return sorted((each["rule"], each["state"], each["device"]) for each in given)


def test_devices_are_told_of_once_from_the_message_to_the_recovery(
    stack: Deployed, heard: Alerts, iot_ca: Path
) -> None:
    pem = certificate(stack, "basil")
    with connected(stack, iot_ca, pem, "basil") as device:
        for value in (36, 30, 8, 31):
            device.publish_on("policy/basil", json.dumps({"name": "basil", "humidity": value}).encode())
        assert told(heard.receive(2)) == [("dry", "open", "basil"), ("very-dry", "open", "basil")]
    row = {"SensorId": {"S": "basil"}, "Timestamp": {"S": "2126-01-01T00:00:00.000Z"}, "Value": {"N": "40"}}
    stack.session.client("dynamodb").put_item(TableName=stack.outputs["SensorTable"], Item=row)
    call(stack, EVERY_MINUTE)
    assert told(heard.receive(2)) == [("dry", "recovered", "basil"), ("very-dry", "recovered", "basil")]


def test_the_schedule_calls_the_function_for_every_minute(stack: Deployed) -> None:
    events = stack.session.client("events")
    [rule] = [each for each in events.list_rules()["Rules"] if each["Name"].startswith("policy-")]
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 minute)", "ENABLED")
    [target] = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert target["Arn"].endswith(stack.outputs["AlertFunction"])
    assert json.loads(target["Input"]) == EVERY_MINUTE


def test_a_policy_given_alone_must_fit_the_threshold_that_is_deployed(stack: Deployed) -> None:
    looser = {"AlertPolicy": json.dumps({"rules": [{"name": "dry", "threshold": 40}]})}

    def plan() -> list[Plan]:
        return Deployment(stack.session, "policy", looser, poll_seconds=0.1).plan(lambda made, target: "image")

    with pytest.raises(InputError, match="threshold 40 is looser than AlertThreshold, 35"):
        plan()
    with pytest.raises(InputError, match="threshold 40 is looser than AlertThreshold, 35"):
        Deployment(stack.session, "policy", looser, poll_seconds=0.1).apply(lambda made, target: "image")
    Deployment(stack.session, "policy", {"AlertThreshold": "40"}, poll_seconds=0.1).apply_data()
    assert "AlertFunction" in {change.resource for change in plan()[0].changes or []}
    Deployment(stack.session, "policy", {"AlertThreshold": ""}, poll_seconds=0.1).apply_data()


def test_without_a_policy_table_and_schedule_go_and_each_reading_alerts(stack: Deployed, heard: Alerts) -> None:
    parameters = stack.parameters | {"AlertPolicy": ""}
    outputs = Deployment(stack.session, "policy", parameters, lambda _: None, 0.1).apply_data()
    assert "AlertTable" not in outputs
    assert "policy-alerts" not in stack.session.client("dynamodb").list_tables()["TableNames"]
    assert [r for r in stack.session.client("events").list_rules()["Rules"] if r["Name"].startswith("policy-")] == []
    for _ in range(2):
        call(stack, {"name": "basil", "humidity": 20})
    assert [each["Message"] for each in heard.receive(2)] == ["Humidity 20 under threshold for device name basil"] * 2
