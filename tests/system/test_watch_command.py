"""`sensorstream watch`: messages on the wire, by a certificate that may do nothing else."""

import json
import os
import queue
import signal
import subprocess
import threading

from infra.local.process import ROOT
from tests.system.conftest import System, wait_for


def test_messages_are_shown_as_they_pass_and_nothing_is_left(system: System) -> None:
    system.wait(system.start("provision", "--devices", "1", "--prefix", "watched-"))
    iot, stack = system.client("iot"), system.stack.options.name
    env = {**os.environ, **system.stack.as_role("deployer"), "PYTHONUNBUFFERED": "1"}
    command = [str(ROOT / ".venv/bin/python"), "-m", "producer", "watch", "device/#", "--json"]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        assert process.stdout
        for line in process.stdout:
            lines.put(line)

    def targets() -> list[str]:
        found: list[str] = iot.list_targets_for_policy(policyName=system.stack.outputs["WatchPolicy"])["targets"]
        return found

    reader = threading.Thread(target=read)
    reader.start()
    try:
        wait_for(targets, "certificate")
        load = ["--devices", "1", "--prefix", "watched-", "--rate", "5", "--for", "8"]
        simulator = system.start("simulate", *load, "--json")
        heard = json.loads(lines.get(timeout=60))
        assert heard["topic"] == "device/watched-1/devicePayload"
        assert json.loads(heard["text"])["name"] == "watched-1"
        system.finish(simulator)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        reader.join()
        assert process.stdout
        process.stdout.close()
    assert targets() == []
    assert [each["thingName"] for each in iot.list_things()["things"] if f"{stack}-watch-" in each["thingName"]] == []


def test_a_filter_that_is_not_of_the_deployment_is_refused_in_one_line(system: System) -> None:
    command = [str(ROOT / ".venv/bin/python"), "-m", "producer", "watch", "elsewhere/#"]
    env = {**os.environ, **system.stack.as_role("deployer")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "elsewhere/#" in done.stderr
