"""make deploy and make plan, as a person at a terminal has them."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infra.deploy import image
from infra.deploy.artifacts import MAX_BODY, Artifacts
from infra.deploy.cloudformation import Event, Stack
from infra.local.emulator import Emulator
from tests.component.deploying import Shell, shell
from tests.component.inventory import inventory

__all__ = ["shell"]

WAITING = """
Resources:
  Handle: { Type: AWS::CloudFormation::WaitConditionHandle }
  Waits:
    Type: AWS::CloudFormation::WaitCondition
    Properties: { Handle: !Ref Handle, Timeout: 300, Count: 1 }
"""


def test_one_command_makes_all_stacks_and_says_what_to_do_next(shell: Shell) -> None:
    said = shell.deploy("--email", "farmer@example.com", "--params", "ShardCount=2")
    assert shell.stacks() == {"", "-network", "-service"}
    assert "farmer@example.com: " in said
    assert f"make destroy STACK={shell.stack}" in said
    for name, value in {**shell.outputs(), **shell.outputs("-network"), **shell.outputs("-service")}.items():
        assert f"{name} " in said
        assert value in said


def test_outputs_of_one_stack_are_parameters_of_the_next(shell: Shell) -> None:
    shell.deploy("--params", "ShardCount=2")
    given = shell.parameters("-service")
    known = {**shell.outputs(), **shell.outputs("-network")}
    same = {name for name in given if given[name] == known.get(name)}
    assert {"StreamName", "StreamArn", "SensorTable", "ArchiveBucket", "VpcId", "SubnetIds"} <= same
    assert (given["DataStack"], given["Image"]) == (shell.stack, "sensorstream:local")


def test_a_second_deployment_changes_nothing(shell: Shell) -> None:
    shell.deploy("--params", "ShardCount=2")
    said = shell.deploy("--params", "ShardCount=2")
    assert "updated" not in said
    assert "created" not in said


def test_an_update_is_shown_before_it_is_done(shell: Shell) -> None:
    shell.deploy("--params", "ShardCount=2")
    said = shell.deploy("--params", "HumidityThreshold=20")
    shown, done = said.index("modify  HumidityRule"), said.index("updated       HumidityRule")
    assert shown < done
    assert (shell.parameters()["HumidityThreshold"], shell.parameters()["ShardCount"]) == ("20", "2")


def test_a_plan_shows_and_changes_nothing(shell: Shell) -> None:
    code, said, error = shell.run("plan")
    assert (code, error, shell.stacks()) == (0, "", set())
    assert "add     SensorDataTable" in said
    shell.deploy("--params", "ShardCount=2")
    code, said, _ = shell.run("plan", "--image", "sensorstream:new", "--params", "HumidityThreshold=20")
    assert code == 0
    assert "modify  HumidityRule" in said
    assert "TopicRulePayload: HumidityThreshold 35 -> 20\n" in said
    # The rule, the function, and the parameter; not the stream, nor what only refers to the rule.
    assert f"stack {shell.stack}: 3 to modify\n" in said
    assert "modify  AlertThresholdParameter" in said
    assert "  unchanged, since what they refer to is not replaced: Dashboard, " in said
    assert re.search("modify  TaskDefinition +ECS::TaskDefinition  REPLACED\n", said)
    assert "ContainerDefinitions: Image sensorstream:local -> sensorstream:new (takes a new one)\n" in said
    assert "StreamName" not in said
    assert shell.parameters()["HumidityThreshold"] == "35"


def test_a_failure_is_its_cause_in_one_line_and_the_same_command_goes_on(shell: Shell) -> None:
    """A parameter that the template wants to make is there already. What was made before goes away again."""
    ssm, parameter = shell.session.client("ssm"), f"/sensorstream/{shell.stack}/StreamName"
    ssm.put_parameter(Name=parameter, Value="somebody's", Type="String")
    code, said, error = shell.run("deploy", "--image", "sensorstream:local", "--params", "ShardCount=2")
    assert (code, error.count("\n")) == (1, 1)
    start = f"sensorstream: stack {shell.stack} ended as ROLLBACK_COMPLETE: StreamNameParameter CREATE_FAILED: "
    assert error.startswith(start)
    assert "FAILED        StreamNameParameter (SSM::Parameter): " in said
    tables = shell.session.client("dynamodb").list_tables()["TableNames"]
    buckets = [bucket["Name"] for bucket in shell.session.client("s3").list_buckets()["Buckets"]]
    left = [name for name in tables + buckets if name.startswith(f"{shell.stack}-")]
    assert left == [f"{shell.stack}-artifacts-000000000000-eu-central-1"]
    ssm.delete_parameter(Name=parameter)
    assert f"created     stack {shell.stack}-service" in shell.deploy()


def test_a_service_that_fails_is_reported_with_the_reason_of_its_last_task(shell: Shell) -> None:
    """Another service has its place, and its task has just ended."""
    ecs, cluster = shell.session.client("ecs"), shell.stack
    ecs.create_cluster(clusterName=cluster)
    container: Any = {"name": "consumer", "image": "none", "memory": 128}
    definition = ecs.register_task_definition(family=f"{cluster}-other", containerDefinitions=[container])
    other = definition["taskDefinition"]["taskDefinitionArn"]
    task = ecs.run_task(cluster=cluster, taskDefinition=other)["tasks"][0]["taskArn"]
    ecs.stop_task(cluster=cluster, task=task, reason="CannotPullContainerError: no such image")
    ecs.create_service(cluster=cluster, serviceName="consumer", taskDefinition=other, desiredCount=0)
    code, _, error = shell.run("deploy", "--image", "sensorstream:local", "--params", "ShardCount=2")
    assert (code, error.count("\n")) == (1, 1)
    assert "Service CREATE_FAILED: " in error
    assert error.endswith("; the last task that ended: CannotPullContainerError: no such image\n")
    ecs.deregister_task_definition(taskDefinition=other)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--params", "Shards=2"), "no template has a parameter Shards; did you mean ShardCount?"),
        (("--params", "ShardCuont=2"), "no template has a parameter ShardCuont; did you mean ShardCount?"),
        (("--params", "Zebra=2"), "no template has a parameter Zebra; there are "),
        (("--params", "ShardCount=two"), "ShardCount=two must be a whole number of 0 to 500"),
        (("--params", "ShardCount=1.5"), "ShardCount=1.5 must be a whole number of 0 to 500"),
        (("--params", "ArchiveMaxSeconds=1m"), "ArchiveMaxSeconds=1m must be a whole number of 1 to 3,600"),
        (("--params", "HumidityThreshold=nan"), "HumidityThreshold=nan must be a number"),
        (("--params", "FanOut=yes"), "FanOut=yes must be one of true, false"),
        (("--params", "MinTasks=0"), "MinTasks=0 must be a whole number of at least 1"),
        (("--params", "ShardCount"), "PARAMS: ShardCount is not Name=value"),
        (("--params", "'"), "PARAMS=': No closing quotation"),
        (("--params", "RetentionHours=1"), "RetentionHours=1 must be a whole number of 24 to 8,760"),
        (("--params", "ShardCount=2 MinTasks=3"), "MinTasks=3 is more than the 2 shards of the stream"),
        (("--params", "MaxTasks=5"), "MaxTasks=5 is more than the 4 shards of the stream"),  # on demand
        (("--stack", "a-name-that-is-much-too-long"), "STACK=a-name-that-is-much-too-long: a name is"),
        (("--params", "MinTasks=2 MaxTasks=1"), "MinTasks=2 is more than MaxTasks=1; give both"),
        (("--params", "ShardCount=9 MinTasks=6"), "MinTasks=6 is more than MaxTasks=4; give both"),
        (("--params", "ShardCount=2 ShardCount=3"), "ShardCount is given twice, as 2 and as 3"),
        (("--params", "StreamName=x"), "StreamName follows from the deployment itself and cannot be chosen"),
        (("--params", "DataStack=x"), "DataStack follows from the deployment itself"),
        (("--params", "Image=x"), "Image is given as IMAGE=..., not in PARAMS"),
        (("--params", "ReadingContracts=[]"), "ReadingContracts: Expected `array` of length >= 1"),
        (("--params", "ReadingContracts=x.json"), "ReadingContracts: x.json: No such file"),
        (("--params", "TopicPattern=device/+/data"), "TopicPattern=device/+/data is not a topic with {device} as one"),
        (
            ("--params", "TopicPattern=a/{device},{device}/b"),
            "TopicPattern: a/{device} and {device}/b fit the same topics",
        ),
        (
            ("--params", "AlertField=a-b"),
            "AlertField=a-b is not a field's name of A-Z a-z 0-9 _ or a dotted path to it",
        ),
        (("--params", "AlertThreshold=low"), "AlertThreshold=low is not a number, or nothing"),
        (("--params", "AlertWhen=near"), "AlertWhen=near must be one of below, above"),
        (("--params", "TopicDeviceLevel=3"), "TopicDeviceLevel follows from TopicPattern and cannot be chosen"),
        (("--params", "InitialPosition=AT_TIMESTAMP:2026-13-22T10:48:16Z"), "InitialPosition: must be TRIM_HORIZON or"),
        (("--role", "admin"), "ROLE=admin is not the ARN of a role"),
        (("--image", "a b"), "IMAGE=a b is not an image reference"),
        (("--stack", "fleet-service"), "STACK=fleet-service is a name of the deployment fleet's own stacks"),
        (("--stack", "fleet-network"), "did you mean fleet?"),
        (("--stack", ""), "name the deployment: STACK=name"),
        (("--email", "nobody"), "EMAIL=nobody is not an e-mail address, such as you@example.com"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(shell: Shell, options: tuple[str, ...], why: str) -> None:
    code, _, error = shell.run("deploy", "--image", "sensorstream:local", *options)
    assert (code, error.count("\n")) == (2, 1)
    assert why in error
    assert shell.stacks() == set()


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        (("AWS_REGION", "AWS_DEFAULT_REGION"), "no region; set AWS_REGION"),
        (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "no AWS credentials"),
    ],
)
def test_without_credentials_or_region_one_line_says_so(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: tuple[str, ...], why: str
) -> None:
    with monkeypatch.context() as bare:
        for name in missing:
            bare.delenv(name)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            bare.setenv(name, str(tmp_path / "none"))
        bare.setenv("AWS_EC2_METADATA_DISABLED", "true")
        code, _, error = shell.run("deploy")
    assert (code, error.count("\n")) == (2, 1)
    assert why in error


def test_tasks_follow_the_shards_unless_they_are_asked_for(shell: Shell) -> None:
    shell.deploy("--params", "ShardCount=2")
    assert shell.parameters("-service")["MaxTasks"] == "2"
    shell.deploy("--params", "ShardCount=4 MaxTasks=3")
    assert shell.parameters("-service")["MaxTasks"] == "3"


def test_a_simulator_gets_the_image_of_the_commands(shell: Shell) -> None:
    params = "ShardCount=2 SimulatorDevices=1"
    code, _, error = shell.run("deploy", "--image", "registry/own@sha256:1", "--params", params)
    assert (code, "SimulatorImage" in error) == (2, True)
    shell.deploy("--params", params)
    assert shell.parameters("-service")["SimulatorImage"] == "sensorstream:local-tools"
    shell.deploy("--params", "ShardCount=2 SimulatorDevices=0")


def test_compaction_has_image_and_subnet_of_its_own_and_ends_when_its_schedule_is_taken_back(shell: Shell) -> None:
    """There is no simulator, whose they are otherwise."""
    shell.deploy("--params", "ShardCount=2")
    assert shell.parameters("-service")["PublicSubnetIds"] == "none"
    before = inventory(shell.session)
    shell.deploy("--params", "CompactionSchedule='cron(20 * * * ? *)'")
    given = shell.parameters("-service")
    assert (given["SimulatorImage"], given["PublicSubnetIds"][:7]) == ("sensorstream:local-tools", "subnet-")
    [rule] = {found for found in inventory(shell.session) - before if found.startswith("schedule ")}
    shell.deploy("--params", "MaxTasks=1")
    assert rule in inventory(shell.session), "it stays as it is"
    shell.deploy("--params", "CompactionSchedule= MaxTasks=2")
    assert inventory(shell.session) == before


def test_without_a_name_the_image_of_this_checkout_is_used_by_its_digest(shell: Shell) -> None:
    shell.deploy("--params", "ShardCount=2")
    repository, wanted = shell.outputs()["RepositoryUri"], image.tag("ARM64")  # as deployed before
    code, said, _ = shell.run("plan")
    assert (code, "modify  TaskDefinition" in said) == (0, True)
    code, _, error = shell.run("deploy")
    assert (code, "IMAGE=sensorstream:local" in error) == (2, True)
    pushed = shell.session.client("ecr").put_image(
        repositoryName=repository.partition("/")[2], imageManifest='{"schemaVersion": 2}', imageTag=wanted
    )
    code, said, error = shell.run("deploy")
    assert code == 0, error
    assert f"image {wanted} is in the repository" in said
    assert shell.parameters("-service")["Image"] == f"{repository}@{pushed['image']['imageId']['imageDigest']}"
    assert shell.parameters("-service")["Architecture"] == "ARM64"


@pytest.fixture
def vpc(emulator: Emulator) -> Iterator[tuple[str, list[str]]]:
    """A network that is there already: its id and those of its subnets."""
    ec2 = emulator.session().client("ec2")
    made = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    blocks = ("10.9.0.0/24", "10.9.1.0/24")
    subnets = [ec2.create_subnet(VpcId=made, CidrBlock=block)["Subnet"]["SubnetId"] for block in blocks]
    yield made, subnets
    for subnet in subnets:
        ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=made)


def test_a_network_that_is_there_is_used_and_stays_in_use(shell: Shell, vpc: tuple[str, list[str]]) -> None:
    network, subnets = vpc
    shell.deploy("--params", f"ShardCount=2 VpcId={network} SubnetIds={','.join(subnets)}")
    assert shell.stacks() == {"", "-service"}
    shell.deploy("--params", "HumidityThreshold=20")
    assert shell.stacks() == {"", "-service"}
    assert shell.parameters("-service")["SubnetIds"] == ",".join(subnets)
    shell.destroy()  # before the network


def test_what_is_under_way_is_waited_for(emulator: Emulator) -> None:
    client = emulator.session().client("cloudformation")
    client.create_stack(StackName="under-way", TemplateBody=WAITING)
    events: list[Event] = []

    def on_event(event: Event) -> None:
        events.append(event)
        if len(events) == 1:
            client.signal_resource(StackName="under-way", LogicalResourceId="Waits", UniqueId="1", Status="SUCCESS")

    with ThreadPoolExecutor(1) as pool:
        settled = pool.submit(Stack(client, "under-way", on_event, 0.1).settled).result(timeout=60)
    assert settled is not None
    assert settled.status == "CREATE_COMPLETE"
    assert events == [
        Event("under-way", "CREATE_IN_PROGRESS", "already under way: waiting for its end", stack="under-way")
    ]
    Stack(client, "under-way", on_event, 0.1).delete()


def test_a_template_too_long_for_a_request_goes_through_the_bucket(emulator: Emulator, tmp_path: Path) -> None:
    session, long = emulator.session(), tmp_path / "long.yaml"
    long.write_text("Resources: { Topic: { Type: AWS::SNS::Topic } }\n" + "# ...\n" * (MAX_BODY // 6))
    template = Artifacts(session, "long").template(long)
    assert template.keys() == {"TemplateURL"}
    events: list[Event] = []
    stack = Stack(session.client("cloudformation"), "long", events.append, 0.1)
    stack.apply(template, {})
    assert ("Topic", "CREATE_COMPLETE") in {(event.resource, event.status) for event in events}
    stack.delete()
