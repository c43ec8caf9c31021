"""What can be chosen of the local stack."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.deploy.cloudformation import InputError
from infra.deploy.deployment import require_name
from infra.deploy.parameters import assignments, require_policy, require_valid
from infra.switches import yes


@dataclass(frozen=True)
class Options:
    """`consumer_settings` are environment variables that override all others.

    Without `enforce` roles and policies are not in force, and everything speaks plain HTTP: for tests that break
    connections.
    """

    name: str = "sensorstream"
    aws_port: int = 4566
    mqtt_port: int = 8883
    http_port: int = 8080
    parameters: Mapping[str, str] = field(default_factory=lambda: {"ShardCount": "2"})
    consumer: bool = True
    console: bool = False
    enforce: bool = True
    consumer_settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, given: Mapping[str, str]) -> "Options":
        """From make's variables: STACK, PARAMS, CONSUMER, CONSOLE, ARCHIVE_MAX_SECONDS and the three ports.

        InputError names the one that is wrong.
        """
        name = given.get("STACK") or cls.name
        require_name(name)
        defaults = {"AWS_PORT": cls.aws_port, "MQTT_PORT": cls.mqtt_port, "HTTP_PORT": cls.http_port}
        ports = {variable: port(given, variable, default) for variable, default in defaults.items()}
        require_different(ports)
        window = {"ArchiveMaxSeconds": given["ARCHIVE_MAX_SECONDS"]} if given.get("ARCHIVE_MAX_SECONDS") else {}
        parameters = {"ShardCount": "2"} | window | assignments(given.get("PARAMS"))
        require_valid(parameters)
        require_policy(parameters, {})  # the local stack is always a new one
        return cls(
            name,
            ports["AWS_PORT"],
            ports["MQTT_PORT"],
            ports["HTTP_PORT"],
            parameters,
            consumer=yes("CONSUMER", given.get("CONSUMER") or "yes"),
            console=yes("CONSOLE", given.get("CONSOLE") or "yes"),
        )


def port(given: Mapping[str, str], variable: str, default: int) -> int:
    """The port that a variable names; InputError unless it is one."""
    text = given.get(variable) or str(default)
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise InputError(f"{variable}={text} is not a port; choose one of 1..65535")
    return int(text)


def require_different(ports: Mapping[str, int]) -> None:
    """InputError when two services would listen on one port."""
    for name, number in ports.items():
        other = next(each for each, same in ports.items() if same == number)
        if other != name:
            raise InputError(f"{name}={number} is the port of {other}, too; choose another for one of them")
