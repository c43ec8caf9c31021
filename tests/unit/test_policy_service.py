"""Our own rules for the service's template: what the container may, and how it stops."""

import dataclasses
import re
from typing import Any

import pytest

from consumer.settings import Settings
from tests.unit.policies import TEMPLATES, Resource, label, of, text

SERVICE = TEMPLATES["service"]
TASKS = of("AWS::ECS::TaskDefinition")


def container(task: Resource) -> dict[str, Any]:
    [found] = task.properties["ContainerDefinitions"]
    assert isinstance(found, dict)
    return found


def environment() -> dict[str, Any]:
    """What the consumer's task definition gives it."""
    [task] = [task for task in TASKS if task.name == "TaskDefinition"]
    return {each["Name"]: each["Value"] for each in container(task)["Environment"]}


@pytest.mark.parametrize("task", TASKS, ids=label)
def test_a_container_may_nothing_that_it_does_not_need(task: Resource) -> None:
    found = container(task)
    assert (found["User"], found["ReadonlyRootFilesystem"]) == ("10001", True)
    assert found["LinuxParameters"] == {"Capabilities": {"Drop": ["ALL"]}}
    assert not found.keys() & {"Privileged", "DockerSecurityOptions", "Secrets"}
    assert task.properties["NetworkMode"] == "awsvpc"
    assert task.properties["TaskRoleArn"] != task.properties["ExecutionRoleArn"]
    assert found["MountPoints"] == [{"SourceVolume": "run", "ContainerPath": "/run/sensorstream", "ReadOnly": False}]


@pytest.mark.parametrize("task", TASKS, ids=label)
def test_fargate_waits_no_longer_than_120_seconds(task: Resource) -> None:
    assert 0 < container(task)["StopTimeout"] <= 120


@pytest.mark.parametrize("task", TASKS, ids=label)
def test_a_slow_log_service_does_not_stop_a_container(task: Resource) -> None:
    for each in task.properties["ContainerDefinitions"]:
        log = each["LogConfiguration"]
        assert (log["LogDriver"], log["Options"]["mode"]) == ("awslogs", "non-blocking")
        assert 1 <= int(log["Options"]["max-buffer-size"].removesuffix("m")) <= 25, "of the task's memory"


@pytest.mark.parametrize("task", TASKS, ids=label)
def test_a_container_asks_dynamodb_by_the_host_that_the_endpoint_is_for(task: Resource) -> None:
    """The name is the SDKs' own, for Python and for Java; so a default of another day changes nothing."""
    for each in task.properties["ContainerDefinitions"]:
        assert {"Name": "AWS_ACCOUNT_ID_ENDPOINT_MODE", "Value": "disabled"} in each["Environment"]


@pytest.mark.parametrize("service", of("AWS::ECS::Service"), ids=label)
def test_ecs_moves_no_task_for_the_balance_of_zones(service: Resource) -> None:
    assert service.properties["AvailabilityZoneRebalancing"] == "DISABLED"


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_no_parameter_is_looked_up_with_rights_that_a_deployer_lacks(name: str) -> None:
    """CloudFormation checks values of types such as AWS::EC2::VPC::Id, and fetches those of AWS::SSM::Parameter."""
    for parameter in TEMPLATES[name].get("Parameters", {}).values():
        assert parameter["Type"] in ("String", "Number", "CommaDelimitedList")


@pytest.mark.parametrize("name", ["VpcId", "SubnetIds", "PublicSubnetIds", "MetricsSecurityGroupId"])
def test_ids_are_checked_by_a_pattern(name: str) -> None:
    pattern = SERVICE["Parameters"][name]["AllowedPattern"]
    ids = {"VpcId": "vpc-0f3a", "MetricsSecurityGroupId": "sg-0f3a"}
    assert re.search(pattern, ids.get(name, "subnet-0f3a"))
    assert not re.search(pattern, "my network")
    assert not re.search(pattern, ids.get(name, "subnet-0f3a") + ";")


def test_the_service_has_given_up_before_it_is_killed() -> None:
    [task] = [task for task in TASKS if task.name == "TaskDefinition"]
    assert int(environment()["SHUTDOWN_SECONDS"]) + 20 <= container(task)["StopTimeout"]


def test_every_variable_of_the_task_is_a_setting_with_a_value_that_is_taken() -> None:
    known = {field.name.upper() for field in dataclasses.fields(Settings)}
    assert environment().keys() - known == {"TMPDIR", "AWS_ACCOUNT_ID_ENDPOINT_MODE"}
    given = {name: value if isinstance(value, str) else "" for name, value in environment().items()}
    names = {"STREAM_NAME": "stream", "SENSOR_TABLE": "table", "ARCHIVE_BUCKET": "bucket", "AWS_REGION": "xx-north-1"}
    settings = Settings.load(given | names)
    assert (settings.lease_tables, settings.http_host) == ("existing", "0.0.0.0")  # noqa: S104


def test_the_lease_tables_have_the_names_that_the_kcl_makes_of_the_application() -> None:
    data = TEMPLATES["data"]
    application = data["Outputs"]["ApplicationName"]["Value"]["Fn::Sub"]
    tables = {t.properties.get("TableName", {}).get("Fn::Sub") for t in of("AWS::DynamoDB::Table")} - {None}
    assert tables - {"${AWS::StackName}-alerts"} == {
        f"{application}{suffix}" for suffix in ("", "-CoordinatorState", "-WorkerMetricStats")
    }


