"""config/prometheus as tests read it: rules, alerts, and which metrics they ask for."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from infra.local.process import ROOT

CONFIG = ROOT / "config/prometheus"
PROMETHEUS = ROOT / ".local-prometheus"


@dataclass(frozen=True)
class Rule:
    """A rule of one of the files; `document` is all that it says."""

    name: str
    expression: str
    document: dict[str, Any]


def binary(name: str) -> str:
    """`prometheus` or `promtool`, which `make test` provides."""
    path = PROMETHEUS / name
    assert path.exists(), f"{path} is missing: make .local-prometheus/ready"
    return str(path)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def rules(kind: str) -> list[Rule]:
    """All rules of a kind, `record` or `alert`, in their order."""
    return [
        Rule(rule[kind], rule["expr"], rule)
        for path in sorted((CONFIG / "rules").glob("*.yml"))
        for group in load(path)["groups"]
        for rule in group["rules"]
        if kind in rule
    ]


def metrics(expression: str) -> set[str]:
    """The names of all metrics that an expression asks for."""
    return {selector.name for selector in _selectors(promql_parser.parse(expression)) if selector.name}


def _selectors(part: object) -> Iterator[promql_parser.VectorSelector]:
    if isinstance(part, promql_parser.VectorSelector):
        yield part
    for name in ("expr", "lhs", "rhs", "param", "vector_selector", "args"):
        inner = getattr(part, name, None)
        for each in inner if isinstance(inner, list) else [inner]:
            if each is not None:
                yield from _selectors(each)
