"""Application Auto Scaling: targets and policies of ECS services, as CloudFormation makes them and the API shows them.

They are records: nothing is scaled here.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from ministack import app
from ministack.services import ecs
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
Made = tuple[str, dict[str, Any]]

NAMESPACE = "ecs"
DIMENSION = "ecs:service:DesiredCount"
SERVICE = "AnyScaleFrontendService."
CONFIGURATIONS = {
    "StepScaling": "StepScalingPolicyConfiguration",
    "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
}

targets: dict[str, Properties] = {}
"""By physical id: resource|dimension|namespace."""
policies: dict[str, Properties] = {}
"""By ARN."""


def install() -> None:
    """Adds both types to CloudFormation, and what lists them to the API."""
    known: dict[str, Any] = provisioners._RESOURCE_HANDLERS
    known["AWS::ApplicationAutoScaling::ScalableTarget"] = {
        "create": make_target,
        "update": _replacing(make_target, targets),
        "delete": remove_target,
    }
    known["AWS::ApplicationAutoScaling::ScalingPolicy"] = {
        "create": make_policy,
        "update": _replacing(make_policy, policies),
        "delete": lambda arn, _: policies.pop(arn, None),
    }
    app.app = _answering(app.app)


def make_target(_: str, props: Properties, __: str) -> Made:
    """Checks what the service checks."""
    cluster, _, service = str(props.get("ResourceId", "")).removeprefix("service/").partition("/")
    if (props.get("ServiceNamespace"), props.get("ScalableDimension")) != (NAMESPACE, DIMENSION):
        raise ValueError(f"only {DIMENSION} of {NAMESPACE} is known here")
    if f"{cluster}/{service}" not in ecs._services:
        raise ValueError(f"ECS service doesn't exist: {props.get('ResourceId')}")
    least, most = int(props["MinCapacity"]), int(props["MaxCapacity"])
    if not 0 <= least <= most:
        raise ValueError("Maximum capacity cannot be less than minimum capacity")
    physical_id = f"{props['ResourceId']}|{DIMENSION}|{NAMESPACE}"
    targets[physical_id] = {**props, "MinCapacity": least, "MaxCapacity": most}
    return physical_id, {"Id": physical_id}


def remove_target(physical_id: str, _: Properties) -> None:
    """With its policies, as the service does it."""
    targets.pop(physical_id, None)
    for arn in [arn for arn, policy in policies.items() if policy.get("ScalingTargetId") == physical_id]:
        del policies[arn]


def make_policy(_: str, props: Properties, __: str) -> Made:
    """A policy of a target that is there."""
    target = props.get("ScalingTargetId")
    if target not in targets:
        raise ValueError(f"No scalable target registered: {target}")
    if CONFIGURATIONS.get(str(props.get("PolicyType"))) not in props:
        raise ValueError(f"PolicyType {props.get('PolicyType')} without its configuration")
    region, account = provisioners.get_region(), provisioners.get_account_id()
    where = f"{targets[target]['ResourceId']}:policyName/{props['PolicyName']}"
    arn = f"arn:aws:autoscaling:{region}:{account}:scalingPolicy:0:resource/{NAMESPACE}/{where}"
    policies[arn] = props
    return arn, {"Arn": arn}


def _replacing(make: Callable[[str, Properties, str], Made], known: dict[str, Properties]) -> Callable[..., Made]:
    """An update: when it gives another id, the old one goes."""

    def update(physical_id: str, _: Properties, props: Properties, stack: str) -> Made:
        made = make("", props, stack)
        if made[0] != physical_id:
            known.pop(physical_id, None)
        return made

    return update


# ---- the API -------------------------------------------------------------------------------------------------------

App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
SHOWN = ("ServiceNamespace", "ResourceId", "ScalableDimension")


def describe(operation: str) -> dict[str, Any]:
    """The answer to one of two operations, whatever it asks for: there is one namespace here."""
    if operation == "DescribeScalableTargets":
        capacities = ("MinCapacity", "MaxCapacity")
        return {"ScalableTargets": [{name: each[name] for name in SHOWN + capacities} for each in targets.values()]}
    if operation == "DescribeScalingPolicies":
        found = []
        for arn, policy in policies.items():
            target = targets[policy["ScalingTargetId"]]
            shown = {name: target[name] for name in SHOWN}
            found.append(shown | {"PolicyARN": arn, "PolicyName": policy["PolicyName"], "CreationTime": 0})
            found[-1]["PolicyType"] = policy["PolicyType"]
        return {"ScalingPolicies": found}
    return {"__type": "UnknownOperationException", "message": f"{operation} is not known here"}


def _answering(serve: App) -> App:
    async def served(scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers") or ()) if scope["type"] == "http" else {}
        target = headers.get(b"x-amz-target", b"").decode()
        if not target.startswith(SERVICE):
            await serve(scope, receive, send)
            return
        answer = describe(target.removeprefix(SERVICE))
        body = json.dumps(answer).encode()
        head = [(b"content-type", b"application/x-amz-json-1.1"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 400 if "__type" in answer else 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    return served
