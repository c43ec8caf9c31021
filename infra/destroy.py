"""Takes a deployment away, with what was made beside its stacks; the data only when that is asked for."""

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from infra.artifacts import bucket_name
from infra.cloudformation import State
from infra.deploy import DATA, NETWORK, SERVICE, SUFFIXES, Deployment, explained
from infra.leftovers import (
    Say,
    remove_bucket,
    remove_consumers,
    remove_images,
    remove_logs,
    remove_parameters,
    remove_queue,
    remove_table,
)
from producer.alerts import queue_name
from producer.provision import deprovision_all

PATIENT = Config(retries={"mode": "adaptive", "max_attempts": 10})  # IoT takes some ten changes a second


@dataclass(frozen=True, slots=True)
class Resource:
    """What a stack calls something, and what that is called outside of it."""

    name: str
    kind: str
    id: str


def destroy(session: boto3.Session, deployment: Deployment, say: Say, keep_data: bool) -> list[str]:
    """Remove everything; returns what is kept: nothing, or with `keep_data` the table and the archive's bucket.

    May be repeated after a failure at any step: the data plane's stack, which knows the names, goes last.
    """
    with explained(deployment.name):
        made = {path: resources(session, deployment.name + SUFFIXES[path]) for path in SUFFIXES}
        deployment.stack(SERVICE).delete()  # first of all whoever writes
        deployment.stack(NETWORK).delete()
        data = deployment.state(DATA)
        kept = _unhinder(session, deployment.name, data, made[DATA], say, keep_data) if data else []
        deployment.stack(DATA).delete()
        everything = [resource for found in made.values() for resource in found]
        remove_logs(session, own_logs(everything), say)
        remove_parameters(session, f"/sensorstream/{deployment.name}/", say)
        remove_bucket(session, bucket_name(session, deployment.name), say)
        return kept


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
    session: boto3.Session, stack: str, data: State, made: list[Resource], say: Say, keep_data: bool
) -> list[str]:
    """Remove what is attached to the data plane's resources, or in them; returns what is kept."""
    names = data.outputs
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
    tables = [each.id for each in made if each.name == "SensorDataTable"]
    buckets = [each.id for each in made if each.name == "ArchiveBucket"]
    if keep_data:
        return [*(f"table {table}" for table in tables), *(f"bucket {bucket}" for bucket in buckets)]
    for table in tables:
        remove_table(session, table, say)
    for bucket in buckets:
        remove_bucket(session, bucket, say)
    return []
