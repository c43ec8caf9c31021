"""What the help of the commands says of permissions is what the templates' roles have."""

import re
from typing import Any

import pytest

from infra.docs.commands import sections
from producer.cli import cli, main
from producer.reference import REFERENCES
from tests.unit.policies import RESOURCES, listed, of, statements

ACTION = re.compile(r"\b[a-z0-9-]+:[A-Z][A-Za-z]+\b")
OF_DEVICES = {"provision", "deprovision", "simulate", "watch"}
CLIENTS = {"publish", "query"}


def allowed(role: str) -> set[str]:
    """The actions of a role of the templates."""
    [resource] = [each for each in of("AWS::IAM::Role") if each.name == role]
    attached = [each for each in RESOURCES if {"Ref": role} in listed(each.properties.get("Roles", []))]
    granted: list[dict[str, Any]] = [each for found in (resource, *attached) for each in statements(found)]
    return {action for each in granted if each["Effect"] == "Allow" for action in listed(each["Action"])}


def needed(commands: set[str]) -> set[str]:
    return set(ACTION.findall(" ".join(REFERENCES[name].needs for name in commands)))


def test_every_command_has_its_reference() -> None:
    assert REFERENCES.keys() == cli.commands.keys()


def test_the_operator_has_what_his_commands_need() -> None:
    assert len(allowed("OperatorRole")) > 30
    assert needed(cli.commands.keys() - OF_DEVICES) - allowed("OperatorRole") == set()


def test_the_client_has_what_publish_and_query_need() -> None:
    assert needed(CLIENTS) == {"kinesis:PutRecords", "execute-api:Invoke"}
    assert needed(CLIENTS) - allowed("ClientRole") == set()


def test_the_simulator_has_what_devices_for_one_run_need() -> None:
    """It lists none: it names those that it made."""
    listing = {"iot:ListTargetsForPolicy", "iot:ListThings"}
    assert needed({"provision"}) - allowed("SimulatorRole") == listing


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_help_leads_to_the_guide(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"Guide: {REFERENCES[name].guide}" in capsys.readouterr().out


def test_every_option_is_on_the_page() -> None:
    page = sections()
    for name, command in cli.commands.items():
        section = page.partition(f"### sensorstream {name}")[2]
        for option in command.params:
            assert all(word in section for word in option.opts if word.startswith("-")), (name, option.opts)
