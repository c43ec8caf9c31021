"""The committed dashboards: up to date, complete, and asking only for what there is."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from config.grafana.__main__ import FOLDER, RULES, documents, main
from config.grafana.__main__ import rules as alert_rules
from config.grafana.parts import anchor
from consumer.kcl.process import DaemonProcess
from consumer.payload.contracts import Contracts
from consumer.telemetry.contracts import ContractCounters
from consumer.telemetry.metrics import Metrics
from infra.local.process import ROOT
from tests.grafana import BOARDS, Panel, expressions, panels, substituted
from tests.rules import binary, load, metrics, rules
from tests.unit.fakes import register_gauges

PROVISIONING = ROOT / "config/grafana/provisioning"
GRAFANAS_OWN = {"__rate_interval", "__range"}
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in panels(board)]
NAMES = [f"{name}-{panel.title}" for name, panel in PANELS]


ADDRESS = "https://wiki.example.com/sensorstream/operations.md"


def test_making_them_again_gives_no_difference() -> None:
    committed = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    links = {link["url"].partition("#")[0] for _, panel in PANELS for link in panel.document.get("links", ())}
    assert documents(*links) == committed


@pytest.mark.parametrize("arguments", [["docs/operations.md"], ["https://a", "https://b"], ["https://a#b"]])
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
    led = [link["url"].partition("#")[2] for link in panel.document.get("links", [])]
    led += re.findall(r"Runbook: docs/operations\.md#(\S+)\.$", panel.document["description"])
    assert len(led) <= 1
    assert set(led) <= headings()


def headings() -> set[str]:
    found = re.findall(r"^#+ (.+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    return {anchor(heading) for heading in found}


def test_where_an_address_is_set_every_link_is_absolute_and_else_no_link_leads_nowhere() -> None:
    with_address, without = documents(ADDRESS), documents()
    for name in BOARDS:
        linked = [link["url"] for panel in json.loads(with_address[name])["panels"] for link in panel.get("links", ())]
        assert len(linked) == without[name].count("Runbook: docs/operations.md#") > 0
        assert {url.partition("#")[0] for url in linked} == {ADDRESS}
        assert not [panel for panel in json.loads(without[name])["panels"] if panel.get("links")]
    assert "example.org" not in "".join(path.read_text() for path in (ROOT / "config").rglob("*.[jy]*"))


def test_the_links_of_the_rules_go_where_those_of_the_dashboards_go() -> None:
    text = RULES.read_text()
    absolute = alert_rules(text, ADDRESS)
    assert absolute.count(f"runbook_url: {ADDRESS}#") == text.count("runbook_url: ")
    assert alert_rules(absolute) == alert_rules(text)
    (led,) = set(re.findall(r"runbook_url: (\S+)#", text))
    assert documents(*([led] if led.startswith("http") else [])) == {n: (FOLDER / n).read_text() for n in BOARDS}


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
def test_deploys_and_restarts_are_marked(name: str, board: dict[str, Any]) -> None:
    marks = {each["name"]: each["expr"] for each in board["annotations"]["list"]}
    assert marks.keys() == {"New version", "Worker started", "Daemon restarted"}
    for expression in marks.values():
        assert metrics(substituted(expression, board)) <= known()
        assert all('job="$job"' in selector for selector in re.findall(r"\{[^}]*\}", expression))


@pytest.mark.parametrize("name", ["fleet.json", "service.json"])
def test_it_leads_with_the_age_of_the_oldest_record_that_is_not_written(name: str) -> None:
    first, *others = panels(BOARDS[name])
    assert (first.title, metrics(substituted(first.expressions[0], BOARDS[name]))) == (
        "Oldest unwritten",
        {"sensorstream_lag_seconds"},
    )
    assert not [each.title for each in others if "millis_behind_latest" in str(each.expressions)]


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=NAMES)
def test_a_hundred_shards_are_ten_lines_and_a_table(name: str, panel: Panel) -> None:
    by_shard = [each for each in panel.expressions if "by (shard)" in each]
    if by_shard and panel.document["type"] != "stat":
        assert all(each.startswith("topk(10, ") for each in by_shard)
        assert panel.document["options"]["legend"]["displayMode"] == "table"


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=NAMES)
def test_where_nothing_happens_no_series_says_so(name: str, panel: Panel) -> None:
    assert "label_replace(vector(0)" not in str(panel.expressions)
    if panel.document["fieldConfig"]["defaults"].get("noValue") is None:
        assert not [each for each in panel.expressions if each.endswith("> 0")]


def test_what_happens_once_an_archive_object_is_averaged_over_more_than_one() -> None:
    """A rate over little more than the object's window is 0 or twice the truth, in turn."""
    objects = re.compile(
        r"sensorstream_(?:archive_objects|archive_bytes|checkpoints)_total\{[^}]*\}\[\$__rate_interval\]"
    )
    assert not [panel.title for _, panel in PANELS if objects.search(str(panel.expressions))]


def test_everything_can_be_edited_and_no_colour_is_taken_by_a_names_hash() -> None:
    assert all(board["editable"] for board in BOARDS.values())
    modes = {panel.document["fieldConfig"]["defaults"]["color"]["mode"] for _, panel in PANELS}
    assert modes == {"thresholds", "palette-classic"}


def test_critical_alerts_and_warnings_are_distinguished() -> None:
    found = {panel.title: panel for panel in panels(BOARDS["fleet.json"])}
    for title, severity, colour in (("Critical alerts", "critical", "red"), ("Warnings", "warning", "yellow")):
        (expression,) = found[title].expressions
        assert f'severity="{severity}"' in expression
        steps = found[title].document["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[-1]["color"] == colour


def test_the_daemon_is_red_across_a_kill_also_where_no_scrape_fell_into_it(tmp_path: Path) -> None:
    """Worker a was down for two scrapes, b was restarted between two, c ran all the time."""
    (expression,) = next(each.expressions for _, each in PANELS if each.title == "Daemon running")
    labels = 'job="sensorstream", instance='
    series = {
        f'sensorstream_daemon_up{{{labels}"a"}}': "1x8 0 0 1x20",
        f'sensorstream_daemon_restarts_total{{{labels}"a", reason="exit"}}': "0x8 0 0 1x20",
        f'sensorstream_daemon_up{{{labels}"b"}}': "1x30",
        f'sensorstream_daemon_restarts_total{{{labels}"b", reason="exit"}}': "0x9 1x20",
        f'sensorstream_daemon_up{{{labels}"c"}}': "1x30",
        f'sensorstream_daemon_restarts_total{{{labels}"c", reason="exit"}}': "4x30",
    }
    asked = substituted(expression, BOARDS["service.json"])
    cases = [(1, (1, 1, 1)), (2.5, (0, 0, 1)), (6, (1, 1, 1))]
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": asked,
                "eval_time": f"{int(minutes * 60)}s",
                "exp_samples": [
                    {"labels": f'{{instance="{name}"}}', "value": value}
                    for name, value in zip("abc", values, strict=True)
                ],
            }
            for minutes, values in cases
        ],
    }
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps({"tests": [test]}))
    done = subprocess.run([binary("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("name", "board"), BOARDS.items(), ids=BOARDS)
def test_every_metric_is_one_of_the_service(name: str, board: dict[str, Any]) -> None:
    asked = {metric for each in expressions(board) for metric in metrics(substituted(each, board))}
    assert asked - known() == set()


def known() -> set[str]:
    """What a scrape of the service gives, with what Prometheus adds."""
    made = Metrics()
    made.registry.register(DaemonProcess(os.getpid))
    made.registry.register(ContractCounters(Contracts()))
    register_gauges(made)
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
