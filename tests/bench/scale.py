"""What the control plane costs, and how long shards are not read, by the size of the fleet: tests/bench/fleet.py.

    python -m tests.bench.scale [WORKERSxSHARDS ...]

Without sizes it runs all of them and writes results/scale.json, and docs/performance.md. The clock is virtual, so the
speed of the machine has no part in the figures.
"""

import asyncio
import contextlib
import gc
import json
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final

from consumer.kcl.lease_watch import watches
from infra.local.process import ROOT
from producer.plan.prices import HOURS, PRICES
from tests.bench import report, scale_report
from tests.bench.fleet import LEASE, ROW, Fleet, Worker, units
from tests.simulation.clock import Clock
from tests.simulation.seams import replaced

SIZES: Final = (
    *((1, 10), (1, 100)),
    *((10, 10), (10, 100), (10, 1000)),
    *((100, 10), (100, 100), (100, 1000), (100, 10_000)),
    *((1000, 1000), (1000, 10_000)),
)
AGE: Final = 86_400.0
"""Seconds that a fleet has lived when it is looked at."""
STEADY: Final = 2000.0
"""Seconds: of 100 workers each reads all rows at least once in them."""
SMALL: Final = 100_000
"""Workers x shards up to which losses are simulated in more worlds, with these seeds."""
DEPLOYED: Final = 1_000_000
"""Workers x shards up to which a deployment is simulated: each new worker reads the table a few times."""
SEEDS: Final = range(2, 5)
EPOCH: Final = 1_800_000_000.0
STARTUP: Final = 45.0
"""Seconds from the start of a task to its first look."""

Scenario = Callable[[Fleet], Coroutine[Any, Any, Any]]


async def steady(fleet: Fleet) -> dict[str, Any]:
    """Read and write units a second of a fleet in which nothing happens."""
    table, size = fleet.table, (len(fleet.workers), len(fleet.table.rows))
    table.reads.clear()
    table.writes.clear()
    await asyncio.sleep(STEADY)
    reads = {kind: number / STEADY for kind, number in sorted(table.reads.items())}
    writes = {kind: number / STEADY for kind, number in sorted(table.writes.items())}
    ours, theirs = _split(reads)
    before = size[0] * units(size[1] * ROW) / 5
    return {
        "reads_s": _rounded(reads),
        "writes_s": _rounded(writes),
        "ours_per_shard_minute": round(60 * ours / size[1], 3),
        "ours_per_worker_minute": round(60 * ours / size[0], 3),
        "own_per_worker_minute": round(60 * sum(reads.get(kind, 0.0) for kind in ("index", "row")) / size[0], 3),
        "before_reads_s": round(before, 3),
        "before_per_shard_minute": round(60 * before / size[1], 3),
        "usd_month": _rounded(
            {
                "ours": _month(ours, 0),
                "before": _month(before, 0),
                "kcl": _month(theirs, sum(writes.values())),
            }
        ),
    }


async def lost_worker(fleet: Fleet) -> list[float]:
    return await _lose(fleet, _times(fleet), lambda: [fleet.rng.choice(_reading(fleet))])


async def lost_leader(fleet: Fleet) -> list[float]:

    def leader() -> list[Worker]:
        found = [worker for worker in _reading(fleet) if worker.name == fleet.table.leader]
        if not found:  # it reads no shard: another leads
            found = [fleet.rng.choice(_reading(fleet))]
            fleet.table.leader = found[0].name
        return found

    return await _lose(fleet, _times(fleet), leader)


async def lost_watchers(fleet: Fleet) -> list[float]:
    """All that watch, at once; with them the one that is about to."""

    def watching() -> list[Worker]:
        reading = _reading(fleet)
        names = {worker.name for worker in reading}
        return [worker for worker in reading if watches(worker.name, names, time.time(), LEASE)]

    return await _lose(fleet, _times(fleet), watching)


async def lost_zone(fleet: Fleet) -> list[float]:
    """30 % of the workers at once."""
    times = 3 if len(fleet.table.rows) < 10_000 else 1
    return await _lose(fleet, times, lambda: fleet.rng.sample(_reading(fleet), round(0.3 * len(_reading(fleet)))))


