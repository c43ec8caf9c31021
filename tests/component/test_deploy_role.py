"""infra/deployer.yaml: its role deploys, plans and destroys on an emulator that enforces it, and nothing beside."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.deploy.artifacts import Artifacts
from infra.deploy.cloudformation import DeployError, Stack
from infra.deploy.deployment import Deployment
from infra.deploy.destroy import Data, destroy
from infra.deploy.templates import INFRA
from infra.local.emulator import Emulator
from producer.fleet.provision import deprovision_all
from tests.component.inventory import inventory

NAME = "sensorstream-by-role"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(log=tmp_path_factory.mktemp("strict") / "emulator.log", enforce_iam=True) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def roles(strict: Emulator) -> dict[str, str]:
    """Outputs of the deployer's stack, made by the account itself."""
    session = strict.session()
    template = Artifacts(session, "deployer").template(INFRA / "deployer.yaml")
    return Stack(session.client("cloudformation"), "deployer", lambda _: None, 0.1).apply(template, {})


@pytest.fixture(scope="module")
def deployer(strict: Emulator, roles: dict[str, str]) -> boto3.Session:
    return strict.session(strict.role(roles["DeployerRoleArn"]))


def deployment(session: boto3.Session, roles: dict[str, str], name: str = NAME, **parameters: str) -> Deployment:
    return Deployment(session, name, parameters, poll_seconds=0.1, role=roles["ServiceRoleArn"])


def test_the_deployer_deploys_plans_and_destroys(
    strict: Emulator, roles: dict[str, str], deployer: boto3.Session
) -> None:
    before = inventory(strict.session())
    outputs = deployment(deployer, roles, ShardCount="2").apply(lambda made, target: f"sensorstream:{target}")
    again = deployment(deployer, roles, HumidityThreshold="20")
    plans = {plan.stack: plan.changes for plan in again.plan(lambda made, target: f"sensorstream:{target}")}
    assert {change.resource for change in plans[NAME] or []} >= {"HumidityRule"}
    updated = again.apply(lambda made, target: f"sensorstream:{target}")
    assert updated == outputs | {"AlertThreshold": "20"}
    assert key_policy(strict)["WhoMadeIt"]["Principal"] == {"AWS": roles["ServiceRoleArn"]}
    again = deployment(deployer, roles, CompactionSchedule="rate(1 hour)")
    again.apply(lambda made, target: f"sensorstream:{target}")
    strict.session().client("ecs").run_task(cluster=NAME, taskDefinition=f"{NAME}-compaction", launchType="FARGATE")
    iot = deployer.client("iot")
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_policy(policyName=outputs["DevicePolicy"], target=made["certificateArn"])
    said: list[str] = []
    assert destroy(again, said.append, Data.UNLESS_EMPTY) == []
    assert f"stopped     1 tasks of {NAME}-compaction" in said
    assert inventory(strict.session()) == before


def key_policy(strict: Emulator) -> dict[str, Any]:
    """Statements of the key of the deployment's alerts, by their Sid."""
    client = strict.session().client
    [key] = [
        each["PhysicalResourceId"]
        for each in client("cloudformation").describe_stack_resources(StackName=NAME)["StackResources"]
        if each["ResourceType"] == "AWS::KMS::Key"
    ]
    policy = json.loads(client("kms").get_key_policy(KeyId=key)["Policy"])
    return {each["Sid"]: each for each in policy["Statement"]}


@pytest.mark.parametrize(
    "attempt",
    [
        lambda session, roles: session.client("cloudformation").create_stack(
            StackName=NAME, TemplateBody="Resources: { Topic: { Type: AWS::SNS::Topic } }"
        ),
        lambda session, roles: session.client("cloudformation").create_stack(
            StackName="payroll",
            TemplateBody="Resources: { Topic: { Type: AWS::SNS::Topic } }",
            RoleARN=roles["ServiceRoleArn"],
        ),
        lambda session, roles: session.client("iam").create_role(RoleName=NAME, AssumeRolePolicyDocument="{}"),
        lambda session, roles: session.client("s3").create_bucket(
            Bucket="payroll", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        ),
        lambda session, roles: session.client("dynamodb").delete_table(TableName="payroll"),
        lambda session, roles: session.client("iot").delete_policy(policyName=f"{NAME}-DevicePolicy"),
        lambda session, roles: deprovision_all(session.client("iot"), "payroll"),
    ],
    ids=[
        "a stack in its own name",
        "a stack of another prefix",
        "a role",
        "a bucket of another prefix",
        "a table of another prefix",
        "a policy",
        "devices of another policy",
    ],
)
def test_the_deployer_may_not_make_or_remove(
    deployer: boto3.Session, roles: dict[str, str], attempt: Callable[[Any, dict[str, str]], object]
) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied|not authorized"):
        attempt(deployer, roles)


def test_a_name_without_the_prefix_is_refused_in_one_line(deployer: boto3.Session, roles: dict[str, str]) -> None:
    with pytest.raises(DeployError, match=r"^stack payroll: .*(AccessDenied|not authorized)"):
        deployment(deployer, roles, "payroll").apply(lambda made, target: f"sensorstream:{target}")
