"""Roles that services take on: whether they may, and what they may then do.

The emulator lets the account itself take on a role that trusts only a service, and never asks when a service acts by
itself (rules, failure destinations).
"""

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from ministack import app
from ministack.core import iam_evaluator
from ministack.core.responses import request_scope
from ministack.services import iam, lambda_svc, sts


class Refused(PermissionError):
    """What the role may not do, in the words of the service."""


def install() -> None:
    original = iam_evaluator._trust_principal_matches

    def matches(principal: Any, caller_arn: str, federated: bool) -> bool:
        if isinstance(principal, dict) and not federated:
            principal = {kind: named for kind, named in principal.items() if kind != "Service"}
        return bool(original(principal, caller_arn, federated))

    iam_evaluator._trust_principal_matches = matches


def require_trust(role_arn: str, service: str) -> None:
    """Refused unless the role exists and trusts the service on behalf of the role's own account."""
    account, role = _role(role_arn)
    statements = (_document(role.get("AssumeRolePolicyDocument")) if role else {}).get("Statement") or []
    asked = iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account=account,
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region="",
        service_context={"aws:sourceaccount": account},
    )
    named = [
        {key: value for key, value in statement.items() if key != "Principal"} | {"Resource": "*"}
        for statement in statements
        if iam_evaluator._service_principal_matches(statement.get("Principal"), service)
    ]
    decision = iam_evaluator.evaluate(asked, [iam_evaluator.parse_policy_document({"Statement": named})]).decision
    if decision != "Allow":
        raise Refused(f"{service} is not authorized to perform: sts:AssumeRole on resource: {role_arn}")


def require(role_arn: str, service: str, action: str, resource_arn: str, region: str) -> None:
    """Refused unless `service` may take on the role and the role's policies allow the action.

    Without enforcement nothing is asked, as everywhere in the emulator.
    """
    if not app.AUTH:
        return
    require_trust(role_arn, service)
    account, _ = _role(role_arn)
    name = role_arn.rpartition("/")[2]
    asked = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{name}/{service.partition('.')[0]}",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource_arn,
        region=region,
    )
    with request_scope(account, region):
        result = iam_evaluator.evaluate(asked, iam_evaluator._gather_role_policies(name, account))
    if result.decision != "Allow":
        raise Refused(f"{asked.principal_arn} is not authorized to perform: {action} on resource: {resource_arn}")


def require_policy(function_arn: str, action: str, service: str, source_arn: str) -> None:
    """Refused unless the function's own policy lets the service call it for this source."""
    if not app.AUTH:
        return
    _, _, _, region, account = function_arn.split(":")[:5]
    asked = iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=function_arn,
        region=region,
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": account},
    )
    with request_scope(account, region):
        found = lambda_svc.function_policy_for_arn(function_arn)
        result = iam_evaluator.evaluate_resource_policy(found[0] if found else None, asked, service=service)
    if result.decision != "Allow":
        raise Refused(f"{service} is not authorized to perform: {action} on resource: {function_arn}")


def session(role_arn: str, name: str, seconds: float) -> Mapping[str, Any]:
    """New temporary credentials of the role, as STS keeps them."""
    account, _ = _role(role_arn)
    key = f"ASIA{secrets.token_hex(8).upper()}"
    kept = {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{role_arn.rpartition('/')[2]}/{name}",
        "UserId": f"{role_arn.rpartition('/')[2]}:{name}",
        "SecretAccessKey": secrets.token_urlsafe(30),
        "SessionToken": secrets.token_urlsafe(120),
        "Expiration": time.time() + seconds,
        "AccountId": account,
        "PrincipalType": "AssumedRole",
    }
    sts.register_session(key, kept)
    return kept | {"AccessKeyId": key}


def _role(role_arn: str) -> tuple[str, dict[str, Any] | None]:
    account = (role_arn.split(":") + [""] * 5)[4]
    return account, iam._roles.get_scoped(account, None, role_arn.rpartition("/")[2])


def _document(policy: Any) -> dict[str, Any]:
    found = json.loads(policy or "{}") if isinstance(policy, str) else policy
    return found if isinstance(found, dict) else {}
