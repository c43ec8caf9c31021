"""What a request needs permission for: actions, resources and condition keys that the emulator does not find.

Only what this project's roles need is added. A role's request whose action stays unknown is refused; the emulator lets
it pass unchecked.
"""

import contextvars
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote

import cbor2
from ministack import app
from ministack.core import iam_actions, iam_evaluator, router
from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudformation, dynamodb, kinesis

from emulator_extension.upstream import Json, extends

Refusal = tuple[int, dict[str, str], bytes]

_passed: contextvars.ContextVar[str | None] = contextvars.ContextVar("passed", default=None)
"""The role that the request hands to CloudFormation."""
_EQUAL = re.compile(r"(#?\w+)\s*=\s*(:\w+)")
_RPC = re.compile(r"/service/[^/]+/operation/([A-Za-z]+)/?")


@extends(iam_actions, "extract_iam_action")
def action_of(
    original: Callable[..., str | None], service: str, method: str, path: str, headers: Any, body: bytes, params: Any
) -> str | None:
    """The IAM action of a request, also in CloudWatch's newer protocol; None when it is unknown."""
    found = _RPC.fullmatch(path)
    if service == "monitoring" and found:
        return f"cloudwatch:{found[1]}"
    known = original(service, method, path, headers, body, params)
    # SQS and SNS have no permissions of their own for batches.
    return known.removesuffix("Batch") if known and service in ("sqs", "sns") else known


@extends(iam_actions, "extract_resource_arn")
def resource_of(original: Callable[..., str], service: str, *request: Any) -> str:
    """The ARN that policies are asked about."""
    method, path, headers, body, params, region, account = request
    if finder := _RESOURCES.get(service):
        action = iam_actions.extract_iam_action(service, method, path, headers, body, params) or ":"
        asked = document(body) or {key: value[0] for key, value in params.items() if isinstance(value, list) and value}
        if found := finder(action.partition(":")[2], asked, headers, path, f"{region}:{account}"):
            return found
    return original(service, *request)


@extends(iam_actions, "request_tag_context")
def context_of(original: Callable[..., Json], service: str, action: str, body: bytes, params: Any) -> Json:
    """The condition keys of a request."""
    keys = original(service, action, body, params)
    if action == "cloudwatch:PutMetricData":
        given = params.get("Namespace") or document(body).get("Namespace") or ""
        keys["cloudwatch:namespace"] = given[0] if isinstance(given, list) else given
    if action == "dynamodb:Scan":
        keys["dynamodb:select"] = document(body).get("Select")
    if action == "dynamodb:Query":
        keys["dynamodb:leadingkeys"] = [_partition(document(body))]
    if action == "ecs:ListTasks":
        cluster = document(body).get("cluster", "default")
        keys["ecs:cluster"] = f"arn:aws:ecs:{get_region()}:{get_account_id()}:cluster/{cluster}"
    if action == "sns:Subscribe":
        asked = parse_qs(body.decode(errors="replace"))
        for key in ("Endpoint", "Protocol"):
            keys[f"sns:{key.lower()}"] = asked.get(key, [""])[0]
    if service == "cloudformation":
        (role,) = params.get("RoleARN") or [None]
        keys["cloudformation:rolearn"] = role
        _passed.set(role)
        if in_body := parse_qs(body.decode(errors="replace")).get("RoleARN"):
            keys["cloudformation:RoleArn"] = in_body[0]
    return keys


def _partition(asked: Json) -> str:
    """The partition key's value of a query; empty, which no policy allows, when it is not found."""
    key = (dynamodb._tables.get(asked.get("TableName")) or {}).get("pk_name")
    names, values = (asked.get(f"ExpressionAttribute{each}") or {} for each in ("Names", "Values"))
    for name, value in _EQUAL.findall(asked.get("KeyConditionExpression") or ""):
        if names.get(name, name) == key:
            return "".join(map(str, values.get(value, {}).values()))
    return ""


def document(body: bytes) -> Json:
    """A request's body, JSON or CBOR; empty when it is neither."""
    try:
        found = json.loads(body) if body[:1] == b"{" else cbor2.loads(body)
    except (ValueError, cbor2.CBORError):
        return {}
    return found if isinstance(found, dict) else {}


