"""Every setting of the consumer can be set by a deployment: settings.py, service.yaml and docs/settings.md agree."""

import dataclasses
import re
from typing import Any

import pytest

from consumer.settings import Settings, SettingsError
from infra.deploy.templates import INFRA
from infra.docs.settings import parameters
from tests.unit.policies import TEMPLATES

SERVICE = TEMPLATES["service"]
PAGE = (INFRA.parent / "docs/settings.md").read_text()
REQUIRED = {"STREAM_NAME": "stream", "SENSOR_TABLE": "table", "ARCHIVE_BUCKET": "bucket", "AWS_REGION": "xx-north-1"}
SETTINGS = {field.name.upper(): field for field in dataclasses.fields(Settings)}
[CONTAINER] = SERVICE["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
GIVEN: dict[str, Any] = {each["Name"]: each["Value"] for each in CONTAINER["Environment"]}
CHOSEN = parameters()
NARROWER = {"JAVA_HEAP_MB": "a task has 8 GiB at most here"}


def test_the_environment_of_the_task_is_read() -> None:
    assert CHOSEN["ARCHIVE_MAX_SECONDS"] == "ArchiveMaxSeconds"
    assert GIVEN.keys() - SETTINGS.keys() == {"TMPDIR"} | {name for name in GIVEN if name.startswith("AWS_ACCOUNT")}


def listed(heading: str) -> set[str]:
    """The variables in the table under a heading of the page."""
    section = PAGE.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_the_page_says_of_each_setting_without_a_parameter_why_it_has_none() -> None:
    assert listed("By the template") == (GIVEN.keys() & SETTINGS.keys()) - CHOSEN.keys()
    assert listed("Not in a deployment") == SETTINGS.keys() - GIVEN.keys()


def load(**variables: str) -> Settings:
    return Settings.load(REQUIRED | variables)


@pytest.mark.parametrize(("name", "parameter"), CHOSEN.items(), ids=CHOSEN)
def test_default_and_bounds_are_those_of_the_setting(name: str, parameter: str) -> None:
    declared, attribute = SERVICE["Parameters"][parameter], name.lower()
    if name != "READING_CONTRACTS" or declared["Default"]:
        assert getattr(load(**{name: str(declared["Default"])}), attribute) == getattr(load(), attribute)
    for value in declared.get("AllowedValues", ()):
        load(**{name: str(value)})
    assert ("MinValue" in declared) == (declared["Type"] == "Number")
    if "MinValue" in declared:
        load(**{name: str(declared["MinValue"])}), load(**{name: str(declared["MaxValue"])})
        with pytest.raises(SettingsError):
            load(**{name: str(declared["MinValue"] - 1)})
        if name not in NARROWER:
            with pytest.raises(SettingsError):
                load(**{name: str(declared["MaxValue"] + 1)})


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("INITIAL_POSITION", ["TRIM_HORIZON", "AT_TIMESTAMP:2026-11-22T10:48:16Z", "AT_TIMESTAMP:2026-11-22T10:48+01"],
         ["LATEST", "AT_TIMESTAMP:2026-11-22", "AT_TIMESTAMP:2026-11-22T10:48:16", ""]),
        ("CLOUDWATCH_NAMESPACE", ["Sensor", "Fleet/One", "office"], ["AWS/Sensor", "off", "a b", ""]),
    ],
)  # fmt: skip
def test_a_parameter_takes_no_text_that_the_setting_refuses(name: str, good: list[str], bad: list[str]) -> None:
    """`off` is a setting, but would leave the deployment's alarms without anything to go by."""
    pattern = SERVICE["Parameters"][CHOSEN[name]]["AllowedPattern"]
    assert [text for text in good if not re.search(pattern, text)] == []
    assert [text for text in bad if re.search(pattern, text)] == []
    for text in good:
        load(**{name: text})


def test_every_setting_that_the_documents_name_is_set_or_explained() -> None:
    pages = "".join(page.read_text() for page in (INFRA.parent / "docs").glob("*.md") if page.name != "settings.md")
    named = {name for name in re.findall(r"`([A-Z][A-Z_]+)`", pages) if name in SETTINGS}
    assert {"ARCHIVE_MAX_SECONDS", "TABLE_CONCURRENCY", "FAILOVER_SECONDS"} <= named
    assert named <= CHOSEN.keys() | listed("By the template") | listed("Not in a deployment")
