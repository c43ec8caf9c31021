"""A Prometheus as a child process, on a free port of loopback."""

import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local.emulator import HOST, free_port
from infra.local.process import ROOT, Child


class Prometheus:
    """Runs while it is entered. `data` is a folder of its own; LocalError when it does not get ready."""

    def __init__(self, config: Path, data: Path, log: Path, *options: str) -> None:
        port = free_port()
        self.url = f"http://{HOST}:{port}"
        command = [str(ROOT / ".local-prometheus/prometheus"), f"--config.file={config}", "--log.level=warn"]
        command += [f"--storage.tsdb.path={data}", f"--web.listen-address={HOST}:{port}", *options]
        self._child = Child("Prometheus", command, {}, log)

    def __enter__(self) -> Self:
        try:
            self._child.wait_until(self._ready, 60)
        except BaseException:
            self._child.stop(1)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.stop(10)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:  # noqa: S310 - own address
                return bool(answer.status == 200)
        except OSError:
            return False