def _stream(operation: str, asked: Json, headers: Any, path: str, where: str) -> str | None:
    """The stream, or its consumer where the request names that. An iterator stands for its stream."""
    for field in ("ConsumerARN", "StreamARN"):
        if asked.get(field):
            return str(asked[field])
    name = asked.get("StreamName")
    if not name and (iterator := kinesis._shard_iterators.get(asked.get("ShardIterator") or "")):
        name = iterator["stream"]
    return f"arn:aws:kinesis:{where}:stream/{name}" if name else None


def _parameter(operation: str, asked: Json, headers: Any, path: str, where: str) -> str | None:
    """The path whose parameters are asked for."""
    if operation != "GetParametersByPath":
        return None
    return f"arn:aws:ssm:{where}:parameter{str(asked.get('Path') or '').rstrip('/')}"


def _change_set(operation: str, asked: Json, headers: Any, path: str, where: str) -> str | None:
    """A change set that is named by its ARN stands for its stack."""
    found = cloudformation._change_sets.get(asked.get("ChangeSetName") or "")
    return str(found["StackId"]) if found else None


def _certificate(operation: str, asked: Json, headers: Any, path: str, where: str) -> str | None:
    """Attaching and detaching needs permission for the certificate, whatever it is attached to."""
    if operation == "ListTargetsForPolicy":
        return f"arn:aws:iot:{where}:policy/{unquote(path).partition('/policy-targets/')[2]}"
    if operation in ("AttachThingPrincipal", "DetachThingPrincipal", "ListPrincipalThings"):
        return str(headers.get("x-amzn-principal") or "") or None
    if operation in ("AttachPolicy", "DetachPolicy"):
        return str(asked.get("target") or "") or None
    if operation == "ListAttachedPolicies":
        return unquote(path).partition("/attached-policies/")[2] or None
    return None


def _task(operation: str, asked: Json, headers: Any, path: str, where: str) -> str | None:
    """A task that is named by its ARN."""
    return asked.get("task") or next(iter(asked.get("tasks") or []), None)


_RESOURCES: dict[str, Callable[[str, Json, Any, str, str], str | None]] = {
    "kinesis": _stream,
    "ssm": _parameter,
    "iot": _certificate,
    "cloudformation": _change_set,
    "ecs": _task,
}


@extends(iam_evaluator, "enforce")
def enforce(
    original: Callable[..., Any],
    access_key: str,
    action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    **options: Any,
) -> Any:
    """The refusal, or None. A role that is handed to CloudFormation needs iam:PassRole of the caller.

    A Deny of a bucket's policy holds for the account itself, too; the emulator exempts it.
    """
    refused = original(access_key, action, service, region, resource_arn=resource_arn, **options)
    passed = _passed.get() if service == "cloudformation" else None
    if refused is None and passed:
        _passed.set(None)
        to = {"iam:passedtoservice": "cloudformation.amazonaws.com"}
        return iam_evaluator.enforce(access_key, "iam:PassRole", "iam", region, passed, service_context=to)
    if refused is not None or service != "s3" or action.endswith("BucketPolicy"):
        return refused
    return _denied_by_bucket(action, region, resource_arn)


def _denied_by_bucket(action: str, region: str, resource_arn: str) -> Any:
    found = iam_evaluator._resource_policy("s3", resource_arn)
    if not found or not found[0]:
        return None
    account = get_account_id()
    asked = iam_evaluator.EvalContext(
        f"arn:aws:iam::{account}:root", "Root", account, action=action, resource_arn=resource_arn, region=region
    )
    result = iam_evaluator.evaluate_resource_policy(found[0], asked)
    result.resource_policy_arn = resource_arn
    return result if result.decision == "Deny" else None


@extends(app, "_authenticate_only")
def authenticate(
    original: Callable[..., Refusal | None], service: str, headers: Any, params: Any, request_id: str
) -> Refusal | None:
    """For requests without a known action: only the account itself may make them."""
    failure = original(service, headers, params, request_id)
    if failure is not None or not app.AUTH:
        return failure
    if iam_evaluator.is_root_access_key(router.extract_access_key_id(headers, params) or ""):
        return None
    arn = iam_evaluator.request_caller_arn(headers, params)
    return iam_actions.access_denied_response(  # type: ignore[no-any-return]
        service, f"{service}:Unknown", arn, request_id, headers=headers
    )
