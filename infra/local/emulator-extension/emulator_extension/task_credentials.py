"""The credentials that ECS gives a task: `GET /v2/credentials/<family>`, for the family's newest task definition.

Only the task's role decides what they may do, and only a role that trusts ECS's tasks has them. They expire and are
renewed by the SDKs, as in a container.
"""

import json
import os
import time
from datetime import UTC, datetime
from typing import Any

from ministack import app
from ministack.core.responses import request_scope
from ministack.services import ecs

from emulator_extension.roles import Refused, require_trust, session
from emulator_extension.upstream import App, Json, answer, extends

PATH = "/v2/credentials/"
SERVICE = "ecs-tasks.amazonaws.com"
SECONDS = 3600.0
ACCOUNT = "000000000000"

_given: dict[str, Json] = {}


@extends(app, "app")
async def served(original: App, scope: Json, receive: Any, send: Any) -> None:
    """Answers requests for credentials, and passes on all others."""
    path = str(scope.get("path") or "")
    if scope["type"] != "http" or not path.startswith(PATH):
        return await original(scope, receive, send)
    status, document = credentials(path.removeprefix(PATH))
    return await answer(send, status, b"application/json", json.dumps(document).encode())


def credentials(family: str) -> tuple[int, Json]:
    """Status and document; the same credentials are given until half of their time is over."""
    try:
        role = role_of(family)
        require_trust(role, SERVICE)
    except (LookupError, Refused) as error:
        return 404, {"code": "NotFound", "message": str(error)}
    kept = _given.get(role)
    if kept is None or kept["Expiration"] - time.time() < SECONDS / 2:
        kept = _given[role] = session(role, family, SECONDS)
    return 200, {
        "AccessKeyId": kept["AccessKeyId"],
        "SecretAccessKey": kept["SecretAccessKey"],
        "Token": kept["SessionToken"],
        "Expiration": datetime.fromtimestamp(kept["Expiration"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "RoleArn": role,
    }


def role_of(family: str) -> str:
    """ARN of the role of the newest active task definition; LookupError when there is none."""
    with request_scope(ACCOUNT, os.environ["MINISTACK_REGION"]):
        found = [each for each in ecs._task_defs.values() if each["family"] == family and each["status"] == "ACTIVE"]
    newest = max(found, key=lambda each: int(each["revision"]), default=None)
    if newest is None or not newest.get("taskRoleArn"):
        raise LookupError(f"no task definition {family} with a role")
    return str(newest["taskRoleArn"])
