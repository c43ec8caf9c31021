"""Faults of processes: signals to the service, its daemon, its connectors, or all of them at once."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.bench import SHUTDOWN_SECONDS, Bench, NotHeld
from tests.faults.case import Case
from tests.faults.http_faults import hanging, to


@contextmanager
def kill_daemon(bench: Bench) -> Iterator[None]:
    os.kill(bench.worker.daemon(), signal.SIGKILL)
    yield


@contextmanager
def kill_connector(bench: Bench) -> Iterator[None]:
    os.kill(bench.worker.connectors()[0], signal.SIGKILL)
    yield


@contextmanager
def kill_service(bench: Bench) -> Iterator[None]:
    """Nothing of it may go on; then it is started again, as a task's supervisor does."""
    others = bench.worker.everything()[1:]
    os.kill(bench.worker.pid, signal.SIGKILL)
    bench.until("daemon and connectors have ended too", lambda: not any(map(_lives, others)), 5)
    yield


def _lives(pid: int) -> bool:
    """Whether a process does anything; one that is stopped cannot even end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZXT"
    except OSError:
        return False


@contextmanager
def stop_service(bench: Bench) -> Iterator[None]:
    """Every shard commits in time: nothing of it is delivered again to the next life."""
    log = bench.worker.log_file
    bench.worker.signal(signal.SIGTERM)
    code = bench.worker.join(SHUTDOWN_SECONDS + 5)
    if code != 0 or "stopped; every shard committed" not in log.read_text():
        raise NotHeld(f"not committed after SIGTERM, exit code {code}")
    yield
    bench.worker.start(wait=False)


@contextmanager
def stop_with_hanging_sink(bench: Bench) -> Iterator[None]:
    with bench.proxy.fault(hanging(to("s3"))):
        time.sleep(3)  # so that archive objects wait for it
        began = time.monotonic()
        bench.worker.signal(signal.SIGTERM)
        code = bench.worker.join(SHUTDOWN_SECONDS + 10)
        took = time.monotonic() - began
        if code != 0 or took > SHUTDOWN_SECONDS + 5:
            raise NotHeld(f"exit code {code} {took:.0f} s after SIGTERM")
        yield
    bench.worker.start(wait=False)


@contextmanager
def stall(bench: Bench) -> Iterator[None]:
    """The whole worker stands still, as on a suspended machine; there is no other worker to take over."""
    go_on = bench.worker.pause()
    try:
        yield
    finally:
        go_on()


def nothing_again(bench: Bench) -> None:
    if again := bench.worker.metric("sensorstream_records_redelivered_total"):
        raise NotHeld(f"{again:g} records came again after a graceful stop")


CASES = (
    Case("kill-daemon", kill_daemon, mixable=True),
    Case("kill-connector", kill_connector, mixable=True),
    Case("kill-service", kill_service, mixable=True),
    Case("sigterm", stop_service, check=nothing_again),
    Case("stall", stall, seconds=30, mixable=True),
    Case("sigterm-hanging-sink", stop_with_hanging_sink),
)
