"""What contributors and the code host are offered: the workflow, forms, updates and hooks fit this checkout."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.local.process import ROOT

GITHUB = ROOT / ".github"
WORKFLOW = GITHUB / "workflows/ci.yml"
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
PAGE = (ROOT / "CONTRIBUTING.md").read_text()


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_the_workflow_runs_what_a_checkout_runs_on_all_pythons_and_both_processors() -> None:
    job = load(WORKFLOW)["jobs"]["run"]
    matrix = job["strategy"]["matrix"]
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert matrix["python"] == ["3.11", "3.12", "3.13"]
    assert matrix["machine"] == ["ubuntu-24.04", "ubuntu-24.04-arm"]
    assert f'requires-python = ">={matrix["python"][0]}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit_and_says_its_version(workflow: Path) -> None:
    used = re.findall(r"uses: (.+)", workflow.read_text())
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_but_for_the_job_that_publishes_the_site(workflow: Path) -> None:
    found = load(workflow)
    assert found["permissions"] == {"contents": "read"}
    assert [name for name, job in found["jobs"].items() if "permissions" in job] in ([], ["publish"])


def test_the_site_is_published_from_main_only() -> None:
    assert load(GITHUB / "workflows/site.yml")["jobs"]["publish"]["if"] == "github.ref == 'refs/heads/main'"


@pytest.mark.parametrize("update", load(GITHUB / "dependabot.yml")["updates"], ids=lambda update: str(update))
def test_updates_are_looked_for_where_there_are_dependencies(update: dict[str, Any]) -> None:
    folder = ROOT / update["directory"].lstrip("/")
    kept = {"pip": ["pyproject.toml", "*.in"], "docker": ["Dockerfile"], "github-actions": [".github/workflows/*.yml"]}
    assert [found for pattern in kept[update["package-ecosystem"]] for found in folder.glob(pattern)]


@pytest.mark.parametrize("form", sorted(GITHUB.glob("ISSUE_TEMPLATE/*[!g].yml")), ids=lambda form: form.name)
def test_a_form_asks_for_something_and_for_the_version(form: Path) -> None:
    found = load(form)
    fields = [field for field in found["body"] if field["type"] != "markdown"]
    assert found["name"]
    assert found["description"]
    assert len({field["id"] for field in fields}) == len(fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_hooks_call_the_checks_of_make_so_that_no_version_differs() -> None:
    [repository] = load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    assert {hook["entry"] for hook in repository["hooks"]} == {"make lint", "make types"}
    assert {"lint", "types"} <= TARGETS


def test_the_commands_for_contributors_exist() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", PAGE, re.MULTILINE))
    assert len(named) >= 10
    assert named <= TARGETS
