"""A storm of alerts: every device of a fleet is under the threshold within one minute, stays so, and recovers.

    python -m tests.bench.storm [DEVICES]

The alert function's own code in this process, with the emulator's DynamoDB in another. CPU, since the wall clock
belongs to whatever else runs; Lambda gives a function of 512 MB 29 % of a CPU. While readings come the clock stands
still, so all are of one minute; in the minute's calls it runs, so that their limits of time count.
"""

import json
import resource
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest import mock

from infra.functions.alert import minute
from infra.functions.alert.fleet import BUCKETS, iso
from infra.local.emulator import Emulator
from tests.component.alert_rig import Rig

POLICY: Final = json.dumps({"rules": [{"name": "dry", "hysteresis": 3}], "digest": 5})
LIMIT: Final = 50
"""s of the function's timeout with a policy."""
SHARE: Final = 512 / 1769
"""Of a CPU, for a function of 512 MB."""
MAX_MINUTES: Final = 30


@dataclass(frozen=True, slots=True)
class Phase:
    """What some calls of the function took, and told. Units are DynamoDB's."""

    name: str
    calls: int
    cpu_s: float
    telling_cpu_s: float  # of a minute's call: without looking at devices
    seconds: float
    requests: int
    read_units: float
    write_units: float
    single: int
    digests: int
    in_digests: int

    def as_row(self) -> str:
        each = [self.cpu_s * 1000 / self.calls, self.requests / self.calls]
        each += [self.read_units / self.calls, self.write_units / self.calls]
        told = [self.single, self.digests, self.in_digests]
        figures = [f"{self.calls:,}", *(f"{figure:,.1f}" for figure in each), *(f"{count:,}" for count in told)]
        return f"| {self.name} | {' | '.join(figures)} |"


HEAD: Final = """\
| | calls | CPU ms a call | requests | read units | write units | single messages | digests | notices in them |
|---|--:|--:|--:|--:|--:|--:|--:|--:|"""


