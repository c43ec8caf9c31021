"""A Prometheus as a child process, on loopback, and its configuration for one consumer."""

import urllib.request
from pathlib import Path
from typing import Any

import yaml

from infra.local.emulator import HOST, free_port
from infra.local.process import ROOT, Child, Running

CONFIG = ROOT / "config/prometheus"


def configuration(target: str, seconds: int) -> dict[str, Any]:
    """config/prometheus/prometheus-local.yml with this target (host:port), at this interval."""
    config: dict[str, Any] = yaml.safe_load((CONFIG / "prometheus-local.yml").read_text())
    config["global"] = {"scrape_interval": f"{seconds}s", "evaluation_interval": f"{seconds}s"}
    config["rule_files"] = [str(CONFIG / name) for name in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    return config


class Prometheus(Running):
    """Runs while it is entered. `data` is a folder of its own; LocalError when it does not get ready."""

    def __init__(self, config: Path, data: Path, log: Path, *options: str, port: int = 0) -> None:
        """At `port`, or at a free one."""
        port = port or free_port()
        self.url = f"http://{HOST}:{port}"
        command = [str(ROOT / ".local-prometheus/prometheus"), f"--config.file={config}", "--log.level=warn"]
        command += [f"--storage.tsdb.path={data}", f"--web.listen-address={HOST}:{port}", *options]
        self._child = Child("Prometheus", command, {}, log)

    def start(self) -> None:
        self._child.wait_until(self._ready, 60)

    def stop(self) -> None:
        self._child.stop(10)

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._child.exit_code()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:  # noqa: S310 - own address
                return bool(answer.status == 200)
        except OSError:
            return False
