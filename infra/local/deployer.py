"""Deployment into the local stack, with the permissions of infra/deployer.yaml alone."""

import re
from collections.abc import Callable, Mapping

from infra.deploy.cloudformation import Event, Stack
from infra.deploy.deployment import Deployment
from infra.deploy.image import of_target
from infra.local.emulator import Emulator
from infra.local.process import ROOT

POLL_SECONDS = 0.1
IMAGE = "sensorstream:local"
TEMPLATE = ROOT / "infra/deployer.yaml"


def _image(made: Mapping[str, str], target: str) -> str:
    return of_target(IMAGE, target)


def deploy_as_account(
    emulator: Emulator, name: str, parameters: Mapping[str, str], on_event: Callable[[Event], None]
) -> dict[str, str]:
    """All stacks of a deployment, made by the account itself; returns their outputs, merged."""
    return Deployment(emulator.session(), name, parameters, on_event, POLL_SECONDS).apply(_image)


def deploy_as_deployer(
    emulator: Emulator, name: str, parameters: Mapping[str, str], on_event: Callable[[Event], None]
) -> dict[str, str]:
    """The same by a role of infra/deployer.yaml, which an administrator makes first and whose outputs are added."""
    prefix = re.match("[a-z][a-z0-9]{2,19}", name)
    administrator = emulator.session().client("cloudformation")
    stack = Stack(administrator, f"{name}-deployer", lambda event: None, POLL_SECONDS)
    roles = stack.apply({"TemplateBody": TEMPLATE.read_text()}, {"Prefix": prefix[0] if prefix else name})
    session = emulator.session(emulator.role(roles["DeployerRoleArn"]))
    deployment = Deployment(session, name, parameters, on_event, POLL_SECONDS, roles["ServiceRoleArn"])
    return roles | deployment.apply(_image)
