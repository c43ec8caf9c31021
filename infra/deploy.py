"""Brings a stack to the state of template.yaml, in the cloud as on the local emulator.

`deploy` may be repeated: the same input changes nothing.
"""

import hashlib
import io
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

INFRA = Path(__file__).resolve().parent
POLL_SECONDS = 2.0


class DeployError(Exception):
    """Why the stack is not as asked for, in one line."""


@dataclass(frozen=True, slots=True)
class Event:
    """A step of the deployment: of the stack itself or of one of its resources."""

    resource: str
    status: str
    reason: str


def deploy(
    session: boto3.Session,
    stack: str,
    parameters: Mapping[str, str],
    on_event: Callable[[Event], None],
    poll_seconds: float = POLL_SECONDS,
) -> dict[str, str]:
    """Create or update `stack` and return its outputs.

    Parameters that are not given keep their values (at first, the template's defaults). DeployError names the first
    resource that failed and why.
    """
    try:
        key = dict(zip(("ArtifactBucket", "FunctionsKey"), upload_functions(session, stack), strict=True))
        cloudformation = session.client("cloudformation")
        _apply(cloudformation, stack, {**parameters, **key}, on_event, poll_seconds)
        return outputs(session, stack)
    except (BotoCoreError, ClientError) as error:
        raise DeployError(f"stack {stack}: {error}") from error


def outputs(session: boto3.Session, stack: str) -> dict[str, str]:
    """Outputs of an existing stack; ClientError when there is none."""
    [found] = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


def package() -> bytes:
    """The functions' code as a zip file; the same code gives the same bytes."""
    root, buffer = INFRA / "functions", io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*.py")):
            entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def upload_functions(session: boto3.Session, stack: str) -> tuple[str, str]:
    """Bucket and key of the functions' code, which is uploaded when it is not there yet."""
    s3, code = session.client("s3"), package()
    account = session.client("sts").get_caller_identity()["Account"]
    bucket = f"{stack.lower()}-artifacts-{account}-{session.region_name}"
    key = f"functions/{hashlib.sha256(code).hexdigest()}.zip"
    if not _exists(lambda: s3.head_bucket(Bucket=bucket)):
        where: Any = {"CreateBucketConfiguration": {"LocationConstraint": session.region_name}}
        s3.create_bucket(Bucket=bucket, **({} if session.region_name == "us-east-1" else where))
        s3.put_public_access_block(
            Bucket=bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
        )
    if not _exists(lambda: s3.head_object(Bucket=bucket, Key=key)):
        s3.put_object(Bucket=bucket, Key=key, Body=code)
    return bucket, key


def _exists(head: Callable[[], object]) -> bool:
    try:
        head()
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return True


def _apply(
    cloudformation: "CloudFormationClient",
    stack: str,
    parameters: Mapping[str, str],
    on_event: Callable[[Event], None],
    poll_seconds: float,
) -> None:
    """Create or update and wait for the end."""
    body = (INFRA / "template.yaml").read_text()
    status, known = _status(cloudformation, stack)
    if status == "ROLLBACK_COMPLETE":  # its first creation failed: it holds nothing and cannot be updated
        cloudformation.delete_stack(StackName=stack)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 2})
        status = None
    given: Any = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    request: Any = {"StackName": stack, "TemplateBody": body, "Capabilities": ["CAPABILITY_IAM"]}
    seen = set() if status is None else {event["EventId"] for event in _history(cloudformation, stack)}
    if status is None:
        cloudformation.create_stack(**request, Parameters=given)
    else:
        declared = cloudformation.get_template_summary(TemplateBody=body)["Parameters"]
        kept = {p["ParameterKey"] for p in declared} & known - parameters.keys()
        given += [{"ParameterKey": name, "UsePreviousValue": True} for name in sorted(kept)]
        try:
            cloudformation.update_stack(**request, Parameters=given)
        except ClientError as error:
            if "No updates are to be performed" in str(error):
                return
            raise
    _wait(cloudformation, stack, seen, on_event, poll_seconds)


def _status(cloudformation: "CloudFormationClient", stack: str) -> tuple[str | None, set[str]]:
    """Status of the stack, None when there is none; and the names of its parameters."""
    try:
        [found] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None, set()
        raise
    return found["StackStatus"], {p["ParameterKey"] for p in found.get("Parameters", [])}


def _history(cloudformation: "CloudFormationClient", stack: str) -> Iterator[Any]:
    """All events of the stack, the newest first."""
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack):
        yield from page["StackEvents"]


def _wait(
    cloudformation: "CloudFormationClient",
    stack: str,
    seen: set[str],
    on_event: Callable[[Event], None],
    poll_seconds: float,
) -> None:
    """Tell events as they come until the stack is at rest; DeployError when that is not where it was to go."""
    failure = None
    while True:
        status, _ = _status(cloudformation, stack)
        fresh = [event for event in _history(cloudformation, stack) if event["EventId"] not in seen]
        for found in reversed(fresh):
            seen.add(found["EventId"])
            event = Event(found["LogicalResourceId"], found["ResourceStatus"], found.get("ResourceStatusReason") or "")
            on_event(event)
            if failure is None and event.status.endswith("_FAILED") and "cancelled" not in event.reason:
                failure = event
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return
        if status is None or not status.endswith("_IN_PROGRESS"):
            cause = f"{failure.resource} {failure.status}: {failure.reason}" if failure else "no reason was given"
            raise DeployError(f"stack {stack} ended as {status}: {cause}")
        time.sleep(poll_seconds)
