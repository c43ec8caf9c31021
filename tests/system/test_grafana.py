"""Every query of every dashboard, asked of a real Prometheus at the running system."""

import math
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.grafana import BOARDS, panels, substituted
from tests.system.conftest import System, wait_for
from tests.system.prometheus import Prometheus


@pytest.fixture(scope="module")
def fleet(system: System) -> Iterator["subprocess.Popen[str]"]:
    """Forty devices, some of whose readings are malformed payloads, as long as the module's tests last."""
    options = ["--devices", "40", "--rate", "100", "--for", "600", "--malformed", "0.1"]
    process = system.start("simulate", "--via", "kinesis", *options)
    yield process
    process.terminate()
    process.communicate(timeout=30)


@pytest.mark.parametrize(("name", "board"), BOARDS.items(), ids=BOARDS)
def test_every_query_returns_data(
    name: str, board: dict[str, Any], fleet: "subprocess.Popen[str]", prometheus: Prometheus
) -> None:
    asked = {
        f"{panel.title}: {expression}": substituted(expression, board, interval="3s", window="10s")
        for panel in panels(board)
        if "noValue" not in panel.document["fieldConfig"]["defaults"]  # where it is normal that nothing happens
        for expression in panel.expressions
    }
    assert len(asked) > 10

    def empty() -> list[str]:
        assert fleet.poll() is None, fleet.communicate()
        return [each for each, expression in asked.items() if not numbers(prometheus, expression)]

    wait_for(lambda: not empty(), f"data (of {empty()})")


@pytest.mark.parametrize(("name", "board"), BOARDS.items(), ids=BOARDS)
def test_every_choice_of_a_variable_is_there(
    name: str, board: dict[str, Any], system: System, prometheus: Prometheus
) -> None:
    """The metric and label that a choice is made of, such as label_values(metric{job="$job"}, instance)."""
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = variable["query"]["query"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
            found = prometheus.query(f"count by ({label}) ({substituted(metric, board)})")
            assert found
            assert all(series.labels[label] for series in found)


def numbers(prometheus: Prometheus, expression: str) -> bool:
    """Whether each series has a number now, and there is one."""
    found = prometheus.query(expression)
    return bool(found) and all(math.isfinite(value) for series in found for value in series.values)
