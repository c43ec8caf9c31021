"""`make site`: it builds without a network, has every page, and a browser that reads it asks nobody else."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import expect

from infra.local.process import ROOT
from tests.browser import browsing

NOWHERE = "http://127.0.0.1:9"
OFFLINE = {"HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "NO_MKDOCS_2_WARNING": "1"}
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def built(root: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(ROOT / ".site/bin/mkdocs"), "build", "--site-dir", str(folder)]
    return subprocess.run(command, cwd=root, env=OFFLINE, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    assert (ROOT / ".site/ready").exists(), "make .site/ready"
    folder = tmp_path_factory.mktemp("site")
    done = built(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_every_page_has_its_place_in_the_navigation(site: Path) -> None:
    front = (site / "index.html").read_text()
    linked = set(re.findall(r'<a href="([^"#]+)" class="md-nav__link', front))
    assert linked == {f"{path.parent.relative_to(site)}/".replace("./", ".") for path in site.rglob("index.html")}
    assert len(linked) == len(PAGES) > 70


def test_what_a_page_says_is_in_the_index_of_the_search(site: Path) -> None:
    entries = json.loads((site / "search/search_index.json").read_text())["docs"]
    for word, page in {"ARCHIVE_MAX_SECONDS": "settings/", "lag_seconds": "metrics/", "make demo": ""}.items():
        assert any(word in entry["text"] for entry in entries if entry["location"].partition("#")[0] == page), word


def test_no_list_or_table_or_block_of_code_has_stayed_text(site: Path) -> None:
    for page in site.rglob("index.html"):
        text = re.sub(r"<(code|pre)\b.*?</\1>", "", page.read_text(), flags=re.DOTALL)
        paragraphs = "\n".join(re.findall(r"<p>(.*?)</p>", text, re.DOTALL))
        assert not re.search(r"^(- |1\. |\||```)", paragraphs, re.MULTILINE), page
        assert not re.search(r"<td>[^\n]*\\\|", page.read_text()), page


def test_a_page_that_the_table_of_contents_forgets_and_a_broken_link_fail_the_build(tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT / "docs", copy / "docs")
    for path in (*ROOT.glob("*.md"), ROOT / "mkdocs.yml", ROOT / "infra/docs/site.py"):
        (copy / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy / path.relative_to(ROOT))
    (copy / "docs/forgotten.md").write_text("# Forgotten\n\n[Nowhere](settings.md#nowhere)\n")
    done = built(copy, tmp_path / "site")
    assert done.returncode == 1
    assert "forgotten.md" in done.stderr
    assert "settings.md#nowhere" in done.stderr


def test_a_browser_finds_a_setting_and_asks_no_other_host(address: str) -> None:
    asked: list[str] = []
    with browsing() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="dark")
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/")
        expect(page.locator("body")).to_have_attribute("data-md-color-scheme", "slate")
        page.get_by_role("textbox", name="Search").fill("FAILOVER_SECONDS")
        page.locator(".md-search-result__link[href*='settings/']").first.click()
        page.wait_for_url("**/settings/**")
        for name in ("how-it-works", "performance", "devices/zigbee2mqtt"):
            page.goto(f"{address}/{name}/", wait_until="networkidle")
    assert len(asked) > 20
    assert {url for url in asked if not url.startswith((address, "data:", "blob:"))} == set()
