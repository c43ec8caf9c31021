"""A real browser: Debian's chromium, without a window."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium(own: str) -> str:
    """The path of the system's chromium, else `own`, which is playwright's; on Debian root installs what is missing."""
    found = shutil.which("chromium") or shutil.which(own)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for words in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            done = subprocess.run(["apt-get", "-qq", *words], capture_output=True, text=True, timeout=600, check=False)
            assert done.returncode == 0, f"apt-get {' '.join(words)}: {done.stderr}"
        found = shutil.which("chromium")
    assert found, "tests in a browser need chromium in the PATH, or: .venv/bin/playwright install chromium"
    return found


@contextmanager
def browsing() -> Iterator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        kind = playwright.chromium
        browser = kind.launch(executable_path=chromium(kind.executable_path), args=FLAGS)
        yield browser
        browser.close()