def named(value: Any) -> set[str]:
    """What a template's value refers to."""
    if isinstance(value, list):
        return set().union(*map(named, value))
    if not isinstance(value, dict):
        return set()
    found = set().union(*map(named, value.values()))
    for function, argument in value.items():
        if function in ("Ref", "DependsOn", "Fn::GetAtt"):
            found |= {str(name).partition(".")[0] for name in ([argument] if isinstance(argument, str) else argument)}
        elif function == "Fn::Sub":
            found |= set(re.findall(r"\$\{(\w+)", argument if isinstance(argument, str) else argument[0]))
    return found


def made_before(name: str) -> set[str]:
    """Resources of the service's stack that CloudFormation makes before this one, and deletes after it."""
    found: set[str] = set()
    new = {name}
    while new:
        new = set().union(*(named(SERVICE["Resources"][each]) for each in new)) & SERVICE["Resources"].keys() - found
        found |= new
    return found


def test_the_consumer_of_the_stream_goes_after_the_tasks_and_by_the_name_that_the_kcl_looks_for() -> None:
    """The KCL takes the answer that it is not there for the end of every shard."""
    consumer = SERVICE["Resources"]["StreamConsumer"]
    assert "StreamConsumer" in made_before("Service")
    assert made_before("StreamConsumer") == set()
    assert consumer["Condition"] == "HasFanOut"
    name = consumer["Properties"]["ConsumerName"]
    assert environment()["STREAM_CONSUMER"] == {"Fn::If": ["HasFanOut", name, ""]}
    assert name != TEMPLATES["data"]["Outputs"]["ApplicationName"]["Value"], "the one that the data stack once had"
    assert "AWS::Kinesis::StreamConsumer" not in text(TEMPLATES["data"])


def test_the_task_may_not_make_change_or_delete_a_table_stream_or_consumer() -> None:
    role = SERVICE["Resources"]["TaskRole"]["Properties"]
    forbidden = ("CreateTable", "UpdateTable", "DeleteTable", "RegisterStreamConsumer", "DeleteObject", "Tag")
    assert not [action for action in forbidden if action in text(role)]


def test_a_deployment_keeps_all_tasks_and_goes_back_when_it_fails() -> None:
    deployment = SERVICE["Resources"]["Service"]["Properties"]["DeploymentConfiguration"]
    assert deployment == {
        "MinimumHealthyPercent": 100,
        "MaximumPercent": 200,
        "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
    }


def test_what_the_service_asks_of_the_data_plane_are_outputs_of_it() -> None:
    asked = {name for name, each in SERVICE["Parameters"].items() if each["Description"] == "Output of the data stack."}
    assert asked
    assert asked <= TEMPLATES["data"]["Outputs"].keys()


def test_parameters_of_one_name_mean_the_same_in_all_templates() -> None:
    shared = SERVICE["Parameters"].keys() & TEMPLATES["data"]["Parameters"].keys()
    outputs = TEMPLATES["data"]["Outputs"].keys()
    assert shared - outputs == {"KmsKeyArn", "LogRetentionDays", "RetentionHours"}
    for name in shared - outputs:
        assert SERVICE["Parameters"][name]["Default"] == TEMPLATES["data"]["Parameters"][name]["Default"]


def test_the_consumer_may_call_the_alert_function_only_where_it_raises_the_alerts() -> None:
    [policy] = SERVICE["Resources"]["TaskRole"]["Properties"]["Policies"]
    given = policy["PolicyDocument"]["Statement"]
    [(condition, statement, otherwise)] = [
        each["Fn::If"] for each in given if "Fn::If" in each and each["Fn::If"][1]["Sid"] == "Alerts"
    ]
    assert (condition, otherwise) == ("AlertsByConsumer", {"Ref": "AWS::NoValue"})
    assert statement["Action"] == "lambda:InvokeFunction"
    assert statement["Resource"]["Fn::Sub"].endswith(":function:${AlertFunction}")
    assert "lambda" not in str([each for each in given if "Fn::If" not in each])


def test_the_rule_and_the_consumer_never_both_raise_alerts() -> None:
    rules = [each for name, each in TEMPLATES["data"]["Resources"].items() if name.startswith("HumidityRule")]
    payloads = [each["Properties"]["TopicRulePayload"] for each in rules if each["Type"] == "AWS::IoT::TopicRule"]
    assert [each["RuleDisabled"] for each in payloads] == [{"Fn::If": ["AlertsByConsumer", True, False]}] * 3
    [container] = SERVICE["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    [function] = [each["Value"] for each in container["Environment"] if each["Name"] == "ALERT_FUNCTION"]
    assert function == {"Fn::If": ["AlertsByConsumer", {"Ref": "AlertFunction"}, ""]}
    conditions = [TEMPLATES[name]["Conditions"]["AlertsByConsumer"] for name in ("data", "network", "service")]
    assert conditions[0] == conditions[1] == conditions[2]


def test_compaction_reads_the_archive_and_writes_only_compacted_hours() -> None:
    [role] = [role for role in of("AWS::IAM::Role") if role.name == "CompactionRole"]
    [policy] = role.properties["Policies"]
    given = {each["Sid"]: each for each in policy["PolicyDocument"]["Statement"] if "Sid" in each}
    assert {sid: each["Action"] for sid, each in given.items()} == {
        "Names": "ssm:GetParametersByPath",
        "Bucket": "s3:ListBucket",
        "Archive": "s3:GetObject",
        "Curated": ["s3:GetObject", "s3:PutObject"],
        "Metrics": "cloudwatch:PutMetricData",
    }
    assert given["Archive"]["Resource"] == {"Fn::Sub": "arn:${AWS::Partition}:s3:::${ArchiveBucket}/readings/*"}
    assert given["Curated"]["Resource"] == {"Fn::Sub": "arn:${AWS::Partition}:s3:::${ArchiveBucket}/curated/*"}
