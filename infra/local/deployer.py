"""Deployment into the local stack, with the permissions of infra/deployer.yaml alone."""

import re
from collections.abc import Mapping

from infra.deploy.cloudformation import OnEvent, Stack
from infra.deploy.deployment import Deployment, ignore_event, ignore_plan
from infra.local.emulator import Emulator
from infra.local.process import ROOT

POLL_SECONDS = 0.1
IMAGE = "sensorstream:local"
TEMPLATE = ROOT / "infra/deployer.yaml"


def deploy_as_account(
    emulator: Emulator, name: str, parameters: Mapping[str, str], on_event: OnEvent
) -> dict[str, str]:
    """All stacks of a deployment, made by the account itself; returns their outputs, merged."""
    deployment = Deployment(emulator.session(), name, parameters, on_event, POLL_SECONDS)
    return deployment.apply(IMAGE, ignore_plan)


def deploy_as_deployer(
    emulator: Emulator, name: str, parameters: Mapping[str, str], on_event: OnEvent
) -> dict[str, str]:
    """The same by a role of infra/deployer.yaml, which an administrator makes first and whose outputs are added."""
    prefix = re.match("[a-z][a-z0-9]{2,19}", name)
    administrator = emulator.session().client("cloudformation")
    stack = Stack(administrator, f"{name}-deployer", ignore_event, POLL_SECONDS, {})
    stack.apply({"TemplateBody": TEMPLATE.read_text()}, {"Prefix": prefix[0] if prefix else name}, ignore_plan)
    found = administrator.describe_stacks(StackName=stack.name)["Stacks"][0]["Outputs"]
    roles = {output["OutputKey"]: output["OutputValue"] for output in found}
    session = emulator.session(emulator.role(roles["DeployerRoleArn"]))
    deployment = Deployment(session, name, parameters, on_event, POLL_SECONDS, role=roles["ServiceRoleArn"])
    return roles | deployment.apply(IMAGE, ignore_plan)
