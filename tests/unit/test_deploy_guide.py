"""docs/deploy.md against the templates: its tables are as generated, and it leaves nothing out."""

import re

from infra.deploy.templates import DATA, NETWORK, SERVICE, outputs, parameters
from infra.docs.__main__ import DOCS
from infra.docs.parameters import OWN
from infra.switches import TARGETS

GUIDE = DOCS / "deploy.md"
TEXT = GUIDE.read_text()


def test_every_parameter_stands_in_it_or_is_given_by_the_commands() -> None:
    given = OWN | outputs(DATA) | outputs(NETWORK)
    declared = {name for path in (DATA, NETWORK, SERVICE) for name in parameters(path)}
    assert {name for name in declared - given if f"`{name}`" not in TEXT} == set()


def test_every_parameter_of_the_service_is_explained_or_comes_from_another_stack() -> None:
    """Else make deploy could not fill it in."""
    required = {name for name, declared in parameters(SERVICE).items() if "Default" not in declared}
    assert required <= OWN | outputs(DATA) | outputs(NETWORK)


def test_every_variable_of_the_commands_stands_in_it() -> None:
    variables = {name for command in ("deploy", "plan", "destroy") for name in TARGETS[command]} | {"BUCKET"}
    assert {name for name in variables if not re.search(rf"`{name}[`=]|[ ]{name}=", TEXT)} == set()


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http|#)([^)#]+)", TEXT):
        assert (GUIDE.parent / target).exists(), target
