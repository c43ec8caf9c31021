"""Deletes a deployment with what was made beside its stacks; readings only when that is asked for by name."""

import sys
import time
from enum import Enum
from typing import Any

import boto3
from botocore.config import Config

from infra.deploy import leftovers
from infra.deploy.artifacts import bucket_name
from infra.deploy.cloudformation import DeployError, InputError
from infra.deploy.deployment import Deployment, explained
from infra.deploy.holdings import Holding, holdings
from infra.deploy.leftovers import Say
from producer.fleet.provision import deprovision_all
from producer.ops.alerts import console_queues, queue_name

PATIENT = Config(retries={"mode": "adaptive", "max_attempts": 10})  # IoT takes some ten changes a second
DETACHED_SECONDS = 420.0  # AWS IoT: up to five minutes after its detachment before a policy can be deleted
POLLS = 10  # between two attempts


class Data(Enum):
    """What becomes of the table and the archive's bucket."""

    KEEP = "kept"
    UNLESS_EMPTY = "kept, unless both are empty"
    DELETE = "deleted"

    def keeps(self, there: list[Holding]) -> bool:
        """Whether these stay."""
        return self is Data.KEEP or (self is Data.UNLESS_EMPTY and not all(each.empty for each in there))


def data_choice(stack: str, named: str | None, keep: bool | None) -> Data:
    """What shall become of the data; InputError unless whatever deletes readings is unmistakable."""
    if named and named != stack:
        raise InputError(f"DELETE_DATA={named} is not the deployment's name; nothing was changed")
    if named and keep:
        raise InputError("KEEP_DATA and DELETE_DATA contradict each other; nothing was changed")
    if keep is False and not named:
        raise InputError(f"KEEP_DATA=no deletes nothing; to delete the readings too: DELETE_DATA={stack}")
    return Data.DELETE if named else Data.KEEP if keep else Data.UNLESS_EMPTY


def warning(stack: str, where: str, data: Data, there: list[Holding], alerts: str | None) -> list[str]:
    """What destroying means, and what it takes with it; `alerts` is the table of their history."""
    lines = [f"This destroys {stack} ({where}), with its devices and what the stream still holds."]
    lines += [f"  DELETED: table {alerts}, the history of alerts"] if alerts else []
    kept = data.keeps(there)
    lines += [f"  {'kept' if kept else 'DELETED'}: {each}" for each in there]
    if kept and there and data is Data.UNLESS_EMPTY:
        lines.append(f"  to delete these too: DELETE_DATA={stack}")
    return lines


def ask(stack: str) -> None:
    """InputError unless a person types the deployment's name."""
    if not sys.stdin.isatty():
        raise InputError(f"there is no terminal to ask at; to destroy {stack} without a question: YES=1")
    if input(f"Type {stack} to go on: ").strip() != stack:
        raise InputError("that is not its name; nothing was changed")


def destroy(deployment: Deployment, say: Say, data: Data) -> list[Holding]:
    """Delete everything; returns what is kept: nothing, or the table and the archive's bucket.

    Whether they are empty is looked at when nothing writes any more.
    May be repeated after a failure at any step: the data stack, which knows the names, goes last.
    """
    session, name = deployment.session, deployment.name
    with explained(name):
        made = [each for stack in (deployment.service, deployment.network) for each in stack.resources()]
        leftovers.stop_tasks(session, name, f"{name}-compaction", say)
        deployment.service.delete()  # the writers first
        deployment.network.delete()
        of_data = deployment.data.resources()
        kept: list[Holding] = []
        if now := deployment.data.state():
            _remove_attached(session, name, now.outputs, of_data, say)
            there = _stored(session, of_data)
            kept = there if data.keeps(there) else []
            if not kept:
                _remove_data(session, there, say)
        _delete_data_stack(deployment, say)
        leftovers.remove_logs(session, own_logs(made + of_data), say)
        leftovers.remove_parameters(session, f"/sensorstream/{name}/", say)
        leftovers.remove_bucket(session, bucket_name(session, name), say)
        return kept


def _remove_attached(session: boto3.Session, stack: str, outputs: dict[str, str], made: list[Any], say: Say) -> None:
    """What is attached to the data stack's resources, or in them, and would keep them from being deleted."""
    for policy in filter(None, (outputs.get("DevicePolicy"), outputs.get("WatchPolicy"))):
        if count := deprovision_all(session.client("iot", config=PATIENT), policy):
            say(f"deleted     {count} devices with their certificates")
    if topic := outputs.get("AlertTopicArn"):
        leftovers.remove_queues(session, queue_name(stack), console_queues(stack), topic, say)
    if stream := outputs.get("StreamArn"):
        leftovers.remove_consumers(session, stream, set(ids(made, "AWS::Kinesis::StreamConsumer")), say)
    for repository in ids(made, "AWS::ECR::Repository"):
        leftovers.remove_images(session, repository, say)


def _remove_data(session: boto3.Session, there: list[Holding], say: Say) -> None:
    for each in there:
        remove = leftovers.remove_table if each.kind == "table" else leftovers.remove_bucket
        remove(session, each.id, say)


def _delete_data_stack(deployment: Deployment, say: Say) -> None:
    """Again and again while nothing but the device policy holds it up."""
    stack, deadline = deployment.data, time.monotonic() + DETACHED_SECONDS
    while True:
        try:
            stack.delete()
            return
        except DeployError:
            failed = {r["ResourceType"] for r in stack.resources() if r["ResourceStatus"] == "DELETE_FAILED"}
            if failed != {"AWS::IoT::Policy"} or time.monotonic() > deadline:
                raise
        left = (deadline - time.monotonic()) / 60
        say(f"waiting     up to {left:.0f} minutes: until then AWS IoT may hold on to a policy of detached devices")
        time.sleep(POLLS * stack.poll_seconds)


def stored(deployment: Deployment) -> list[Holding]:
    """What the deployment's table and archive hold now; nothing when there is no such deployment."""
    return _stored(deployment.session, deployment.data.resources())


def alert_table(deployment: Deployment) -> str | None:
    """The table of the history of alerts, where there is an AlertPolicy."""
    now = deployment.data.state()
    return now.outputs.get("AlertTable") if now else None


def _stored(session: boto3.Session, made: list[Any]) -> list[Holding]:
    found = {each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in made}
    tables = [found.get(name, "") for name in ("SensorDataTable", "RollupTable")]
    return holdings(session, tables, found.get("ArchiveBucket", ""))


def ids(made: list[Any], kind: str) -> list[str]:
    """What the resources of a type are called outside of their stack."""
    return [each.get("PhysicalResourceId", "") for each in made if each["ResourceType"] == kind]


def own_logs(made: list[Any]) -> list[str]:
    """Log groups that Lambda and Container Insights make for these resources."""
    functions = [f"/aws/lambda/{name}" for name in ids(made, "AWS::Lambda::Function")]
    return functions + [f"/aws/ecs/containerinsights/{name}/performance" for name in ids(made, "AWS::ECS::Cluster")]
