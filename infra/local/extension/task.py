"""The credentials that ECS gives a task: `GET /v2/credentials/<family>`, for the family's newest task definition.

Only the task's role decides what they may do, and only a role that trusts ECS's tasks has them. They expire and are
renewed by the SDKs, as in a container.
"""

import json
import os
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from ministack import app
from ministack.core.responses import request_scope
from ministack.services import ecs

from infra.local.extension.roles import Refused, require_trust, session

PATH = "/v2/credentials/"
SERVICE = "ecs-tasks.amazonaws.com"
SECONDS = 3600.0
ACCOUNT = "000000000000"

App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]

_given: dict[str, dict[str, Any]] = {}


def install() -> None:
    serve: App = app.app

    async def served(scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = str(scope.get("path") or "")
        if scope["type"] != "http" or not path.startswith(PATH):
            await serve(scope, receive, send)
            return
        status, body = answer(path.removeprefix(PATH))
        head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})

    app.app = served


def answer(family: str) -> tuple[int, bytes]:
    """Status and document; the same credentials are given until half of their time is over."""
    try:
        role = role_of(family)
        require_trust(role, SERVICE)
    except (LookupError, Refused) as error:
        return 404, json.dumps({"code": "NotFound", "message": str(error)}).encode()
    kept = _given.get(role)
    if kept is None or kept["Expiration"] - time.time() < SECONDS / 2:
        kept = _given[role] = dict(session(role, family, SECONDS))
    document = {
        "AccessKeyId": kept["AccessKeyId"],
        "SecretAccessKey": kept["SecretAccessKey"],
        "Token": kept["SessionToken"],
        "Expiration": datetime.fromtimestamp(kept["Expiration"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "RoleArn": role,
    }
    return 200, json.dumps(document).encode()


def role_of(family: str) -> str:
    """ARN of the role of the newest active task definition; LookupError when there is none."""
    with request_scope(ACCOUNT, os.environ["MINISTACK_REGION"]):
        found = [each for each in ecs._task_defs.values() if each["family"] == family and each["status"] == "ACTIVE"]
    newest = max(found, key=lambda each: int(each["revision"]), default=None)
    if newest is None or not newest.get("taskRoleArn"):
        raise LookupError(f"no task definition {family} with a role")
    return str(newest["taskRoleArn"])
