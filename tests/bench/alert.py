"""`python -m tests.bench.alert`: CPU of the alert function for an alert, with the emulator's SNS in another process."""

import importlib
import json
import os
import subprocess
import sys
import time

from infra.deploy.templates import DATA, INFRA, read
from infra.local.emulator import Emulator
from infra.local.process import LOCAL, ROOT

CALLS = 2_000


def measure(calls: int) -> dict[str, float]:
    """ms of CPU of the function's start with its first alert, and of each alert after it."""
    template = read(DATA)
    variables = template["Resources"]["AlertFunction"]["Properties"]["Environment"]["Variables"]
    given = {
        name: str(template["Parameters"].get(value["Ref"], {}).get("Default", "")) for name, value in variables.items()
    }
    with Emulator(log=LOCAL / "log/bench-emulator.log") as emulator:
        given["TOPIC_ARN"] = emulator.session().client("sns").create_topic(Name="alerts")["TopicArn"]
        environment = {"PATH": os.environ["PATH"], **emulator.variables(), **given}
        command = [sys.executable, "-m", "tests.bench.alert", str(calls)]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def called(calls: int) -> dict[str, float]:
    """The function in this process: loaded once and called many times, as Lambda does."""
    now = time.time_ns() // 1_000_000
    reading = {"humidity": 20.5, "timeStampEpoch": now, "sensorstreamDevice": "soilSensor1", "sensorstreamArrival": now}
    began = time.process_time()
    sys.path.insert(0, str(INFRA / "functions"))
    handler = importlib.import_module("alert.handler")
    handler.handle(reading, None)
    started = time.process_time()
    for _ in range(calls):
        handler.handle(reading, None)
    each = (time.process_time() - started) / calls
    return {"start_ms": round((started - began) * 1000), "alert_ms": round(each * 1000, 2)}


if __name__ == "__main__":
    print(json.dumps(called(int(sys.argv[1])) if sys.argv[1:] else measure(CALLS)))
