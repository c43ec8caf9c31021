"""Application Auto Scaling: targets and policies of ECS services, as CloudFormation makes them and the API shows them.

They are records: nothing is scaled here.
"""

import json
from collections.abc import Callable
from typing import Any

from ministack import app
from ministack.services import ecs
from ministack.services.cloudformation import provisioners

from emulator_extension.cloudformation import Made, handles
from emulator_extension.upstream import App, Json, answer, extends

TARGET, POLICY = "AWS::ApplicationAutoScaling::ScalableTarget", "AWS::ApplicationAutoScaling::ScalingPolicy"
NAMESPACE = "ecs"
DIMENSION = "ecs:service:DesiredCount"
SERVICE = "AnyScaleFrontendService."
CONFIGURATIONS = {
    "StepScaling": "StepScalingPolicyConfiguration",
    "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
}
SHOWN = ("ServiceNamespace", "ResourceId", "ScalableDimension")

targets: dict[str, Json] = {}
"""By physical id: resource|dimension|namespace."""
policies: dict[str, Json] = {}
"""By ARN."""


@handles(TARGET, "create")
def make_target(_: str, props: Json, __: str) -> Made:
    """Checks what the service checks."""
    cluster, _, service = str(props.get("ResourceId", "")).removeprefix("service/").partition("/")
    if (props.get("ServiceNamespace"), props.get("ScalableDimension")) != (NAMESPACE, DIMENSION):
        raise ValueError(f"only {DIMENSION} of {NAMESPACE} is known here")
    if f"{cluster}/{service}" not in ecs._services:
        raise ValueError(f"ECS service doesn't exist: {props.get('ResourceId')}")
    minimum, maximum = int(props["MinCapacity"]), int(props["MaxCapacity"])
    if not 0 <= minimum <= maximum:
        raise ValueError("Maximum capacity cannot be less than minimum capacity")
    physical_id = f"{props['ResourceId']}|{DIMENSION}|{NAMESPACE}"
    targets[physical_id] = {**props, "MinCapacity": minimum, "MaxCapacity": maximum}
    return physical_id, {"Id": physical_id}


@handles(TARGET, "delete")
def remove_target(physical_id: str, _: Json) -> None:
    """With its policies, as the service does it."""
    targets.pop(physical_id, None)
    for arn in [arn for arn, policy in policies.items() if policy.get("ScalingTargetId") == physical_id]:
        del policies[arn]


@handles(POLICY, "create")
def make_policy(_: str, props: Json, __: str) -> Made:
    """A policy of a target that exists."""
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


@handles(POLICY, "delete")
def remove_policy(arn: str, _: Json) -> None:
    policies.pop(arn, None)


def _replacing(make: Callable[[str, Json, str], Made], known: dict[str, Json]) -> Callable[..., Made]:
    """An update: when it gives another id, the old one goes."""

    def update(physical_id: str, _: Json, props: Json, stack: str) -> Made:
        made = make("", props, stack)
        if made[0] != physical_id:
            known.pop(physical_id, None)
        return made

    return update


handles(TARGET, "update")(_replacing(make_target, targets))
handles(POLICY, "update")(_replacing(make_policy, policies))


@extends(app, "app")
async def served(original: App, scope: Json, receive: Any, send: Any) -> None:
    """The two operations that list them; the emulator does not know the service."""
    headers = dict(scope.get("headers") or ()) if scope["type"] == "http" else {}
    target = headers.get(b"x-amz-target", b"").decode()
    if not target.startswith(SERVICE):
        return await original(scope, receive, send)
    document = describe(target.removeprefix(SERVICE))
    status = 400 if "__type" in document else 200
    return await answer(send, status, b"application/x-amz-json-1.1", json.dumps(document).encode())


def describe(operation: str) -> Json:
    """All there are, whatever the request filters by: there is one namespace here."""
    if operation == "DescribeScalableTargets":
        capacities = ("MinCapacity", "MaxCapacity")
        return {"ScalableTargets": [{name: each[name] for name in SHOWN + capacities} for each in targets.values()]}
    if operation == "DescribeScalingPolicies":
        found = []
        for arn, policy in policies.items():
            shown = {name: targets[policy["ScalingTargetId"]][name] for name in SHOWN}
            shown |= {name: policy[name] for name in ("PolicyName", "PolicyType")}
            found.append(shown | {"PolicyARN": arn, "CreationTime": 0})
        return {"ScalingPolicies": found}
    return {"__type": "UnknownOperationException", "message": f"{operation} is not known here"}
