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


def chromium() -> str:
    """The path of Debian's chromium; as root it is installed if it is missing."""
    if not (found := shutil.which("chromium")) and os.geteuid() == 0 and shutil.which("apt-get"):
        for words in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            done = subprocess.run(["apt-get", "-qq", *words], capture_output=True, text=True, timeout=600, check=False)
            assert done.returncode == 0, f"apt-get {' '.join(words)}: {done.stderr}"
        found = shutil.which("chromium")
    assert found, "tests in a browser need chromium in the PATH; on Debian: apt-get install chromium"
    return found


@contextmanager
def browsing() -> Iterator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()
