"""The committed dashboards as tests read them: their panels and expressions, with the variables put in."""

import json
import re
from dataclasses import dataclass
from typing import Any

from config.grafana.__main__ import FOLDER

BOARDS: dict[str, dict[str, Any]] = {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


@dataclass(frozen=True)
class Panel:
    """A panel that shows data; `document` is all that it says."""

    title: str
    expressions: list[str]
    document: dict[str, Any]


def panels(board: dict[str, Any]) -> list[Panel]:
    """All but the headings, in their order."""
    return [
        Panel(panel["title"], [target["expr"] for target in panel["targets"]], panel)
        for panel in board["panels"]
        if panel["type"] != "row"
    ]


def expressions(board: dict[str, Any]) -> list[str]:
    """Everything that a dashboard asks Prometheus for, but for the choices of its variables."""
    return [expression for panel in panels(board) for expression in panel.expressions]


def substituted(expression: str, board: dict[str, Any], interval: str = "1m", window: str = "1h") -> str:
    """What Grafana asks, with `interval` for its $__rate_interval and `window` for its $__range: all workers and shards
    of the job `sensorstream`, the prices as they are at first."""
    values = {"__rate_interval": interval, "__range": window, "job": "sensorstream"}
    for variable in board["templating"]["list"]:
        if variable["type"] == "textbox":
            values[variable["name"]] = variable["query"]
        elif variable.get("allValue"):
            values[variable["name"]] = variable["allValue"]
    return re.sub(r"\$(\w+)", lambda name: values[name[1]], expression)
