"""What a request costs the query function itself: `python -m tests.bench.query` prints it for docs/query.md.

The handler runs in this process against the emulator. Its own time is the whole time without the wait for DynamoDB's
answers; where requests run at once, only its CPU time says something. Cold: the import with its client, in fresh
interpreters.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest import mock

import urllib3.connection

from infra.deploy.deployment import Deployment
from infra.deploy.templates import INFRA
from infra.local.emulator import Emulator

RUNS = 15
SPAN = "from=2026-11-22T00:00:00Z&to=2026-11-23T00:00:00Z&buckets=100"
REQUESTS = {
    "readings, 20": "/readings?device=hundred&limit=20",
    "readings, 100": "/readings?device=hundred&limit=100",
    "readings, 1000": "/readings?device=thousand&limit=1000",
    "series of 1,000 readings": f"/series?device=thousand&{SPAN}",
    "series of 5,000 readings": f"/series?device=most&{SPAN}",
    "latest of 50": "/latest?" + "&".join(f"device=listed{n}" for n in range(50)),
    "devices, 100": "/devices?limit=100",
}
ROWS = {"hundred": 100, "thousand": 1000, "most": 5000} | {f"listed{n}": 1 for n in range(50)}


def rows() -> Iterable[dict[str, Any]]:
    """Of the sensor table: a reading every second of each device, with a value and a measure of six digits."""
    for device, count in ROWS.items():
        for n in range(count):
            at, number = f"2026-11-22T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}.000Z", {"N": f"{20 + n / 7:.4f}"}
            measures = {"M": {"battery": number}}
            yield {"SensorId": {"S": device}, "Timestamp": {"S": at}, "Value": number, "Measures": measures}


def fill(client: Any, table: str, items: list[dict[str, Any]]) -> None:
    for n in range(0, len(items), 25):
        client.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": each}} for each in items[n : n + 25]]})


class Waited:
    """Seconds in which this process waited for answers."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._original = urllib3.connection.HTTPConnection.getresponse

    def getresponse(self, connection: Any) -> Any:
        begin = time.perf_counter()
        try:
            return self._original(connection)
        finally:
            self.seconds += time.perf_counter() - begin


def measure(handle: Any, target: str) -> tuple[float, float]:
    """Medians of the handler's own time and of its CPU time, in ms."""
    path, _, query = target.partition("?")
    event = {"rawPath": path, "rawQueryString": query, "requestContext": {"http": {"method": "GET"}}}
    own, cpu, waited = [], [], Waited()
    with mock.patch.object(urllib3.connection.HTTPConnection, "getresponse", lambda self: waited.getresponse(self)):
        for _ in range(RUNS):
            waited.seconds, begin, used = 0.0, time.perf_counter(), time.process_time()
            assert handle(event, None)["statusCode"] == 200
            own.append(time.perf_counter() - begin - waited.seconds)
            cpu.append(time.process_time() - used)
    return statistics.median(own) * 1000, statistics.median(cpu) * 1000


def cold(module: str) -> float:
    """CPU ms of a fresh interpreter until it has imported the module, without its own start."""
    program = f"import sys, time; sys.path.insert(0, {str(INFRA / 'functions')!r}); b = time.process_time(); "
    program += f"import {module}; print(time.process_time() - b)"
    runs = [float(subprocess.check_output([sys.executable, "-c", program])) for _ in range(RUNS)]
    return statistics.median(runs) * 1000


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Emulator(log=Path(folder) / "log") as emulator:
        os.environ |= emulator.variables()
        outputs = Deployment(emulator.session(), "bench", {"ShardCount": "1"}, poll_seconds=0.1).apply_data()
        os.environ |= {"SENSOR_TABLE": outputs["SensorTable"], "DEVICES_TABLE": outputs["DevicesTable"]}
        client = emulator.session().client("dynamodb")
        fill(client, outputs["SensorTable"], list(rows()))
        seen = {"Seen": {"S": "2026-11-22T00:00:00.000Z"}, "Timestamp": {"S": "2026-11-22T00:00:00.000Z"}}
        listed = ({"Bucket": {"N": str(n % 16)}, "SensorId": {"S": f"listed{n}"}} | seen for n in range(200))
        fill(client, outputs["DevicesTable"], list(listed))
        from infra.functions.api.handler import handle

        for name, target in REQUESTS.items():
            own, cpu = measure(handle, target)
            print(f"{name:28} own {own:7.1f} ms   CPU {cpu:7.1f} ms", flush=True)
        for module in ("api.handler", "boto3"):
            print(f"import {module:21} CPU {cold(module):7.1f} ms", flush=True)


if __name__ == "__main__":
    main()
