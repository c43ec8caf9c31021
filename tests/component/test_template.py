"""What infra/data.yaml promises, and how infra/deploy brings it about."""

import hashlib
import uuid
from collections.abc import Iterator

import pytest

from infra.deploy.artifacts import package
from infra.deploy.cloudformation import DeployError, Event
from infra.deploy.deployment import Deployment
from infra.local.emulator import Emulator
from tests.conftest import Deployed

OUTPUTS = {
    "StreamName", "StreamArn", "SensorTable", "ArchiveBucket", "AlertTopicArn", "AlertFunction", "ApiFunction",
    "QueryApi", "QueryUrl", "DevicesTable", "RollupTable",
    "IotEndpoint", "DevicePolicy", "WatchPolicy", "Region", "ClientRoleArn", "OperatorRoleArn", "ApplicationName",
    "RepositoryUri", "RepositoryArn", "UndeliveredQueue", "ReadingsRule", "HumidityRule", "TopicPattern", "BasicIngest",
    "AlertSource", "AlertField", "AlertWhen", "AlertThreshold", "AlertMaxAge", "AlertSchedule",
}  # fmt: skip


@pytest.fixture
def name(emulator: Emulator) -> Iterator[str]:
    """Name for a stack of the test's own, which is deleted after it: its rules would hear the devices of others."""
    name = f"own-{uuid.uuid4().hex[:8]}"
    yield name
    cloudformation = emulator.session().client("cloudformation")
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})


def test_every_output_stands_in_a_parameter_under_the_stacks_name(stack: Deployed) -> None:
    prefix = f"/sensorstream/{stack.name}/"
    pages = stack.session.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=prefix)
    found = {p["Name"].removeprefix(prefix): p["Value"] for page in pages for p in page["Parameters"]}
    assert found == stack.outputs
    assert found.keys() == OUTPUTS


def test_the_endpoint_is_where_the_devices_can_connect(stack: Deployed) -> None:
    assert stack.outputs["IotEndpoint"] == f"localhost:{stack.emulator.mqtt_port}"


def test_the_stream_has_the_shards_and_hours_asked_for(stack: Deployed) -> None:
    kinesis = stack.session.client("kinesis")
    found = kinesis.describe_stream_summary(StreamName=stack.outputs["StreamName"])["StreamDescriptionSummary"]
    assert (found["OpenShardCount"], found["RetentionPeriodHours"]) == (2, 48)


def test_a_second_deployment_changes_nothing(stack: Deployed) -> None:
    events: list[Event] = []
    again = Deployment(stack.session, stack.name, stack.parameters, events.append, 0.1).apply_data()
    assert (again, events) == (stack.outputs, [])


def test_parameters_that_are_not_given_stay_as_they_are(emulator: Emulator, name: str) -> None:
    session, reported = emulator.session(), list[Event]()
    Deployment(session, name, {"ShardCount": "3", "SNSEmail": "a@b.example"}, reported.append, 0.1).apply_data()
    outputs = Deployment(session, name, {"HumidityThreshold": "20"}, reported.append, 0.1).apply_data()
    [found] = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    parameters = {p["ParameterKey"]: p["ParameterValue"] for p in found["Parameters"]}
    assert (parameters["ShardCount"], parameters["HumidityThreshold"]) == ("3", "20")
    topic = outputs["AlertTopicArn"]
    [subscription] = session.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert subscription["Endpoint"] == "a@b.example"
    assert (name, "UPDATE_COMPLETE") in {(event.resource, event.status) for event in reported}


def test_a_failed_deployment_names_the_resource_and_can_be_repeated(emulator: Emulator, name: str) -> None:
    """The parameter that the template wants to make is there already."""
    session = emulator.session()
    ssm, parameter = session.client("ssm"), f"/sensorstream/{name}/StreamName"
    ssm.put_parameter(Name=parameter, Value="somebody's", Type="String")
    with pytest.raises(DeployError, match=r"StreamNameParameter CREATE_FAILED: .+"):
        Deployment(session, name, {}, poll_seconds=0.1).apply_data()
    ssm.delete_parameter(Name=parameter)
    assert Deployment(session, name, {}, poll_seconds=0.1).apply_data().keys() == OUTPUTS


def test_a_refused_parameter_is_reported(emulator: Emulator) -> None:
    with pytest.raises(DeployError, match="RetentionHours"):
        Deployment(emulator.session(), "refused", {"RetentionHours": "1"}, poll_seconds=0.1).apply_data()


def test_the_same_code_is_packed_into_the_same_bytes() -> None:
    assert hashlib.sha256(package()).digest() == hashlib.sha256(package()).digest()
