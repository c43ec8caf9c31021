"""A task of ECS as a process of this machine: its task definition's environment, and the credentials of its role.

The emulator keeps task definitions as records; nobody runs them but us.
"""

from infra.local.emulator import Emulator

CREDENTIALS = "/v2/credentials/"
"""Where infra/local/extension/task.py answers."""


def settings_of(emulator: Emulator, task_definition: str) -> dict[str, str]:
    """The environment of the task definition's first container, with where AWS is and how to prove who asks.

    Like a container it gets no keys, but an address that gives keys of its task role, again and again.
    """
    found = emulator.session().client("ecs").describe_task_definition(taskDefinition=task_definition)["taskDefinition"]
    declared = {each["name"]: each["value"] for each in found["containerDefinitions"][0].get("environment", [])}
    address = f"{emulator.plain_endpoint}{CREDENTIALS}{found['family']}"
    trust = {"JAVA_TOOL_OPTIONS": emulator.java_options} if emulator.java_options else {}
    return {**declared, **emulator.place(), **trust, "AWS_CONTAINER_CREDENTIALS_FULL_URI": address}
