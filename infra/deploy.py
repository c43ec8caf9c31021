"""Brings a deployment to the state of its templates, in the cloud as on the local emulator.

A deployment is up to three stacks, each with a template of its own: STACK (the data plane), STACK-network and
STACK-service. Names go from one to the next as parameters. Everything may be repeated: the same input changes nothing.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.artifacts import INFRA, Artifacts, package
from infra.cloudformation import (
    POLL_SECONDS,
    Change,
    DeployError,
    Event,
    OnEvent,
    OnPlan,
    Stack,
    declared,
    outputs,
    state,
)

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

__all__ = ["Change", "DeployError", "Event", "deploy", "deploy_all", "outputs", "package"]

DATA, NETWORK, SERVICE = INFRA / "template.yaml", INFRA / "network.yaml", INFRA / "service.yaml"
SUFFIXES = {DATA: "", NETWORK: "-network", SERVICE: "-service"}  # in the order of deployment
Image = str | Callable[[Mapping[str, str]], str] | None


def ignore_plan(stack: str, changes: list[Change]) -> None:
    """For callers that do not show plans."""


def deploy(
    session: boto3.Session,
    stack: str,
    parameters: Mapping[str, str],
    on_event: OnEvent,
    poll_seconds: float = POLL_SECONDS,
) -> dict[str, str]:
    """Create or update the data plane alone, as stack `stack`, and return its outputs.

    Parameters that are not given keep their values (at first, the template's defaults). DeployError names the first
    resource that failed and why.
    """
    try:
        artifacts = Artifacts(session, stack)
        key = {"FunctionsKey": artifacts.functions(), "ArtifactBucket": artifacts.bucket}
        client = session.client("cloudformation")
        template = artifacts.template(DATA)
        Stack(client, stack, on_event, poll_seconds).apply(template, {**parameters, **key}, ignore_plan)
        return outputs(session, stack)
    except (BotoCoreError, ClientError) as error:
        raise DeployError(f"stack {stack}: {error}") from error


def deploy_all(
    session: boto3.Session,
    stack: str,
    parameters: Mapping[str, str],
    on_event: OnEvent,
    poll_seconds: float = POLL_SECONDS,
    image: Image = None,
    on_plan: OnPlan = ignore_plan,
) -> dict[str, str]:
    """Create or update all stacks of the deployment `stack` and return their outputs, merged.

    `parameters` is one flat mapping: each goes to every template that declares it; what no template declares is a
    DeployError. Outputs of an earlier stack go to the later templates that declare a parameter of that name.
    `image` is the container image, or makes it from the data plane's outputs; None keeps the one that runs.
    The network is left out when `VpcId` and `SubnetIds` are given, now or by an earlier deployment.
    """
    try:
        artifacts = Artifacts(session, stack)
        client = session.client("cloudformation")
        templates = {path: artifacts.template(path) for path in layers(client, stack, parameters)}
        wanted = {path: declared(client, template) for path, template in templates.items()}
        require_declared(parameters, wanted)
        known = {"DataStack": stack, "FunctionsKey": artifacts.functions(), "ArtifactBucket": artifacts.bucket}
        made: dict[str, str] = {}
        for path, template in templates.items():
            if path == SERVICE and image is not None:
                known["Image"] = image if isinstance(image, str) else image(made)
            given = {name: value for name, value in {**known, **made, **parameters}.items() if name in wanted[path]}
            one = Stack(client, stack + SUFFIXES[path], on_event, poll_seconds)
            one.apply(template, given, on_plan)
            made |= outputs(session, one.name)
        return made
    except (BotoCoreError, ClientError) as error:
        raise DeployError(f"stack {stack}: {error}") from error


def layers(client: "CloudFormationClient", stack: str, parameters: Mapping[str, str]) -> list[Path]:
    """The templates of this deployment, in order."""
    found = [path for path in SUFFIXES if path.exists()]
    if NETWORK in found and not needs_network(client, stack, parameters):
        found.remove(NETWORK)
    return found


def needs_network(client: "CloudFormationClient", stack: str, parameters: Mapping[str, str]) -> bool:
    """Whether the deployment has a network of its own: not when the service is, or shall be, in somebody else's."""
    if parameters.get("VpcId") and parameters.get("SubnetIds"):
        return False
    service = state(client, stack + SUFFIXES[SERVICE])
    return service is None or state(client, stack + SUFFIXES[NETWORK]) is not None


def require_declared(parameters: Mapping[str, str], wanted: Mapping[Path, Mapping[str, str]]) -> None:
    """DeployError naming the first parameter that no template knows."""
    for name in parameters:
        if not any(name in names for names in wanted.values()):
            known = sorted({each for names in wanted.values() for each in names})
            raise DeployError(f"no template has a parameter {name}; there are {', '.join(known)}")
