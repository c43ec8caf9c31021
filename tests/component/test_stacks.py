"""All three templates with every option on: made, changed and taken away by CloudFormation alone."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest

from infra.deploy.cloudformation import DeployError
from infra.deploy.deployment import Deployment
from infra.deploy.moved import require_free_consumer
from infra.local.emulator import Emulator
from tests.component.inventory import inventory

NAME = "everything"
EVERYTHING = {
    "ShardCount": "2",
    "FanOut": "true",
    "SNSEmail": "a@b.example",
    "KmsKeyArn": "arn:aws:kms:eu-central-1:000000000000:key/0a1b2c3d",
    "Zones": "3",
    "MinTasks": "1",
    "MaxTasks": "2",
    "MetricsCidr": "10.0.0.0/16",
    "MetricsSecurityGroupId": "sg-0a1b2c3d",
    "SimulatorDevices": "3",
    "CompactionSchedule": "rate(1 hour)",
    "InitialPosition": "AT_TIMESTAMP:2026-11-22T10:48:16Z",
    "ArchiveMaxSeconds": "300",
    "TableConcurrency": "16",
    "CloudWatchNamespace": "Fleet/One",
    "LogLevel": "DEBUG",
    "AlertPolicy": '{"rules":[{"name":"dry"}]}',
    "Runbook": "https://wiki.example.com/operations",
}
NOTHING = {"FanOut": "false", "SNSEmail": "", "KmsKeyArn": "", "Zones": "2", "MinTasks": "1", "MaxTasks": "1"}
NOTHING |= {
    "MetricsCidr": "",
    "MetricsSecurityGroupId": "",
    "SimulatorDevices": "0",
    "ShardCount": "3",
    "AlertPolicy": "",
}
NOTHING |= {"CompactionSchedule": ""}


def remove(session: boto3.Session, name: str) -> None:
    """By CloudFormation alone: what its deletion policies keep stays."""
    client = session.client("cloudformation")
    for suffix in ("-service", "-network", ""):
        client.delete_stack(StackName=name + suffix)
        client.get_waiter("stack_delete_complete").wait(StackName=name + suffix, WaiterConfig={"Delay": 1})


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[boto3.Session]:
    """An account of these tests' own."""
    with Emulator(log=tmp_path_factory.mktemp("stacks") / "emulator.log") as emulator:
        yield emulator.session()


def deployed(session: boto3.Session, name: str, parameters: Mapping[str, str]) -> dict[str, str]:
    return Deployment(session, name, parameters, poll_seconds=0.1).apply(lambda made, target: f"sensorstream:{target}")


@pytest.fixture(scope="module")
def before(own: boto3.Session) -> set[str]:
    return inventory(own)


@pytest.fixture(scope="module")
def full(own: boto3.Session, before: set[str]) -> dict[str, str]:
    """Outputs of a deployment with every option."""
    assert not [found for found in before if NAME in found]
    return deployed(own, NAME, EVERYTHING)


def kinds(session: boto3.Session, before: set[str]) -> set[str]:
    return {found.partition(" ")[0] for found in inventory(session) - before}


def test_every_option_makes_its_resources(own: boto3.Session, before: set[str], full: dict[str, str]) -> None:
    made = kinds(own, before)
    assert {"stream-consumer", "scalable-target", "scaling-policy", "namespace", "discovery-service"} <= made
    assert {"alarm", "dashboard", "repository", "vpc-endpoint", "internet-gateway", "subscription"} <= made
    ours = {found for found in inventory(own) - before if "ompaction" in found}
    assert {found.partition(" ")[0] for found in ours} == {
        "alarm", "iam-role", "iam-role-policy", "schedule", "task-definition",
    }  # fmt: skip
    services = own.client("ecs").describe_services(cluster=NAME, services=["consumer", "simulator"])["services"]
    assert {service["serviceName"]: service["desiredCount"] for service in services} == {"consumer": 1, "simulator": 1}
    assert full["MetricsName"] == f"consumer.{NAME}.internal"


def test_the_consumer_of_the_stream_is_the_one_that_the_kcl_looks_for(own: boto3.Session, full: dict[str, str]) -> None:
    found = own.client("kinesis").describe_stream_consumer(
        StreamARN=full["StreamArn"], ConsumerName=environment(own, full)["STREAM_CONSUMER"]
    )["ConsumerDescription"]
    assert (found["ConsumerARN"], found["ConsumerStatus"]) == (full["StreamConsumerArn"], "ACTIVE")
    assert environment(own, full)["RETRIEVAL_MODE"] == "FANOUT"


def environment(session: boto3.Session, outputs: Mapping[str, str]) -> dict[str, str]:
    task = session.client("ecs").describe_task_definition(taskDefinition=outputs["TaskDefinitionArn"])
    declared: list[Any] = task["taskDefinition"]["containerDefinitions"][0]["environment"]
    return {each["name"]: each["value"] for each in declared}


