"""Every link of the documents into this repository leads to a file, and to a heading where it names one."""

import re
from pathlib import Path

import pytest

from config.grafana.parts import anchor
from infra.local.process import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
CURRENT = [page for page in PAGES if page.name != "CHANGELOG.md"]  # which names old files, too


def headings(page: Path) -> set[str]:
    """The anchors of a page, without what stands in its blocks of code."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return {anchor(heading.replace("`", "")) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, heading = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        led = (page.parent / path).resolve() if path else page
        assert led.exists(), target
        if heading and led.suffix == ".md":
            assert heading in headings(led), target


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`((?:config|consumer|docs|infra|producer|tests)/[\w./*-]+)`", page.read_text())
    assert {path for path in named if not list(ROOT.glob(path.rstrip("/")))} == set()
