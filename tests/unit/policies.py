"""The templates' resources and the statements of their policies, for the tests of our own rules."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from infra.deploy.templates import INFRA, read

NAMES = ("data", "network", "service", "deployer")
TEMPLATES: dict[str, dict[str, Any]] = {name: read(INFRA / f"{name}.yaml") for name in NAMES}


class Resource(NamedTuple):
    """One resource of one template."""

    template: str
    name: str
    kind: str
    body: dict[str, Any]

    @property
    def properties(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body.get("Properties", {})
        return found

    @property
    def reasons(self) -> dict[str, str]:
        """Why there is a wildcard, by the statement's Sid; `Trust`: why the account itself is trusted."""
        found: dict[str, str] = self.body.get("Metadata", {}).get("Reasons", {})
        return found


RESOURCES = [
    Resource(template, name, body["Type"], body)
    for template, document in TEMPLATES.items()
    for name, body in document["Resources"].items()
]


def of(*kinds: str) -> list[Resource]:
    """The resources of these types, in all templates; at least one of each type."""
    found = [resource for resource in RESOURCES if resource.kind in kinds]
    assert {resource.kind for resource in found} == set(kinds)
    return found


def label(resource: object) -> str:
    """For pytest's names of cases."""
    return f"{resource.template}.{resource.name}" if isinstance(resource, Resource) else str(resource)


def within(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in it, however deep."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from within(each)
    elif isinstance(value, list):
        for each in value:
            yield from within(each)


def statements(resource: Resource) -> list[dict[str, Any]]:
    """All statements of all policies in a resource, whatever condition they are under."""
    return [each for each in within(resource.properties) if "Effect" in each]


def listed(value: Any) -> list[Any]:
    """IAM takes one for a list of one."""
    return value if isinstance(value, list) else [value]


def text(value: Any) -> str:
    """A value as it stands, for looking into."""
    return value if isinstance(value, str) else json.dumps(value)
