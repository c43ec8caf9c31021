"""One worker of the consumer: the service, its daemon, its connectors; and what can be done to them from outside."""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from infra.local.emulator import HOST, free_port
from infra.local.live import resident
from infra.local.process import LOCAL, ROOT, Child
from infra.local.stack import health

READY_SECONDS = 240.0
STOP_SECONDS = 40.0


class Worker:
    """Started again, it is the same worker: its id and its folder stay."""

    def __init__(self, name: str, run_dir: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.run_dir = run_dir
        self.env: dict[str, str] = {"WORKER_ID": name, "RUN_DIR": str(run_dir), "HTTP_HOST": HOST, **env}
        self.launcher: list[str] = []
        """What starts the service's command, such as a program that sets limits."""
        self.command = [str(ROOT / ".venv/bin/python"), "-m", "consumer"]
        self.url = ""
        self.pid = 0
        self.lives = 0
        self._child: Child | None = None

    def start(self, wait: bool = True) -> None:
        """With `wait` it returns when the worker calls itself healthy."""
        self.stop()  # what is left of an earlier life
        self.lives += 1
        port = free_port()
        self.url = f"http://{HOST}:{port}"
        self._child = Child(
            self.name, [*self.launcher, *self.command], {**self.env, "HTTP_PORT": str(port)}, self.log_file
        )
        self._child.wait_until(lambda: self.state() is not None, 30)
        self.pid = int(self.require()["pid"])
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        assert self._child
        self._child.wait_until(lambda: health(self.url)[0], READY_SECONDS)

    @property
    def log_file(self) -> Path:
        """What it logs in this life."""
        return LOCAL / f"log/{self.name}-{self.lives}.log"

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.exit_code() is None

    def state(self) -> dict[str, Any] | None:
        """The document of /shards; None when it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/shards", timeout=2) as answer:  # noqa: S310 - own address
                document: dict[str, Any] = json.loads(answer.read())
                return document
        except (OSError, ValueError):
            return None

    def require(self) -> dict[str, Any]:
        """The same; a worker that must answer now."""
        state = self.state()
        assert state is not None, f"{self.name} does not answer"
        return state

    def health(self) -> tuple[int, dict[str, Any]] | None:
        """Status and body of /healthz; None when it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:  # noqa: S310 - own address
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except (OSError, ValueError):
            return None

    def metric(self, name: str, **labels: str) -> float:
        """Sum of a metric's samples with these labels in this life of the service."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as answer:  # noqa: S310 - own address
            families = list(text_string_to_metric_families(answer.read().decode()))
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def shards(self) -> set[str]:
        """The shards that it serves."""
        state = self.state()
        return {shard["shard"] for shard in state["shards"] if shard["live"]} if state else set()

    def daemon(self) -> int:
        """Process id of the daemon, also of one that stands still; waits for one."""
        deadline = time.monotonic() + 60
        while not (found := [pid for pid in children(self.pid) if group(pid)]):
            assert time.monotonic() < deadline, f"{self.name} has no daemon"
            time.sleep(0.05)
        return found[0]

    def connectors(self) -> list[int]:
        """Process ids of the connectors; waits for one."""
        deadline = time.monotonic() + 60
        while not (found := [pid for pid in group(self.daemon()) if pid != self.daemon()]):
            assert time.monotonic() < deadline, f"{self.name} has no connectors"
            time.sleep(0.05)
        return found

    def everything(self) -> list[int]:
        """Service, daemon and connectors."""
        return [self.pid, *group(self.daemon())]

    def signal(self, number: int) -> None:
        """To the service alone."""
        assert self.pid, f"{self.name} has not begun to answer"  # 0 would be ourselves, and all around us
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL for the service; the daemon and the connectors have to see to their own end."""
        self.signal(signal.SIGKILL)
        self.join(10)

    def pause(self) -> Callable[[], None]:
        """SIGSTOP for all of it; returns what lets it go on."""
        stopped = self.everything()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)

        def go_on() -> None:
            for pid in stopped:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

        return go_on

    def memory(self) -> tuple[float, float]:
        """Resident MiB of the service and of the daemon, 0 for what does not run."""
        state = self.state() or {}
        return resident(state.get("pid")) or 0.0, resident(state.get("daemonPid")) or 0.0

    def join(self, seconds: float) -> int:
        """Waits for the service's end; returns its exit code (128 + n for signal n)."""
        assert self._child
        deadline = time.monotonic() + seconds
        while self._child.exit_code() is None:
            assert time.monotonic() < deadline, f"{self.name} has not ended after {seconds:g} s"
            time.sleep(0.02)
        return self.stop()

    def stop(self) -> int:
        """SIGTERM, and whatever else it takes; returns the exit code, 0 also where none runs."""
        child, self._child = self._child, None
        return child.stop(STOP_SECONDS) if child else 0


def group(leader: int) -> list[int]:
    """The living processes of a process group."""
    return [pid for pid, _, its_group in _processes() if its_group == leader]


def children(parent: int) -> list[int]:
    """The living processes that a process has started itself."""
    return [pid for pid, its_parent, _ in _processes() if its_parent == parent]


def _processes() -> list[tuple[int, int, int]]:
    """Process, parent and group of every living process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if fields[0] not in "ZX":
            found.append((int(entry.parent.name), int(fields[1]), int(fields[2])))
    return sorted(found)
