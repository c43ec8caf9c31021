"""Roles that services assume: whether they may, and what they may then do.

The emulator lets the account itself assume a role that trusts only a service, and checks nothing when a service acts
on its own (IoT rules, failure destinations).
"""

import json
import secrets
import time
from collections.abc import Callable
from typing import Any

from ministack import app
from ministack.core import iam_evaluator
from ministack.core.responses import request_scope
from ministack.services import iam, lambda_svc, sts

from emulator_extension.upstream import Json, extends


class Refused(PermissionError):
    """What the role may not do, in the words of the service."""


@extends(iam_evaluator, "_trust_principal_matches")
def matches(original: Callable[[Any, str, bool], bool], principal: Any, caller_arn: str, federated: bool) -> bool:
    """Whether a trust policy's principal is the caller: a service named there is not the account."""
    if isinstance(principal, dict) and not federated:
        principal = {kind: named for kind, named in principal.items() if kind != "Service"}
    return original(principal, caller_arn, federated)


def require_trust(role_arn: str, service: str) -> None:
    """Refused unless the role exists and trusts the service on behalf of the role's own account."""
    account, role = _role(role_arn)
    statements = (_document(role.get("AssumeRolePolicyDocument")) if role else {}).get("Statement") or []
    named = [
        {key: value for key, value in statement.items() if key != "Principal"} | {"Resource": "*"}
        for statement in statements
        if iam_evaluator._service_principal_matches(statement.get("Principal"), service)
    ]
    asked = _request(service, "Service", account, "sts:AssumeRole", role_arn, sourceaccount=account)
    policies = [iam_evaluator.parse_policy_document({"Statement": named})]
    _require_allow(asked, iam_evaluator.evaluate(asked, policies))


def require(role_arn: str, service: str, action: str, resource_arn: str) -> None:
    """Refused unless `service` may assume the role and the role's policies allow the action.

    Without enforcement nothing is checked, as everywhere in the emulator.
    """
    if not app.AUTH:
        return
    require_trust(role_arn, service)
    account, name = _role(role_arn)[0], role_arn.rpartition("/")[2]
    principal = f"arn:aws:sts::{account}:assumed-role/{name}/{service.partition('.')[0]}"
    asked = _request(principal, "AssumedRole", account, action, resource_arn)
    with request_scope(account, asked.region):
        _require_allow(asked, iam_evaluator.evaluate(asked, iam_evaluator._gather_role_policies(name, account)))


def require_policy(function_arn: str, action: str, service: str, source_arn: str) -> None:
    """Refused unless the function's own policy lets the service call it for this source."""
    if not app.AUTH:
        return
    account = function_arn.split(":")[4]
    asked = _request(service, "Service", "", action, function_arn, sourcearn=source_arn, sourceaccount=account)
    with request_scope(account, asked.region):
        found = lambda_svc.function_policy_for_arn(function_arn)
        result = iam_evaluator.evaluate_resource_policy(found[0] if found else None, asked, service=service)
    _require_allow(asked, result)


def _request(principal: str, kind: str, account: str, action: str, resource_arn: str, **keys: str) -> Any:
    """What is asked of policies; `keys` are condition keys of aws:. The region is the resource's."""
    region = (resource_arn.split(":") + [""] * 4)[3]
    context = {f"aws:{name}": value for name, value in keys.items()}
    return iam_evaluator.EvalContext(
        principal, kind, account, action=action, resource_arn=resource_arn, region=region, service_context=context
    )


def _require_allow(asked: Any, result: Any) -> None:
    if result.decision != "Allow":
        raise Refused(
            f"{asked.principal_arn} is not authorized to perform: {asked.action} on resource: {asked.resource_arn}"
        )


def session(role_arn: str, name: str, seconds: float) -> Json:
    """New temporary credentials of the role, as STS keeps them."""
    account, role = _role(role_arn)[0], role_arn.rpartition("/")[2]
    key = f"ASIA{secrets.token_hex(8).upper()}"
    kept = {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/{name}",
        "UserId": f"{role}:{name}",
        "SecretAccessKey": secrets.token_urlsafe(30),
        "SessionToken": secrets.token_urlsafe(120),
        "Expiration": time.time() + seconds,
        "AccountId": account,
        "PrincipalType": "AssumedRole",
    }
    sts.register_session(key, kept)
    return kept | {"AccessKeyId": key}


def _role(role_arn: str) -> tuple[str, Json | None]:
    account = (role_arn.split(":") + [""] * 5)[4]
    return account, iam._roles.get_scoped(account, None, role_arn.rpartition("/")[2])


def _document(policy: Any) -> Json:
    found = json.loads(policy or "{}") if isinstance(policy, str) else policy
    return found if isinstance(found, dict) else {}
