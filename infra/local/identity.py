"""Who asks: a process of this machine in one of the stack's roles.

A task of ECS gets, like its container, no keys but an address that gives keys of its role again and again. People take
a role on through a profile of the AWS configuration, which renews them likewise.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import boto3

from infra.local.emulator import ACCESS_KEY, SECRET_KEY, Emulator

CREDENTIALS = "/v2/credentials/"
"""Where emulator_extension/task_credentials.py answers."""
PEOPLE = {"client": "ClientRoleArn", "operator": "OperatorRoleArn", "deployer": "DeployerRoleArn"}
"""Roles that people take on, by profile, and the output that names each."""


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


@contextmanager
def acting(variables: Mapping[str, str]) -> Iterator[None]:
    """Clients that this process makes inside ask with what these variables say, and go on doing so outside.

    It holds for all threads: nobody else may make clients meanwhile.
    """
    before = _set({name: None for name in os.environ if name.startswith("AWS_")} | dict(variables))
    boto3.setup_default_session()
    session = boto3.DEFAULT_SESSION
    try:
        if session and (found := session.get_credentials()):
            found.get_frozen_credentials()  # else they are fetched at the first request, maybe after the block
        yield
    finally:
        _set(before)
        boto3.setup_default_session()


def _set(variables: Mapping[str, str | None]) -> dict[str, str | None]:
    """Sets variables of the environment, or takes those away that are None; returns what they were."""
    before = {name: os.environ.get(name) for name in variables}
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    return before
