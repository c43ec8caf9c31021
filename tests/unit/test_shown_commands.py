"""What documents and scripts say to the AWS command line are operations and options that it knows, by the SDK's own
description of each service: most of it runs against AWS only, where a wrong word would be found too late."""

import ast
import re
from collections.abc import Iterator

import botocore.session
import pytest
from botocore import xform_name
from botocore.model import ServiceModel

from infra.deploy.parameters import assignments, require_valid
from infra.deploy.templates import INFRA

ROOT = INFRA.parent
CALL = re.compile(r"\baws (?P<service>[a-z0-9-]+) (?P<operation>[a-z0-9-]+)(?P<rest>[^\n`)|;]*)")
OPTION = re.compile(r"(?<=\s)--([a-z0-9-]+)")
OF_THE_PROGRAM = {"max-items", "no-cli-pager", "output", "page-size", "profile", "query", "region"}
ITS_OWN = {
    ("cloudformation", "deploy"),
    ("configure", "list-profiles"),
    ("s3", "cp"),
    ("s3", "rb"),
    ("s3", "sync"),
    ("sso", "login"),
}
SESSION = botocore.session.get_session()


def commands() -> Iterator[tuple[str, str, str, str]]:
    """File, service, operation and what follows."""
    for path in sorted(
        [ROOT / "README.md", *ROOT.glob("docs/*.md"), *INFRA.rglob("*.sh"), *INFRA.glob("*.py"), *INFRA.glob("*.yaml")]
    ):
        text = re.sub(r"\\+\n\s*", "", path.read_text())
        for found in CALL.finditer(text):
            if found["service"] in SESSION.get_available_services() or found["service"] == "configure":
                yield path.name, found["service"], found["operation"], found["rest"]


COMMANDS = list(commands())


def operation(service: ServiceModel, name: str) -> str | None:
    """The operation that the command line calls by this name."""
    return next((each for each in service.operation_names if xform_name(each, "-") == name), None)


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 10


@pytest.mark.parametrize(("file", "service", "name", "rest"), COMMANDS)
def test_a_command_for_aws_is_one_that_it_takes(file: str, service: str, name: str, rest: str) -> None:
    if (service, name) in ITS_OWN:
        return
    if name == "wait":
        assert rest.split()[0] in {xform_name(each, "-") for each in SESSION.get_waiter_model(service).waiter_names}
        return
    model = SESSION.get_service_model(service)
    found = operation(model, name)
    assert found, f"{file}: aws {service} {name}"
    shape = model.operation_model(found).input_shape
    known = {xform_name(member, "-") for member in shape.members} if shape else set()
    assert set(OPTION.findall(rest)) - known - OF_THE_PROGRAM == set(), file


def texts() -> Iterator[tuple[str, str]]:
    """What programs may say: each string, and what stands in an f-string beside its values."""
    for path in sorted([*(ROOT / "producer").rglob("*.py"), *INFRA.rglob("*.py"), *(ROOT / "consumer").rglob("*.py")]):
        tree = ast.parse(path.read_text())
        documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
                yield path.name, node.value


PARAMS = re.compile(r'PARAMS="([^"]+)"|PARAMS=(\w+=[^"\s`]+)')


def test_parameters_that_documents_give_are_taken() -> None:
    shown = {
        one or other
        for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]
        for one, other in PARAMS.findall(path.read_text())
        if not re.search(r"\.\.\.|\.json", one + other)  # to be filled in, or a file of the reader's
    }
    assert len(shown) > 5
    for text in shown:
        require_valid(assignments(text))


def test_hints_call_our_programs_as_the_checkout_has_them() -> None:
    """Outside of the environment there is no such program; a usage line only names itself."""
    calls = re.compile(
        r"(?P<program>\S+)(?:(?<=sensorstream) (?:provision|redrive|deprovision|doctor)| -m (?:producer|consumer)\b)"
    )
    found = [(file, call["program"], text) for file, text in texts() if (call := calls.search(text))]
    assert len(found) >= 5
    bare = [(file, text) for file, program, text in found if not program.lstrip("(`").startswith(".venv/bin/")]
    assert {text for _, text in bare} == {"python -m consumer"}  # its usage, and where that is in the documents