def test_alarms_on_expressions_are_kept_as_they_are(own: boto3.Session, full: dict[str, str]) -> None:
    found = own.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{NAME}-")["MetricAlarms"]
    assert {"LagGrowing", "NoRunningTask", "RetentionRunsOut", "ReadingsRuleFails"} <= {
        alarm["AlarmName"].removeprefix(f"{NAME}-") for alarm in found
    }
    assert {action for alarm in found for action in alarm["AlarmActions"]} > {full["AlertTopicArn"]}


def test_settings_of_the_consumer_are_parameters(own: boto3.Session, full: dict[str, str]) -> None:
    asked = ("InitialPosition", "ArchiveMaxSeconds", "TableConcurrency", "CloudWatchNamespace", "LogLevel")
    names = ("INITIAL_POSITION", "ARCHIVE_MAX_SECONDS", "TABLE_CONCURRENCY", "CLOUDWATCH_NAMESPACE", "LOG_LEVEL")
    given = environment(own, full)
    assert [given[name] for name in names] == [EVERYTHING[parameter] for parameter in asked]
    [stale] = own.client("cloudwatch").describe_alarms(AlarmNames=[f"{NAME}-CheckpointStale"])["MetricAlarms"]
    assert stale["Metrics"][0]["Expression"] == "age - 300"
    assert stale["AlarmDescription"].endswith(" https://wiki.example.com/operations#checkpointstale")


def test_the_kcls_tables_are_there_before_it_is(own: boto3.Session, full: dict[str, str]) -> None:
    dynamodb = own.client("dynamodb")
    found = {
        suffix: dynamodb.describe_table(TableName=full["ApplicationName"] + suffix)["Table"]["KeySchema"]
        for suffix in ("", "-CoordinatorState", "-WorkerMetricStats")
    }
    assert [key["AttributeName"] for [key] in found.values()] == ["leaseKey", "key", "wid"]


def test_options_can_be_taken_back_and_shards_added(own: boto3.Session, before: set[str], full: dict[str, str]) -> None:
    less = deployed(own, NAME, NOTHING)
    gone = {"stream-consumer", "scalable-target", "scaling-policy", "namespace", "internet-gateway", "subscription"}
    assert not gone & kinds(own, before)
    assert not [found for found in inventory(own) if "ompaction" in found]
    assert (less["StreamConsumerArn"], less["MetricsName"], less["StreamName"]) == ("none", "none", full["StreamName"])
    stream = own.client("kinesis").describe_stream_summary(StreamName=full["StreamName"])["StreamDescriptionSummary"]
    assert stream["OpenShardCount"] == 3
    assert environment(own, less)["RETRIEVAL_MODE"] == "POLLING"


def test_nothing_stays_but_the_data(own: boto3.Session, before: set[str], full: dict[str, str]) -> None:
    remove(own, NAME)
    kept = {f"table {full['SensorTable']}", f"table {full['RollupTable']}", f"bucket {full['ArchiveBucket']}"}
    artifacts = {found for found in inventory(own) - before if "-artifacts-" in found}
    assert inventory(own) - before - artifacts == kept


def test_bounds_of_scaling_that_cannot_be_are_refused_before_anything_is_made(own: boto3.Session) -> None:
    with pytest.raises(DeployError, match="MinTasks=3 is more than MaxTasks=2"):
        deployed(own, "bounds", {"ShardCount": "4", "MinTasks": "3", "MaxTasks": "2"})
    stacks = own.client("cloudformation").describe_stacks()["Stacks"]
    assert not [stack for stack in stacks if stack["StackName"].startswith("bounds")]


def test_a_stream_without_a_number_of_shards_is_on_demand(own: boto3.Session) -> None:
    stream = deployed(own, "demand", {})["StreamName"]
    found = own.client("kinesis").describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    assert found["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    remove(own, "demand")


def test_a_registered_consumer_of_the_data_plane_is_not_taken_from_running_tasks(own: boto3.Session) -> None:
    """As a version before this one left it."""
    output = {"Description": "once", "Value": "arn:aws:kinesis:eu-central-1:000000000000:stream/s/consumer/c:1"}
    topic = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"StreamConsumerArn": output}}
    own.client("cloudformation").create_stack(StackName="moves", TemplateBody=json.dumps(topic))
    ecs = own.client("ecs")
    ecs.create_cluster(clusterName="moves")
    task = ecs.register_task_definition(family="moves", containerDefinitions=[{"name": "c", "image": "i"}])
    arn = task["taskDefinition"]["taskDefinitionArn"]
    ecs.create_service(cluster="moves", serviceName="consumer", taskDefinition=arn, desiredCount=1)
    with pytest.raises(DeployError, match=r"--cluster moves --service consumer --desired-count 0.*FanOut=true"):
        deployed(own, "moves", {})
    ecs.update_service(cluster="moves", service="consumer", desiredCount=0)
    require_free_consumer(own, "moves", Deployment(own, "moves", {}).data.state())
