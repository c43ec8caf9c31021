"""The simulator's task as its definition describes it: the command, the settings, the credentials, and nothing else."""

import os
import subprocess
import sys
import time
from pathlib import Path

from infra.local.identity import settings_of
from infra.local.process import ROOT
from tests.component.strict import NAME, Strict, records

DEVICE = f"{NAME}-simulated-1"


def known(strict: Strict) -> bool:
    return DEVICE in [thing["thingName"] for thing in strict.client("iot").list_things()["things"]]


def test_the_simulators_task_publishes_and_takes_its_devices_away(strict: Strict, tmp_path: Path) -> None:
    family = f"{NAME}-simulator"
    found = strict.client("ecs").describe_task_definition(taskDefinition=family)["taskDefinition"]
    program, *arguments = found["containerDefinitions"][0]["command"]
    assert program == "python"
    ca = tmp_path / "iot.pem"
    ca.write_text(strict.emulator.ca())
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    here = {"DEVICES_DIR": str(tmp_path / "devices"), "TMPDIR": str(tmp_path), "IOT_CA_FILE": str(ca)}
    task = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**inherited, **settings_of(strict.emulator, family), **here},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not records(strict, strict.names["StreamName"], DEVICE):
            assert task.poll() is None, task.communicate()[0]
            assert time.monotonic() < deadline, "no reading"
            time.sleep(0.1)
        assert known(strict)
        task.terminate()
        said, _ = task.communicate(timeout=60)
        assert task.returncode == 0, said
    finally:
        task.kill()
        task.wait()
    assert not known(strict)
