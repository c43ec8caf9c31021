"""A deploy with wrong settings: nearly all readings are rejected until it is noticed."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from infra.local.process import ROOT
from tests.faults.bench import SHUTDOWN_SECONDS, Bench, NotHeld
from tests.faults.case import IN_PLACE, Case

WRONG = {"READING_CONTRACTS": '[{"device":"tracker.id","value":"fix.speed","time":"fix.at"}]'}


@contextmanager
def wrong_deploy(bench: Bench) -> Iterator[None]:
    worker, right = bench.worker, bench.worker.env
    _deploy(bench, {**right, **WRONG})
    yield
    rejected = worker.metric("sensorstream_readings_rejected_total")
    if not rejected or worker.metric("sensorstream_rows_written_total"):
        raise NotHeld(f"{rejected:g} rejects by settings that fit nothing")
    _deploy(bench, right)


def _deploy(bench: Bench, env: dict[str, str]) -> None:
    worker = bench.worker
    worker.signal(signal.SIGTERM)
    worker.join(SHUTDOWN_SECONDS + 5)
    worker.env = env
    worker.start(wait=False)
    bench.until("the deploy serves all shards", bench.all_served, 60)


def redrive(bench: Bench) -> None:
    """Sends what was rejected for the settings' sake once more, as an operator would."""
    command = [str(ROOT / ".venv/bin/python"), "-m", "producer", "redrive", "--send", "--readable", "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **bench.local.env}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NotHeld(f"redrive: {done.stderr.strip() or done.stdout.strip()}")
    bench.view.say(f"redrive: {done.stdout.strip()}")


CASES = (
    Case(
        "wrong-deploy",
        wrong_deploy,
        seconds=60,
        within=2 * IN_PLACE,
        fix=redrive,
        # In the archive the first copy of each stays what it was: rejected.
        excused=("reject_different",),
    ),
)
