"""Asks a Prometheus what a panel asks, as Grafana would: the variables put in, a series named by its legend."""

import json
import math
import re
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from infra.dashboards.parts import SMOOTH

STEPS = 150  # points of a curve


@dataclass(frozen=True)
class Window:
    """The time that is shown, in seconds since the epoch."""

    start: float
    end: float

    @property
    def step(self) -> float:
        return (self.end - self.start) / STEPS

    @property
    def times(self) -> list[float]:
        return [self.start + self.step * number for number in range(STEPS + 1)]


@dataclass(frozen=True)
class Series:
    """A name, and a value for each of the window's times, None where there is none."""

    name: str
    values: list[float | None]

    @property
    def last(self) -> float | None:
        return next((value for value in reversed(self.values) if value is not None), None)


def filled(expression: str, board: dict[str, Any], interval: str, window: str) -> str:
    """An expression with the variables in it as they are at first: all workers and shards of the job `sensorstream`.

    `interval` stands for Grafana's $__rate_interval, `window` for its $__range.
    """
    values = {"__rate_interval": interval, "__range": window, "job": "sensorstream"}
    for variable in board["templating"]["list"]:
        if variable["type"] == "textbox":
            values[variable["name"]] = variable["query"]
        elif variable.get("allValue"):
            values[variable["name"]] = variable["allValue"]
    return re.sub(r"\$(\w+)", lambda name: values[name[1]], expression)


class Asker:
    """Asks `url` for the window, with rates over `interval`."""

    def __init__(self, url: str, window: Window, interval: str) -> None:
        self._url = url
        self.window = window
        self._interval = interval

    def panel(self, panel: dict[str, Any], board: dict[str, Any]) -> list[Series]:
        """All series of a panel, in the order of its queries and then of their names."""
        found: list[Series] = []
        window = f"{self.window.end - self.window.start:.0f}s"
        for target in panel["targets"]:
            answers = self._ask(filled(target["expr"], board, self._interval, window))
            found += sorted((self._series(each, target["legendFormat"]) for each in answers), key=lambda s: s.name)
        return found

    def _ask(self, expression: str) -> list[dict[str, Any]]:
        window = self.window
        # An archive object's window is a sixth of the usual here, and the run is short: so is what is averaged over.
        expression = expression.replace(f"[{SMOOTH}]", "[60s]")
        query = {"query": expression, "start": window.start, "end": window.end, "step": window.step}
        url = f"{self._url}/api/v1/query_range?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - own address
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result

    def _series(self, answer: dict[str, Any], legend: str) -> Series:
        name = re.sub(r"\{\{(\w+)\}\}", lambda label: answer["metric"].get(label[1], ""), legend)
        values: list[float | None] = [None] * (STEPS + 1)
        for time, text in answer["values"]:
            value = float(text)
            if math.isfinite(value):
                values[round((float(time) - self.window.start) / self.window.step)] = value
        return Series(name, values)
