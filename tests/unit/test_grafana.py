"""The committed dashboards: up to date, complete, and asking only for what there is."""

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest

from consumer.metrics import Metrics
from consumer.process import DaemonProcess
from infra.dashboards.__main__ import FOLDER, documents, main
from infra.dashboards.parts import anchor
from infra.local.process import ROOT
from tests.grafana import BOARDS, Panel, expressions, panels, substituted
from tests.rules import load, metrics, rules

PROVISIONING = ROOT / "config/grafana/provisioning"
GRAFANAS_OWN = {"__rate_interval", "__range"}
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in panels(board)]
NAMES = [f"{name}-{panel.title}" for name, panel in PANELS]


def runbook(board: dict[str, Any]) -> str:
    (found,) = (each["query"] for each in board["templating"]["list"] if each["name"] == "runbook")
    return str(found)


def test_making_them_again_gives_no_difference() -> None:
    committed = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    (address,) = {runbook(board) for board in BOARDS.values()}
    assert documents(address) == committed


@pytest.mark.parametrize("arguments", [["docs/operations.md"], ["https://a", "https://b"]])
def test_a_runbook_that_is_no_address_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=NAMES)
def test_every_panel_says_what_it_shows(name: str, panel: Panel) -> None:
    assert panel.title
    assert panel.document["description"].endswith(".")
    assert panel.document["fieldConfig"]["defaults"]["unit"]
    assert panel.document["targets"]


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=NAMES)
def test_every_panel_leads_to_a_section_of_the_runbook_if_anywhere(name: str, panel: Panel) -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    for link in panel.document.get("links", []):
        assert link["url"].startswith("${runbook}#")
        assert link["url"].partition("#")[2] in {anchor(heading) for heading in headings}


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=NAMES)
def test_every_expression_is_promql(name: str, panel: Panel) -> None:
    for expression in panel.expressions:
        promql_parser.parse(substituted(expression, BOARDS[name]))


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=NAMES)
def test_every_expression_asks_for_one_deployment(name: str, panel: Panel) -> None:
    """What has no selector for the job adds up all deployments that a Prometheus knows."""
    for expression in panel.expressions:
        for selector in re.findall(r"\{[^}]*\}", expression):
            assert re.search(r'job=~?"(\(\$job\)\?|\$job)"', selector), expression


@pytest.mark.parametrize(("name", "board"), BOARDS.items(), ids=BOARDS)
def test_every_metric_is_one_of_the_service(name: str, board: dict[str, Any]) -> None:
    asked = {metric for each in expressions(board) for metric in metrics(substituted(each, board))}
    assert asked - known() == set()


def known() -> set[str]:
    """What a scrape of the service gives, with what Prometheus adds."""
    made = Metrics()
    made.registry.register(DaemonProcess(os.getpid))
    found = {"up", "ALERTS"} | {rule.name for rule in rules("record")}
    for family in made.registry.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}
        found |= {family.name + suffix for suffix in suffixes.get(family.type, [""])}
    return found


@pytest.mark.parametrize(("name", "board"), BOARDS.items(), ids=BOARDS)
def test_every_variable_is_used_and_there(name: str, board: dict[str, Any]) -> None:
    text = json.dumps(board)
    declared = {each["name"] for each in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", text)) - GRAFANAS_OWN - {"__all"}
    assert used == declared


@pytest.mark.parametrize(("name", "board"), BOARDS.items(), ids=BOARDS)
def test_panels_lie_side_by_side_and_none_on_another(name: str, board: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        fields = set(squares(place))
        assert not fields & taken
        assert place["x"] + place["w"] <= 24
        taken |= fields
    rows = {y for _, y in taken}
    assert {(x, y) for x in range(24) for y in rows} == taken
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def squares(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y


def test_one_name_has_one_colour_on_all_dashboards() -> None:
    colours: dict[str, set[str]] = {}
    for _, panel in PANELS:
        for override in panel.document["fieldConfig"]["overrides"]:
            (colour,) = (each["value"]["fixedColor"] for each in override["properties"] if each["id"] == "color")
            colours.setdefault(override["matcher"]["options"], set()).add(colour)
    assert {name for name, found in colours.items() if len(found) > 1} == set()


def test_the_data_source_is_the_prometheus_of_the_environment() -> None:
    (source,) = load(PROVISIONING / "datasources/prometheus.yml")["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "$PROMETHEUS_URL")
    scrape = load(ROOT / "config/prometheus/prometheus.yml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scrape


def test_the_provider_shows_the_folder_of_the_dashboards() -> None:
    (provider,) = load(PROVISIONING / "dashboards/sensorstream.yml")["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"] == "$SENSORSTREAM_DASHBOARDS"
    assert sorted(BOARDS) == ["cost.json", "fleet.json", "service.json"]
