"""Who asks: this process, or another one of this machine, in one of the stack's roles.

A task of ECS gets, like its container, no keys but an address that gives keys of its role again and again. People
assume a role through a profile of the AWS configuration, which renews them likewise.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    ContainerProvider,
    CredentialProvider,
    DeferredRefreshableCredentials,
)

from infra.local.emulator import ACCESS_KEY, SECRET_KEY, Emulator

CREDENTIALS = "/v2/credentials/"
"""Where emulator_extension/task_credentials.py answers."""
PEOPLE = {"client": "ClientRoleArn", "operator": "OperatorRoleArn", "deployer": "DeployerRoleArn"}
"""Roles that people assume, by profile, and the output that names each."""


def settings_of(emulator: Emulator, task_definition: str) -> dict[str, str]:
    """The environment of the task definition's first container, with where AWS is and where its credentials are."""
    found = emulator.session().client("ecs").describe_task_definition(taskDefinition=task_definition)["taskDefinition"]
    declared = {each["name"]: each["value"] for each in found["containerDefinitions"][0].get("environment", [])}
    trust = {"JAVA_TOOL_OPTIONS": emulator.java_options} if emulator.java_options else {}
    return {**declared, **trust, **as_task(emulator, found["family"])}


def as_task(emulator: Emulator, family: str) -> dict[str, str]:
    """Environment of a process that acts in the task role of a family of task definitions."""
    return {
        **emulator.place(),
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{emulator.plain_endpoint}{CREDENTIALS}{family}",
    }


def write_profiles(emulator: Emulator, path: Path, outputs: Mapping[str, str]) -> None:
    """A configuration for the AWS SDKs and the aws CLI with a profile for each role of PEOPLE."""
    where = [f"region = {emulator.region}", f"endpoint_url = {emulator.endpoint}"]
    where += [f"ca_bundle = {emulator.ca_file}"] if emulator.ca_file else []
    keys = [f"aws_access_key_id = {ACCESS_KEY}", f"aws_secret_access_key = {SECRET_KEY}"]
    lines = ["[profile account]", *keys, *where]
    for profile, output in PEOPLE.items():
        if output not in outputs:  # the deployer's, where the account itself has deployed
            continue
        lines += ["", f"[profile {profile}]", f"role_arn = {outputs[output]}", "source_profile = account", *where]
    path.write_text("\n".join(lines) + "\n")


def as_person(emulator: Emulator, profiles: Path, profile: str) -> dict[str, str]:
    """Environment of a process that acts in a role of PEOPLE."""
    return {**emulator.place(), "AWS_CONFIG_FILE": str(profiles), "AWS_PROFILE": profile}


def task_session(emulator: Emulator, family: str) -> boto3.Session:
    """`as_task` for this process."""
    return emulator.renewing(ContainerProvider(environ=as_task(emulator, family)))


def person_session(emulator: Emulator, role: str) -> boto3.Session:
    """`as_person` for this process; `role` is an ARN."""
    return emulator.renewing(_AssumeRole(emulator.session(), role))


class _AssumeRole(CredentialProvider):
    """Credentials of a role that a session may assume."""

    METHOD = "assume-role"

    def __init__(self, session: boto3.Session, role: str) -> None:
        super().__init__()
        self._fetcher = AssumeRoleCredentialFetcher(session.client, session.get_credentials(), role)

    def load(self) -> Any:
        return DeferredRefreshableCredentials(self._fetcher.fetch_credentials, self.METHOD)
