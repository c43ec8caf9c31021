"""CPU time of decoding, per reading: these contracts beside the code of another revision.

    python -m tests.bench.decode [REVISION]

Both run in turns, so that a busy machine slows both. The least of all rounds counts.
"""

import importlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from consumer.payload.contract import Contract
from consumer.payload.contracts import DEFAULT, Contracts
from consumer.payload.decode import decode

BEFORE = "55e61cd"
"""The last revision without contracts."""
ROUNDS, CALLS = 25, 20_000
ARRIVAL = 1_795_344_497_000
SECOND = b'{"name":"soil-17","humidity":20.1,"timeStampEpoch":1795344496123,"timeStampIso":"2026-11-22T10:48:16"}'
FIRST = b'{"sensorid":"soil-17","value":"20.1","timestamp":"2026-11-22T10:48:16.123Z"}'
NESTED = b'{"tracker":{"id":"t1"},"fix":{"speed":12.5,"at":1795344496123,"lat":50.123456},"battery":3.70}'
PLACED = Contracts([Contract(device="tracker.id", time="fix.at", value="fix.speed")])
MEASURED = Contracts([Contract(device="tracker.id", time="fix.at", value="fix.speed", measures=["fix.lat", "battery"])])
TOPIC = Contracts([Contract(device="$partitionKey", time="$arrival", value="humidity")])


def former(revision: str, folder: Path) -> ModuleType:
    """The payload module of a revision that had one file for it, and one for values."""
    for name in ("values", "reading"):
        source = subprocess.run(
            ["git", "show", f"{revision}:consumer/payload/{name}.py"], check=True, capture_output=True, text=True
        ).stdout
        (folder / f"former_{name}.py").write_text(source.replace("consumer.payload.", "former_"))
    sys.path.insert(0, str(folder))
    return importlib.import_module("former_reading")


def least(calls: Sequence[Callable[[], object]], count: int) -> list[float]:
    """Microseconds of each call, the least of all rounds."""
    found = [float("inf")] * len(calls)
    for _ in range(ROUNDS):
        for place, call in enumerate(calls):
            began = time.process_time()
            for _ in range(count):
                call()
            found[place] = min(found[place], (time.process_time() - began) / count * 1e6)
    return found


def main(revision: str) -> None:
    with TemporaryDirectory() as folder:
        old: Any = former(revision, Path(folder))
    tracker = {"device": ("tracker", "id"), "value": ("fix", "speed"), "time": ("fix", "at")}
    placed, measured = old.Fields(**tracker), old.Fields(**tracker, measures=(("fix", "lat"), ("battery",)))
    array = b"[" + b",".join([SECOND] * 100) + b"]"
    rows = [
        ("second generation", SECOND, DEFAULT, old.DEFAULT, 1),
        ("first generation", FIRST, DEFAULT, old.DEFAULT, 1),
        ("array of 100", array, DEFAULT, old.DEFAULT, 100),
        ("dotted paths", NESTED, PLACED, placed, 1),
        ("dotted paths, 2 measures", NESTED, MEASURED, measured, 1),
        ("device and time of the record", SECOND, TOPIC, old.DEFAULT, 1),
    ]
    sys.stdout.write(f"{'us per reading':32}{revision:>10}{'now':>10}{'ratio':>8}\n")
    for name, data, contracts, fields, readings in rows:
        calls = [partial(old.decode, data, fields), partial(decode, data, contracts, "soil-17", ARRIVAL)]
        before, now = (each / readings for each in least(calls, CALLS // readings))
        sys.stdout.write(f"{name:32}{before:10.2f}{now:10.2f}{now / before:8.2f}\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else BEFORE)
