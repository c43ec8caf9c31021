"""Takes a deployment away, with what was made beside its stacks; readings only when that is asked for by name."""

import time
from dataclasses import dataclass
from enum import Enum
from typing import Any

import boto3
from botocore.config import Config

from infra.deploy.artifacts import bucket_name
from infra.deploy.cloudformation import DeployError, State
from infra.deploy.deployment import DATA, NETWORK, SERVICE, SUFFIXES, Deployment, explained
from infra.deploy.holdings import Holding, holdings
from infra.deploy.leftovers import (
    Say,
    remove_bucket,
    remove_consumers,
    remove_images,
    remove_logs,
    remove_parameters,
    remove_queue,
    remove_table,
)
from producer.fleet.provision import deprovision_all
from producer.ops.alerts import queue_name

PATIENT = Config(retries={"mode": "adaptive", "max_attempts": 10})  # IoT takes some ten changes a second

DETACHED_SECONDS = 420.0  # AWS IoT: up to five minutes after its detachment before a policy can be deleted
POLLS = 10  # between two attempts


class Data(Enum):
    """What becomes of the table and the archive's bucket."""

    KEEP = "kept"
    UNLESS_EMPTY = "kept, unless both are empty"
    DELETE = "deleted"


@dataclass(frozen=True, slots=True)
class Resource:
    """What a stack calls something, and what that is called outside of it."""

    name: str
    kind: str
    id: str


def destroy(session: boto3.Session, deployment: Deployment, say: Say, data: Data) -> list[Holding]:
    """Remove everything; returns what is kept: nothing, or the table and the archive's bucket.

    Whether they are empty is looked at when nothing writes any more.
    May be repeated after a failure at any step: the data stack's stack, which knows the names, goes last.
    """
    with explained(deployment.name):
        made = {path: resources(session, deployment.name + SUFFIXES[path]) for path in SUFFIXES}
        deployment.stack(SERVICE).delete()  # first of all whoever writes
        deployment.stack(NETWORK).delete()
        now = deployment.state(DATA)
        kept = _unhinder(session, deployment.name, now, made[DATA], say, data) if now else []
        _delete_data(session, deployment, say)
        everything = [resource for found in made.values() for resource in found]
        remove_logs(session, own_logs(everything), say)
        remove_parameters(session, f"/sensorstream/{deployment.name}/", say)
        remove_bucket(session, bucket_name(session, deployment.name), say)
        return kept


def _delete_data(session: boto3.Session, deployment: Deployment, say: Say) -> None:
    """Deletes the data stack's stack, again and again while nothing but the device policy holds it up."""
    deadline = time.monotonic() + DETACHED_SECONDS
    while True:
        try:
            deployment.stack(DATA).delete()
            return
        except DeployError:
            if _held_up(session, deployment.name) != {"AWS::IoT::Policy"} or time.monotonic() > deadline:
                raise
        left = (deadline - time.monotonic()) / 60
        say(
            f"waiting     up to {left:.0f} minutes more: until then AWS IoT may hold on to a policy of detached devices"
        )
        time.sleep(POLLS * deployment.poll_seconds)


def _held_up(session: boto3.Session, stack: str) -> set[str]:
    """Types of the stack's resources that could not be deleted."""
    pages = session.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    found = [each for page in pages for each in page["StackResourceSummaries"]]
    return {each["ResourceType"] for each in found if each["ResourceStatus"] == "DELETE_FAILED"}


def stored(session: boto3.Session, stack: str) -> list[Holding]:
    """What the deployment's table and archive hold now; nothing when there is no such deployment."""
    return _stored(session, resources(session, stack))


def _stored(session: boto3.Session, made: list[Resource]) -> list[Holding]:
    tables = [each.id for each in made if each.name == "SensorDataTable" and each.id]
    buckets = [each.id for each in made if each.name == "ArchiveBucket" and each.id]
    return holdings(session, tables, buckets)


def resources(session: boto3.Session, stack: str) -> list[Resource]:
    """What the stack holds; nothing when there is no such stack."""
    client = session.client("cloudformation")
    try:
        pages = list(client.get_paginator("list_stack_resources").paginate(StackName=stack))
    except client.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return []
        raise
    found: list[Any] = [each for page in pages for each in page["StackResourceSummaries"]]
    return [Resource(r["LogicalResourceId"], r["ResourceType"], r.get("PhysicalResourceId", "")) for r in found]


def own_logs(everything: list[Resource]) -> list[str]:
    """Log groups that Lambda and Container Insights would make for these resources."""
    functions = [f"/aws/lambda/{each.id}" for each in everything if each.kind == "AWS::Lambda::Function"]
    clusters = [each.id for each in everything if each.kind == "AWS::ECS::Cluster"]
    return functions + [f"/aws/ecs/containerinsights/{cluster}/performance" for cluster in clusters]


def _unhinder(
    session: boto3.Session, stack: str, now: State, made: list[Resource], say: Say, data: Data
) -> list[Holding]:
    """Remove what is attached to the data stack's resources, or in them; returns what is kept."""
    names = now.outputs
    if "DevicePolicy" in names:
        count = deprovision_all(session.client("iot", config=PATIENT), names["DevicePolicy"])
        if count:
            say(f"deleted     {count} devices with their certificates")
    if "AlertTopicArn" in names:
        remove_queue(session, queue_name(stack), names["AlertTopicArn"], say)
    if "StreamArn" in names:
        of_stack = {each.id for each in made if each.kind == "AWS::Kinesis::StreamConsumer"}
        remove_consumers(session, names["StreamArn"], of_stack, say)
    for repository in (each.id for each in made if each.kind == "AWS::ECR::Repository"):
        remove_images(session, repository, say)
    there = _stored(session, made)
    if data is Data.KEEP or (data is Data.UNLESS_EMPTY and not all(each.empty for each in there)):
        return there
    for each in there:
        remove = remove_table if each.kind == "table" else remove_bucket
        remove(session, each.id, say)
    return []
