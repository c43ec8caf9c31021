"""The Python path: the recorded input through each peer's own process, without Java."""

import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from tests.bench.effort import Effort, spread
from tests.bench.system import PEERS, PYTHON, Fed, Servers, Service, cpu_seconds, memory_mb

Say = Callable[[str], None]
BY_DELIVERY = ("ours", "aiobotocore_plain", "sample_like")
"""The peers to which the size of a delivery makes a difference."""
PAST_MS = 7_200_000
"""The recorded input begins this long ago: rows and archive objects are those of a stream that is behind."""


class Parts:
    """Numbers the parts of the recorded input that a peer gets, each once."""

    def __init__(self) -> None:
        self._part = 0
        self.since = int(time.time() * 1000) - PAST_MS

    def next(self, readings: int, size: int, per_record: int = 1) -> dict[str, int]:
        """An order for `Fed.feed`; the same for every peer that is fed with it."""
        self._part += 1
        return {
            "part": self._part,
            "readings": readings,
            "since": self.since,
            "per_record": per_record,
            "size": size,
        }


def deliveries(servers: Servers, effort: Effort, say: Say) -> dict[str, dict[int, Any]]:
    """us of CPU per reading by peer and by records in a delivery; `seed_like` once, since deliveries are all one to
    it."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    parts = Parts()
    with ExitStack() as stack:
        peers = {name: stack.enter_context(peer(servers, 1)) for name, peer in PEERS.items()}
        for name, peer in peers.items():
            peer.feed(**parts.next(50 if name == "seed_like" else effort.warm_up, 100))
        for _ in range(effort.repetitions):
            for size, readings in effort.readings.items():
                part = parts.next(readings, size)
                for name in BY_DELIVERY:
                    found[name][size].append(peers[name].feed(**part).us)
                say(
                    f"deliveries of {size}: " + ", ".join(f"{name} {found[name][size][-1]:.1f}" for name in BY_DELIVERY)
                )
            found["seed_like"][100].append(peers["seed_like"].feed(**parts.next(effort.seed_readings, 100)).us)
    return _spreads(found)


def variants(servers: Servers, effort: Effort, names: tuple[str, ...], per_record: int = 1) -> dict[str, Any]:
    """us of CPU per reading at deliveries of 500, with `per_record` readings in each record."""
    found: dict[str, list[float]] = defaultdict(list)
    parts = Parts()
    with ExitStack() as stack:
        peers = {name: stack.enter_context(PEERS[name](servers, 1)) for name in names}
        for peer in peers.values():
            peer.feed(**parts.next(effort.warm_up, 100, per_record))
        for _ in range(effort.repetitions):
            part = parts.next(effort.readings[500], 500, per_record)
            for name, peer in peers.items():
                found[name].append(peer.feed(**part).us)
    return {name: spread(values) for name, values in found.items()}


def shards(servers: Servers, effort: Effort, say: Say) -> dict[int, Any]:
    """us of CPU per reading, and MB of the service with its connectors after that, by shards; deliveries of 100."""
    found: dict[int, list[float]] = defaultdict(list)
    memory: dict[int, float] = {}
    parts = Parts()
    with ExitStack() as stack:
        services = {count: stack.enter_context(Service(servers, count)) for count in effort.shards}
        for repetition in range(effort.repetitions + 1):
            for count, service in services.items():
                cost = service.feed(**parts.next(max(100, effort.shard_readings // count), 100))
                if repetition:  # the first warms up
                    found[count].append(cost.us)
                memory[count] = memory_mb([*service.pids, *service.children])
                say(f"{count} shards: {cost.us:.1f} us, {memory[count]:.1f} MB")
    return {count: {"us": spread(found[count]), "mb": round(memory[count], 1)} for count in found}


def archive_bytes(servers: Servers, effort: Effort) -> float:
    """Bytes per reading in the archive, from whole objects."""
    with Service(servers, 1) as service:
        before = servers.counts()
        service.feed(**Parts().next(2 * 10_000, 500))
        after = servers.counts()
    size = after["bytes"]["PutObject"] - before["bytes"].get("PutObject", 0)
    return float(round(size / (after["items"]["archived"] - before["items"].get("archived", 0)), 2))


def consume_only(servers: Servers, effort: Effort) -> dict[str, Any]:
    """us of CPU per reading of async-kinesis, which decodes and writes nothing."""
    values = []
    readings = 2 * effort.readings[500]
    for repetition in range(effort.repetitions):
        stream = f"bench-1-async{repetition}"
        servers.load(stream, part=1, readings=readings, since=Parts().since)
        command = [PYTHON, "-m", "tests.bench.peers.async_kinesis", stream, str(readings)]
        pipes: Mapping[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, env=servers.variables(), **pipes) as process:
            assert process.stdout
            assert process.stdout.readline(), "async-kinesis has ended"
            began = cpu_seconds([process.pid])
            process.stdout.readline()
            values.append((cpu_seconds([process.pid]) - began) / (readings - readings // 2) * 1e6)
            process.communicate(b"\n")
    return spread(values)


def _spreads(found: Mapping[str, Mapping[int, list[float]]]) -> dict[str, dict[int, Any]]:
    return {name: {size: spread(values) for size, values in sizes.items()} for name, sizes in found.items()}


def fed(servers: Servers, peer: Fed, readings: int, size: int, parts: Parts, seconds: float) -> list[float]:
    """Feeds for as long as `seconds`; us of each part."""
    began, costs = time.monotonic(), []
    while time.monotonic() - began < seconds:
        costs.append(peer.feed(**parts.next(readings, size)).us)
    return costs
