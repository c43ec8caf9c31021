"""The most memory that the workers needed while something went on."""

import threading
from typing import Self

from tests.faults.bench import Bench

SERVICE_MB, DAEMON_MB = 256.0, 512.0
"""What a worker may need at the most; the daemon has a heap of 256."""


class Memory:
    """A context that looks twice a second."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._service = self._daemon = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            for worker in list(self._bench.workers):
                service, daemon = worker.memory()
                self._service, self._daemon = max(self._service, service), max(self._daemon, daemon)

    @property
    def bounded(self) -> bool:
        """Invariant 5: whatever comes, however much of it."""
        return self._service <= SERVICE_MB and self._daemon <= DAEMON_MB

    def most(self) -> dict[str, float]:
        return {"service_rss_mb": self._service, "daemon_rss_mb": self._daemon}
