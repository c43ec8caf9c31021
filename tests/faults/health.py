"""Asks every worker's /healthz again and again while a fault lasts, as what runs the tasks does."""

import threading
from typing import Self

from tests.faults.bench import Bench

EVERY = 0.5


class Health:
    """A context; `failed` holds the answers that would count towards a replacement of the container."""

    def __init__(self, bench: Bench) -> None:
        self.failed: list[str] = []
        self._bench = bench
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="health", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._over.wait(EVERY):
            for worker in list(self._bench.workers):
                answer = worker.health()
                if answer and answer[0] != 200:
                    self.failed.append(f"{worker.name}: {answer}")
