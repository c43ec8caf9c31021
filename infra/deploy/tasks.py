"""Why tasks of a service end: CloudFormation learns from ECS only that they do."""

from typing import Any

import boto3
from botocore.exceptions import ClientError


def why_stopped(session: boto3.Session, cluster: str) -> str:
    """What ECS says of the task that ended last; nothing when none has, or the caller may not ask."""
    ecs = session.client("ecs")
    try:
        arns = ecs.list_tasks(cluster=cluster, desiredStatus="STOPPED")["taskArns"]
        tasks: list[Any] = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
    except ClientError:
        return ""
    ended = [task for task in tasks if "stoppedAt" in task]
    return reason(max(ended, key=lambda task: task["stoppedAt"])) if ended else ""


def reason(task: dict[str, Any]) -> str:
    """The task's reason, and that of each container that has one or did not end with 0."""
    parts = [task.get("stoppedReason", "")]
    for container in task.get("containers", []):
        code = container.get("exitCode")
        if why := container.get("reason") or (f"exit code {code}" if code else ""):
            parts.append(f"{container['name']}: {why}")
    return " ".join("; ".join(part for part in parts if part).split())