class Meter:
    """Requests to DynamoDB and the units that they took, of all that a client does."""

    def __init__(self, client: Any) -> None:
        self.requests = 0
        self.units = Counter[str]()
        client.meta.events.register("provide-client-params.dynamodb", self._ask)
        client.meta.events.register("after-call.dynamodb", self._add)

    def _ask(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        if "ReturnConsumedCapacity" in model.input_shape.members:
            params["ReturnConsumedCapacity"] = "TOTAL"
        if model.name == "BatchGetItem":  # of which the emulator says nothing: one unit each, as they are consistent
            self.units["read"] += sum(len(each["Keys"]) for each in params["RequestItems"].values())

    def _add(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        self.requests += 1
        consumed = parsed.get("ConsumedCapacity", []) if model.name != "BatchGetItem" else []
        kind = "read" if model.name in ("GetItem", "Query") else "write"
        for each in consumed if isinstance(consumed, list) else [consumed]:
            self.units[kind] += each["CapacityUnits"]


class Storm:
    """A fleet, and the function that it calls."""

    def __init__(self, rig: Rig, devices: int) -> None:
        self._rig, self._function, self._meter = rig, rig.function(), Meter(rig.client)
        self._devices = [f"soil{n}" for n in range(devices)]
        self.phases: list[Phase] = []
        self.telling = 0.0

    def run(self) -> list[Phase]:
        """All below, twice; then all above, until the last recovery was told."""
        self.readings("first reading under it", "20")
        self.minute("minute's call: tells")
        self.readings("each further reading", "19")
        self.minute("minute's call: all stay")
        self._rows("50")
        while any(self._rig.rows("outbox")) or any(row["Open"]["BOOL"] for row in self._rig.rows("state")):
            self.minute(f"minute's call: recovery {len(self.phases) - 3}")
            if len(self.phases) > MAX_MINUTES:
                raise TimeoutError(f"{MAX_MINUTES} minutes and not all recoveries were told")
        return self.phases

    def readings(self, name: str, value: str) -> None:
        """One reading of each device, in one minute."""
        self._rows(value)
        with self._measured(name, len(self._devices)):
            for device in self._devices:
                self._function.reading(device, Decimal(value), value, self._rig.now)

    def minute(self, name: str) -> None:
        """The schedule's next call."""
        self._rig.now += 60_000
        began, now = time.perf_counter(), self._rig.now
        self._function.clock = lambda: now + int((time.perf_counter() - began) * 1000)
        with self._measured(name, 1), mock.patch.object(minute, "_tell", partial(self._tell, minute._tell)):
            if not minute.run(self._function):
                raise RuntimeError("another call is under way")
        self._rig.now = self._function.clock()
        self._function.clock = lambda: self._rig.now

    def _tell(self, tell: Callable[..., None], *given: Any) -> None:
        began = time.process_time()
        tell(*given)
        self.telling += time.process_time() - began

    @contextmanager
    def _measured(self, name: str, calls: int) -> Iterator[None]:
        """What is done within becomes a Phase."""
        published, requests, units = len(self._rig.published), self._meter.requests, +self._meter.units
        began, cpu, self.telling = time.perf_counter(), time.process_time(), 0.0
        yield
        cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
        told = [
            {name: each["StringValue"] for name, each in message["MessageAttributes"].items()}
            for message in self._rig.published[published:]
        ]
        counts = [int(each["count"]) for each in told if each["state"] == "digest"]
        self.phases.append(
            Phase(
                name, calls, cpu, self.telling, seconds, self._meter.requests - requests,
                self._meter.units["read"] - units["read"], self._meter.units["write"] - units["write"],
                len(told) - len(counts), len(counts), sum(counts),
            )
        )  # fmt: skip

    def _rows(self, value: str) -> None:
        """What the consumer writes of a reading of each device."""
        self._rig.now += 1
        seen = iso(self._rig.now)
        for i in range(0, len(self._devices), 25):
            requests: dict[str, list[Any]] = {self._rig.names["rows"]: [], self._rig.names["devices"]: []}
            for device in self._devices[i : i + 25]:
                row = {"SensorId": {"S": device}, "Timestamp": {"S": seen}, "Value": {"N": value}}
                listed = row | {"Bucket": {"N": str(zlib.crc32(device.encode()) % BUCKETS)}, "Seen": {"S": seen}}
                for table, item in zip(requests, (row, listed), strict=True):
                    requests[table].append({"PutRequest": {"Item": item}})
            for table, puts in requests.items():
                self._rig.client.batch_write_item(RequestItems={table: puts})


def summary(devices: int, phases: list[Phase]) -> dict[str, Any]:
    """The last line. `digest_in_lambda_s`: how long the call with the digest takes there, which looks at devices for as
    long as it may and then has SHARE of a CPU for telling."""
    first, digest = phases[:2]
    return {
        "devices": devices,
        "invocations": sum(phase.calls for phase in phases),
        "cpu_ms_per_alert": round(first.cpu_s * 1000 / devices, 2),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "singles_per_minute": max(phase.single for phase in phases),
        "digests_per_minute": max(phase.digests for phase in phases),
        "told": sum(phase.single + phase.in_digests for phase in phases),
        "digest_s": round(digest.seconds, 1),
        "digest_telling_cpu_s": round(digest.telling_cpu_s, 1),
        "digest_in_lambda_s": round(minute.RECOVERIES / 1000 + digest.telling_cpu_s / SHARE, 1),
        "limit_s": LIMIT,
    }


def main(devices: int) -> None:
    with tempfile.TemporaryDirectory() as folder, Emulator(log=Path(folder) / "log") as emulator:
        print(HEAD, flush=True)
        storm = Storm(Rig(emulator.endpoint, POLICY), devices)
        phases = storm.run()
        print(*(phase.as_row() for phase in phases), sep="\n")
    found = summary(devices, phases)
    print(
        f"peak memory {found['memory_mb']} MB; the call that told the digest took {found['digest_s']} s here; it "
        f"takes some {found['digest_in_lambda_s']} s in Lambda, of {LIMIT} s at most"
    )
    print(json.dumps(found | {"phases": [asdict(phase) for phase in phases]}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 10_000)
