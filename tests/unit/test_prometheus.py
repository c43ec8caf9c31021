"""The rules and scrape configurations of config/prometheus, checked by Prometheus's own tool where it can."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.core import CounterMetricFamily

from consumer.kcl.process import DaemonProcess
from consumer.payload.contracts import Contracts
from consumer.telemetry.contracts import ContractCounters
from consumer.telemetry.metrics import Metrics
from infra.local.process import ROOT
from tests.rules import CONFIG, Rule, binary, load, metrics, rules
from tests.unit.fakes import register_gauges

ALERTS = rules("alert")
RUNBOOK = "docs/operations.md"


def names(found: list[Rule]) -> list[str]:
    return [rule.name for rule in found]


def promtool(*arguments: str) -> None:
    done = subprocess.run([binary("promtool"), *arguments], cwd=CONFIG, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted((CONFIG / "tests").glob("*.yml")), ids=lambda path: path.stem)
def test_promtools_unit_tests_of_the_rules_hold(path: Path) -> None:
    promtool("test", "rules", str(path))


def test_they_hold_with_prometheus_3_too(tmp_path: Path) -> None:
    """It leaves the first instant of a range out, as if each were a moment shorter."""
    millis = {"m": 60_000, "h": 3_600_000}
    shutil.copytree(CONFIG, tmp_path, dirs_exist_ok=True)
    for path in (tmp_path / "rules").iterdir():
        shorter = re.sub(
            r"\[(\d+)([mh])\]", lambda found: f"[{int(found[1]) * millis[found[2]] - 1}ms]", path.read_text()
        )
        assert shorter != path.read_text()
        path.write_text(shorter)
    promtool("test", "rules", *(str(path) for path in (tmp_path / "tests").glob("*.yml")))


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus-local.yml"])
def test_promtool_finds_nothing_wrong_with_configuration_and_rules(name: str) -> None:
    promtool("check", "config", name)


def test_the_discovery_by_ecs_is_the_same_but_for_how_it_finds_the_tasks() -> None:
    """promtool cannot check this one: Debian's is older than Prometheus 3.8, which asks ECS. Its fields and labels were
    compared with Prometheus's source."""
    ecs, dns = load(CONFIG / "prometheus-ecs.yml"), load(CONFIG / "prometheus.yml")
    (job,) = ecs.pop("scrape_configs")
    assert ecs == {name: value for name, value in dns.items() if name != "scrape_configs"}
    (discovery,) = job["aws_sd_configs"]
    assert discovery["role"] == "ecs"
    assert discovery["port"] == 8080
    sources = {label for each in job["relabel_configs"] for label in each["source_labels"]}
    known = {"tag_service_sensorstream_stack", "service", "last_status", "availability_zone"}
    assert sources == {f"__meta_ecs_{name}" for name in known}


def cases() -> Iterator[tuple[str, bool]]:
    """Each case of promtool's tests: the alert, and whether it fires."""
    for path in (CONFIG / "tests").glob("*.yml"):
        for test in load(path)["tests"]:
            for case in test["alert_rule_test"]:
                yield case["alertname"], bool(case.get("exp_alerts"))


@pytest.mark.parametrize("alert", names(ALERTS))
def test_every_alert_is_tested_both_ways(alert: str) -> None:
    assert {fires for name, fires in cases() if name == alert} == {True, False}


@pytest.mark.parametrize("alert", ALERTS, ids=names(ALERTS))
def test_every_alert_says_what_it_is_and_leads_to_its_section(alert: Rule) -> None:
    notes = alert.document["annotations"]
    assert alert.document["labels"]["severity"] in ("warning", "critical")
    assert notes["summary"]
    assert notes["description"]
    page, _, anchor = notes["runbook_url"].partition("#")
    assert page == RUNBOOK or page.startswith("https://")  # make dashboards RUNBOOK=
    assert anchor == alert.name.removeprefix("Sensorstream").lower()
    assert anchor in anchors()


def anchors() -> set[str]:
    """The anchors that the headings of docs/operations.md get."""
    headings = re.findall(r"^#+ (.+)$", (ROOT / RUNBOOK).read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_into_the_operations_page_leads_somewhere() -> None:
    """Its own, and those in the descriptions of the templates' alarms."""
    linked = set(re.findall(r"\]\(#([^)]+)\)", (ROOT / RUNBOOK).read_text()))
    for template in (ROOT / "infra").glob("*.yaml"):
        linked |= set(re.findall(r"\$\{Runbook\}#([\w-]+)", template.read_text()))
    assert linked <= anchors()


def exposed() -> set[str]:
    """The names of all series that the service can have."""
    collected = Metrics()
    collected.registry.register(DaemonProcess(lambda: None))
    collected.registry.register(ContractCounters(Contracts()))
    register_gauges(collected)
    found = set()
    for family in (*collected.registry.collect(), *DaemonProcess(lambda: None).describe()):
        counter = family.type == "counter" or isinstance(family, CounterMetricFamily)
        found |= {f"{family.name}_total"} if counter else {family.name}
        found |= {sample.name for sample in family.samples}
    return found


def test_the_metrics_page_lists_every_metric_and_no_other() -> None:
    tables = (ROOT / "docs/metrics.md").read_text().partition("## /healthz")[0]
    first_cells = "".join(re.findall(r"^\| ([^|]+) \|", tables, re.MULTILINE))
    listed = {f"sensorstream_{name}" for name in re.findall(r"`([a-z_]+)(?:\{[a-z,]+\})?`", first_cells)}
    parts = re.compile(r"_(bucket|sum|count)$")
    assert listed == {parts.sub("", name) for name in exposed() if name.startswith("sensorstream_")} - {
        "sensorstream_build"
    }


@pytest.mark.parametrize("rule", rules("record") + ALERTS, ids=names(rules("record") + ALERTS))
def test_every_metric_of_a_rule_exists(rule: Rule) -> None:
    assert metrics(rule.expression) <= exposed() | set(names(rules("record"))) | {"up"}


def test_every_recorded_series_is_of_use() -> None:
    asked = [metrics(alert.expression) for alert in ALERTS]
    dashboards = "".join(path.read_text() for path in (ROOT / "config/grafana").rglob("*.json"))
    for rule in rules("record"):
        assert any(rule.name in each for each in asked) or rule.name in dashboards


def test_plain_times_are_written_as_multiples_of_a_minute() -> None:
    """So that the system test can run the same expressions faster (tests/system/prometheus.py)."""
    for rule in rules("record") + ALERTS:
        numbers = [float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", rule.expression)]
        assert all(number == 60 or number <= 10 for number in numbers), rule.name
