"""What a request asks for, as policies see it: action, resource and condition keys that the emulator does not find.

Only what this project's roles need is added. A request of a role whose action stays unknown is refused; the emulator
would let it pass unseen.
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
from ministack.core.responses import get_account_id
from ministack.services import cloudformation, kinesis

Refusal = tuple[int, dict[str, str], bytes]

Asked = dict[str, Any]

_passed: contextvars.ContextVar[str | None] = contextvars.ContextVar("passed", default=None)
"""The role that the request hands to CloudFormation."""
_RPC = re.compile(r"/service/[^/]+/operation/([A-Za-z]+)/?")


def install() -> None:
    original_action, original_resource = iam_actions.extract_iam_action, iam_actions.extract_resource_arn
    original_context, original_enforce = iam_actions.request_tag_context, iam_evaluator.enforce

    def action(service: str, method: str, path: str, headers: Any, body: bytes, params: Any) -> str | None:
        found = _RPC.fullmatch(path)
        if service == "monitoring" and found:
            return f"cloudwatch:{found[1]}"
        known: str | None = original_action(service, method, path, headers, body, params)
        if known and service in ("sqs", "sns"):
            return known.removesuffix("Batch")  # there are no rights to batches
        return known

    def resource(
        service: str, method: str, path: str, headers: Any, body: bytes, params: Any, region: str, account: str
    ) -> str:
        finder = _RESOURCES.get(service)
        operation = (action(service, method, path, headers, body, params) or ":").partition(":")[2]
        where = f"{region}:{account}"
        asked = document(body) or {key: value[0] for key, value in params.items() if isinstance(value, list) and value}
        found = finder(operation, asked, headers, path, where) if finder else None
        return found or str(original_resource(service, method, path, headers, body, params, region, account))

    def context(service: str, iam_action: str, body: bytes, params: Any) -> dict[str, Any]:
        keys: dict[str, Any] = original_context(service, iam_action, body, params)
        if iam_action == "cloudwatch:PutMetricData":
            given = params.get("Namespace") or document(body).get("Namespace") or ""
            keys["cloudwatch:namespace"] = given[0] if isinstance(given, list) else given
        if iam_action == "dynamodb:Scan":
            keys["dynamodb:select"] = document(body).get("Select")
        if service == "cloudformation":
            (role,) = params.get("RoleARN") or [None]
            keys["cloudformation:rolearn"] = role
            _passed.set(role)
        if service == "cloudformation" and (role := parse_qs(body.decode(errors="replace")).get("RoleARN")):
            keys["cloudformation:RoleArn"] = role[0]
        return keys

    iam_actions.extract_iam_action, iam_actions.extract_resource_arn = action, resource
    iam_actions.request_tag_context = context
    iam_evaluator.enforce = _stricter(original_enforce)
    app._authenticate_only = _refusing(app._authenticate_only)


def document(body: bytes) -> Asked:
    """A request's body, JSON or CBOR; empty when it is neither."""
    try:
        found = json.loads(body) if body[:1] == b"{" else cbor2.loads(body)
    except (ValueError, cbor2.CBORError):
        return {}
    return found if isinstance(found, dict) else {}


def _stream(operation: str, asked: Asked, headers: Any, path: str, where: str) -> str | None:
    """The stream, or its consumer where the request names that. An iterator stands for its stream."""
    for field in ("ConsumerARN", "StreamARN"):
        if asked.get(field):
            return str(asked[field])
    name = asked.get("StreamName")
    if not name and (iterator := kinesis._shard_iterators.get(asked.get("ShardIterator") or "")):
        name = iterator["stream"]
    return f"arn:aws:kinesis:{where}:stream/{name}" if name else None


def _parameter(operation: str, asked: Asked, headers: Any, path: str, where: str) -> str | None:
    """The path whose parameters are asked for."""
    if operation != "GetParametersByPath":
        return None
    return f"arn:aws:ssm:{where}:parameter{str(asked.get('Path') or '').rstrip('/')}"


def _change_set(operation: str, asked: Asked, headers: Any, path: str, where: str) -> str | None:
    """A change set that is named by its ARN stands for its stack."""
    found = cloudformation._change_sets.get(asked.get("ChangeSetName") or "")
    return str(found["StackId"]) if found else None


def _certificate(operation: str, asked: Asked, headers: Any, path: str, where: str) -> str | None:
    """Attaching and detaching is a right to the certificate, whatever it is attached to."""
    if operation == "ListTargetsForPolicy":
        return f"arn:aws:iot:{where}:policy/{unquote(path).partition('/policy-targets/')[2]}"
    if operation in ("AttachThingPrincipal", "DetachThingPrincipal", "ListPrincipalThings"):
        return str(headers.get("x-amzn-principal") or "") or None
    if operation in ("AttachPolicy", "DetachPolicy"):
        return str(asked.get("target") or "") or None
    if operation == "ListAttachedPolicies":
        return unquote(path).partition("/attached-policies/")[2] or None
    return None


_RESOURCES: dict[str, Callable[[str, Asked, Any, str, str], str | None]] = {
    "kinesis": _stream,
    "ssm": _parameter,
    "iot": _certificate,
    "cloudformation": _change_set,
}


def _stricter(enforce: Callable[..., Any]) -> Callable[..., Any]:
    """A Deny of a bucket's policy holds for everybody; the emulator lets the account itself, and nobody else, pass.

    Whoever hands a role to CloudFormation must be allowed to pass it.
    """

    def enforced(
        access_key: str, action: str, service: str, region: str, resource_arn: str = "*", **options: Any
    ) -> Any:
        refused = enforce(access_key, action, service, region, resource_arn=resource_arn, **options)
        passed = _passed.get() if service == "cloudformation" else None
        if refused is None and passed:
            _passed.set(None)
            to = {"iam:passedtoservice": "cloudformation.amazonaws.com"}
            return enforce(access_key, "iam:PassRole", "iam", region, resource_arn=passed, service_context=to)
        if refused is not None or service != "s3" or action.endswith("BucketPolicy"):
            return refused
        found = iam_evaluator._resource_policy(service, resource_arn)
        if not found or not found[0]:
            return None
        account = get_account_id()
        asked = iam_evaluator.EvalContext(
            principal_arn=f"arn:aws:iam::{account}:root",
            principal_type="Root",
            principal_account=account,
            action=action,
            resource_arn=resource_arn,
            region=region,
        )
        result = iam_evaluator.evaluate_resource_policy(found[0], asked)
        result.resource_policy_arn = resource_arn
        return result if result.decision == "Deny" else None

    return enforced


def _refusing(authenticate: Callable[..., Refusal | None]) -> Callable[..., Refusal | None]:
    """For requests without a known action: only the account itself may make them."""

    def checked(service: str, headers: Any, params: Any, request_id: str) -> Refusal | None:
        failure = authenticate(service, headers, params, request_id)
        if failure is not None or not app.AUTH:
            return failure
        key = router.extract_access_key_id(headers, params)
        if iam_evaluator.is_root_access_key(key or ""):
            return None
        arn = iam_evaluator.request_caller_arn(headers, params)
        answer: Refusal = iam_actions.access_denied_response(
            service, f"{service}:Unknown", arn, request_id, headers=headers
        )
        return answer

    return checked
