"""The console as a person has it: the command in one of the roles, and its page in a real browser."""

import http.cookiejar
import os
import queue
import re
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page

from infra.local.process import ROOT
from tests.system.conftest import System

AXE = Path(__file__).with_name("axe") / "axe.min.js"
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)/\?token=\S+")
PATIENCE = 60_000  # ms for what a busy machine may take


@dataclass
class Console:
    """A running command; `addresses` are those that it has printed and that were not opened yet."""

    addresses: "queue.Queue[str]"
    process: "subprocess.Popen[str]"

    def open(self, browser: Browser, path: str = "", **context: object) -> Page:
        """A page in a browser of its own, entered by the next address. An error in it fails the test at its close."""
        page = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **context}).new_page()  # type: ignore[arg-type]
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._said)
        address = self.addresses.get(timeout=30)
        page.goto(address)
        if path:
            page.goto(f"{address.partition('?')[0]}{path}")
        page.locator("h1").wait_for()
        return page

    def __post_init__(self) -> None:
        self.errors: list[str] = []

    def _said(self, message: ConsoleMessage) -> None:
        """What the browser itself complains of: a violated policy, a missing file. Answers of errors are expected."""
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)


@contextmanager
def console(system: System, role: str, **variables: str) -> Iterator[Console]:
    """The command in a role of the stack; `variables` take the place of the stack's own."""
    with launched([], {**os.environ, **system.stack.as_role(role), **variables}) as running:
        yield running


@contextmanager
def launched(options: list[str], env: dict[str, str]) -> Iterator[Console]:
    """The command on a free port."""
    command = [str(ROOT / ".venv/bin/python"), "-m", "producer", "console", "--port", "0", "--no-open", *options]
    env = {**env, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    running = Console(queue.Queue(), process)
    reader = threading.Thread(target=_read, args=(process, running.addresses), daemon=True)
    reader.start()
    try:
        yield running
    finally:
        process.terminate()
        assert process.wait(20) == 0
        reader.join()
        assert process.stdout
        process.stdout.close()
    assert running.errors == []


def _read(process: "subprocess.Popen[str]", addresses: "queue.Queue[str]") -> None:
    assert process.stdout
    for line in process.stdout:
        if found := ADDRESS.search(line):
            addresses.put(found[0])


def asked(said: str, path: str) -> Any:
    """The answer to who has opened the address that the console has printed last, and asks for a path of its API."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    *_, address = ADDRESS.finditer(said)
    browser.open(address[0], timeout=30).close()
    return browser.open(address[1] + path, timeout=30)


def pictures(folder: Path) -> Path:
    """Where the pictures of the page go: into docs/console with make screenshots, else into that folder."""
    found = Path(os.environ.get("CONSOLE_SCREENSHOTS") or folder)
    found.mkdir(exist_ok=True)
    return found


def findings(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it is."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run().then(({ violations }) => violations)")
    return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]]