async def deploy(fleet: Fleet) -> dict[str, Any]:
    """A tenth of the workers after the other is replaced: the new ones start, then the old ones stop gracefully."""
    fleet.table.reads.clear()
    began, old = fleet.now(), list(fleet.workers)
    step = max(1, len(old) // 10)
    for start in range(0, len(old), step):
        for _ in old[start : start + step]:
            fleet.add().start()
        await asyncio.sleep(STARTUP)
        await asyncio.gather(*(worker.stop() for worker in old[start : start + step]))
    gaps = await fleet.recovered()
    ours, _ = _split({kind: float(number) for kind, number in fleet.table.reads.items()})
    return {
        "seconds": round(fleet.now() - began, 1),
        "unread_s": {"median": round(statistics.median(gaps), 1), "max": round(max(gaps), 1)},
        "ours_per_worker": round(ours / len(old), 1),
    }


def _times(fleet: Fleet) -> int:
    return 5 if len(fleet.workers) * len(fleet.table.rows) <= SMALL else 3


def _reading(fleet: Fleet) -> list[Worker]:
    return [worker for worker in fleet.workers if worker.served]


async def _lose(fleet: Fleet, times: int, whom: Callable[[], Sequence[Worker]]) -> list[float]:
    """Workers die at once, again and again; each time as many new ones come after the shards are read again."""
    seconds: list[float] = []
    for _ in range(times):
        await asyncio.sleep(fleet.rng.uniform(120.0, 240.0))
        for worker in (lost := list(whom())):
            worker.kill()
        seconds.append(max(await fleet.recovered()))
        await fleet.replace(len(lost))
    return [round(each, 1) for each in seconds]


SCENARIOS: Final[dict[str, Scenario]] = {
    each.__name__: each for each in (steady, lost_worker, lost_leader, lost_watchers, lost_zone, deploy)
}


def run(names: Sequence[str], workers: int, shards: int, seed: int) -> dict[str, Any]:
    """Scenarios, one after the other in one world; what each found, by name."""
    clock = Clock(lambda process: None)
    found: dict[str, Any] = {}

    async def live() -> None:
        fleet = Fleet(clock, workers, shards, seed)
        clock.now = AGE
        for worker in fleet.workers:
            worker.start()
        await asyncio.sleep(60)
        for worker in fleet.workers:
            worker.aged()
        for name in names:
            found[name] = await SCENARIOS[name](fleet)
        for worker in list(fleet.workers):
            worker.kill()

    with _virtual(clock), _silent(logging.getLogger("consumer")):
        main = clock.create_task(live())
        main.add_done_callback(lambda _: clock.stop())
        clock.run_forever()
        main.result()
        clock.call_soon(clock.stop)
        clock.run_forever()
    clock.close()
    return found


@contextlib.contextmanager
def _silent(log: logging.Logger) -> Iterator[None]:
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def _virtual(clock: Clock) -> contextlib.AbstractContextManager[None]:
    return replaced(
        (time, "monotonic", lambda: clock.now),
        (time, "time", lambda: EPOCH + clock.now),
        (asyncio, "sleep", clock.sleep),
        (asyncio.events, "get_running_loop", lambda: clock),
    )


def worlds(workers: int, shards: int) -> list[tuple[Sequence[str], int]]:
    """The scenarios of one size, and a seed: of a large fleet each in a world of its own, as it takes minutes."""
    losses = list(scale_report.LOSSES) if workers > 1 else []
    if workers * shards > SMALL:
        return [([name], 1) for name in ("steady", *losses, *["deploy"] * (workers * shards <= DEPLOYED))]
    return [(["steady", *losses, "deploy"], 1), *((losses, seed) for seed in SEEDS if losses)]


def summary(workers: int, shards: int, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the worlds of one size found."""
    first = {name: found for result in reversed(results) for name, found in result.items()}
    found = {"workers": workers, "shards": shards, **first["steady"]}
    if "deploy" in first:
        found["deploy"] = first["deploy"]
    for name in scale_report.LOSSES:
        if seconds := [each for result in results for each in result.get(name, ())]:
            found[name] = {"median": round(statistics.median(seconds), 1), "max": max(seconds), "times": len(seconds)}
    return found


def _split(reads: dict[str, float]) -> tuple[float, float]:
    """Ours, and the KCL's."""
    theirs = sum(number for kind, number in reads.items() if kind.startswith("KCL"))
    return sum(reads.values()) - theirs, theirs


def _month(reads: float, writes: float) -> float:
    million = 1_000_000 / (3600 * HOURS)
    return reads / million * PRICES["dynamodb_million_reads"] + writes / million * PRICES["dynamodb_million_writes"]


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(number, 3) for name, number in numbers.items()}


def main(arguments: Sequence[str]) -> None:
    """Runs the sizes given, or all, largest first, one world on each core; all are written to RESULT."""
    asked = [(int(workers), int(shards)) for workers, _, shards in (each.partition("x") for each in arguments)]
    sizes = sorted(asked or SIZES, key=lambda size: -size[0] * size[1])
    with ProcessPoolExecutor() as processes:
        begun = [(size, [processes.submit(_run, *world, *size) for world in worlds(*size)]) for size in sizes]
        found = [summary(*size, [each.result() for each in results]) for size, results in begun]
    if not asked:
        write(found)
    print(json.dumps(found))


def write(found: list[dict[str, Any]]) -> None:
    """RESULT, and the page and the plot that show it."""
    sizes = sorted(found, key=lambda each: (each["workers"], each["shards"]))
    result = {"lease_seconds": LEASE, "row_bytes": ROW, "steady_seconds": STEADY, "sizes": sizes}
    scale_report.RESULT.write_text(json.dumps(result, indent=1) + "\n")
    command = [".bench/bin/python", "-m", "tests.bench.scale_plot", "docs/performance"]
    subprocess.run(command, input=json.dumps(result), text=True, cwd=ROOT, check=True)
    report.PAGE.write_text(report.page(report.load()))


def _run(names: Sequence[str], seed: int, workers: int, shards: int) -> dict[str, Any]:
    gc.disable()  # it would look through the rows that each worker has seen, again and again
    found = run(names, workers, shards, seed)
    print(f"{workers}x{shards}: {json.dumps(found)}", file=sys.stderr, flush=True)
    gc.enable()
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
