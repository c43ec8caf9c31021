"""A short life of the local stack under a real Prometheus, with two faults in it."""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.dashboards.pictures.ask import Window
from infra.local.process import LOCAL, ROOT
from infra.local.prometheus import Prometheus, configuration
from infra.local.stack import LocalStack

FOLDER = LOCAL / "pictures"
SCRAPE_SECONDS = 2
INTERVAL = "20s"  # of rates; Grafana takes four scrapes at least
SETTLED, KILLED, RUBBISH, CLEAN, END = 20, 80, 150, 190, 240  # seconds since the fleet began to send
DEVICES, RATE = 200, 300
NOTE = (
    f"{END // 60} minutes of the local stack (2 shards, one worker): {DEVICES} devices, {RATE} readings a second. "
    f"After {KILLED} s the KCL daemon is killed; from {RUBBISH} to {CLEAN} s half of 200 more a second are rubbish."
)


def scraping(consumer_url: str) -> Prometheus:
    """Scrapes one consumer, with the committed rules, while it is entered."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    config = FOLDER / "prometheus.json"
    config.write_text(json.dumps(configuration(consumer_url.removeprefix("http://"), SCRAPE_SECONDS)))
    return Prometheus(config, _empty(FOLDER / "data"), LOCAL / "log/prometheus.log")


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def live(stack: LocalStack) -> Window:
    """Lets a fleet send and the faults happen; returns the time that is worth looking at."""
    with _fleet(stack, "--devices", str(DEVICES), "--rate", str(RATE), "--malformed", "0"):
        began = time.time()
        _wait(began + KILLED, "a fleet sends")
        os.kill(_daemon(stack), signal.SIGKILL)
        _wait(began + RUBBISH, "the daemon is killed")
        with _fleet(stack, "--devices", "20", "--prefix", "faulty", "--rate", "200", "--malformed", "0.5"):
            _wait(began + CLEAN, "half of 200 more readings a second are rubbish")
        _wait(began + END, "they are no more")
    return Window(began + SETTLED, began + END)


def _wait(until: float, what: str) -> None:
    print(f"{what}: {until - time.time():.0f} s", flush=True)
    time.sleep(max(0.0, until - time.time()))


def _daemon(stack: LocalStack) -> int:
    with urllib.request.urlopen(f"{stack.consumer_url}/shards", timeout=5) as answer:  # noqa: S310 - own address
        return int(json.load(answer)["daemonPid"])


@contextmanager
def _fleet(stack: LocalStack, *options: str) -> Iterator[None]:
    """A simulator that sends as long as the block lasts."""
    command = [str(ROOT / ".venv/bin/python"), "-m", "producer", "simulate", "--via", "kinesis", "--for", "3600"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | stack.env
    log = (LOCAL / "log/simulator.log").open("ab")
    with log, subprocess.Popen([*command, *options], cwd=ROOT, env=env, stdout=log, stderr=log) as process:
        try:
            yield
        finally:
            process.terminate()
