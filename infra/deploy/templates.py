"""The templates as data, for what must know their parameters and outputs without asking CloudFormation."""

from pathlib import Path
from typing import Any

import yaml

INFRA = Path(__file__).resolve().parent.parent
DATA, NETWORK, SERVICE = TEMPLATES = (INFRA / "data.yaml", INFRA / "network.yaml", INFRA / "service.yaml")


class _Loader(yaml.SafeLoader):
    """Knows CloudFormation's short tags: `!Ref x` becomes {"Ref": x}, `!Sub x` {"Fn::Sub": x}."""


def _tagged(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any = node.value
    if isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tagged)


def read(path: Path) -> dict[str, Any]:
    """The whole template."""
    document: dict[str, Any] = yaml.load(path.read_text(), _Loader)  # noqa: S506 - made of SafeLoader
    return document


def parameters(path: Path) -> dict[str, dict[str, Any]]:
    """Its parameters as declared."""
    found: dict[str, dict[str, Any]] = read(path).get("Parameters", {})
    return found


def outputs(path: Path) -> set[str]:
    """Names of its outputs."""
    return set(read(path).get("Outputs", {}))
