"""Simulated schedules in bulk.

    python -m tests.simulation crashtest [SCHEDULES [SEED]]
    python -m tests.simulation mutants [SCHEDULES [SEED]]

Progress goes to stderr, findings and one line of JSON to stdout. One schedule alone is shown with its whole trace.
"""

import gc
import json
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Final

from tests.simulation.mutants import MUTANTS, hunt
from tests.simulation.schedule import prepare, run

CHUNK: Final = 50
SHOWN: Final = 40
"""Lines of a trace, where not all of it is asked for."""


@dataclass
class Batch:
    """What a number of schedules gave."""

    schedules: int = 0
    with_rollups: int = 0
    rollups: int = 0
    cpu: float = 0.0
    failed: list[tuple[int, str]] = field(default_factory=list)
    exempt: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    fence: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Batch") -> None:
        self.schedules += other.schedules
        self.with_rollups += other.with_rollups
        self.rollups += other.rollups
        self.cpu += other.cpu
        self.failed += other.failed
        self.exempt += other.exempt
        self.faults += other.faults
        self.fence += other.fence


def batch(first: int, count: int) -> Batch:
    began = time.process_time()
    found = Batch(schedules=count)
    for seed in range(first, first + count):
        result = run(seed)
        found.exempt.update(result.exempt)
        found.faults.update(result.faults)
        found.fence.update(result.fence)
        found.with_rollups += result.rollups > 0
        found.rollups += result.rollups
        if result.violation:
            found.failed.append((seed, result.violation))
    gc.collect()
    found.cpu = time.process_time() - began
    return found


class Progress:
    """A line that is written over on a terminal, and now and then a line elsewhere."""

    def __init__(self) -> None:
        self._began = self._shown = time.monotonic()
        self._live = sys.stderr.isatty()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def show(self, done: int, of: int, what: str) -> None:
        now = time.monotonic()
        if done < of and now - self._shown < (0.5 if self._live else 10):
            return
        self._shown = now
        left = self.seconds / done * (of - done)
        end = "\r" if self._live and done < of else "\n"
        text = f"{done:,} of {of:,} {what}, {self.seconds:.0f} s, {left:.0f} s left  "
        print(text, end=end, file=sys.stderr, flush=True)


def many(pool: ProcessPoolExecutor, schedules: int, seed: int, progress: Progress) -> Batch:
    """The product in so many schedules, on all cores."""
    total = Batch()
    chunks = [(seed + first, min(CHUNK, schedules - first)) for first in range(0, schedules, CHUNK)]
    for future in as_completed([pool.submit(batch, *chunk) for chunk in chunks]):
        total.add(future.result())
        progress.show(total.schedules, schedules, f"schedules, {len(total.failed)} failed")
    return total


def crashtest(schedules: int, seed: int) -> int:
    """Returns the exit code."""
    if schedules == 1:
        return replay(seed)
    print(f"{schedules:,} schedules from seed {seed} on {os.cpu_count()} cores", file=sys.stderr)
    progress = Progress()
    with ProcessPoolExecutor(initializer=prepare) as pool:
        total = many(pool, schedules, seed, progress)
    for failing, violation in sorted(total.failed)[:3]:
        print(f"\nseed {failing}: {violation}")
        print("\n".join(run(failing, tracing=True).trace[-SHOWN:]))
        print(f"the whole of it: make crashtest SCHEDULES=1 SEED={failing}")
    summary = {
        "schedules": schedules,
        "failed": len(total.failed),
        "seeds": [failing for failing, _ in sorted(total.failed)[:20]],
        "seed": seed,
        "seconds": round(progress.seconds, 1),
        "per_second_per_core": round(schedules / total.cpu, 1),
        "faults": dict(sorted(total.faults.items())),
        "with_rollups": total.with_rollups,
        "rollups": total.rollups,
        "fence": dict(sorted(total.fence.items())),
        "rows_left_by_the_documented_case": dict(total.exempt),
        "ok": not total.failed,
    }
    print(json.dumps(summary))
    return 0 if summary["ok"] else 1


def replay(seed: int) -> int:
    """One schedule, step by step."""
    prepare()
    began = time.perf_counter()
    result = run(seed, tracing=True)
    print("\n".join(result.trace))
    summary = {
        "schedules": 1,
        "failed": int(result.violation is not None),
        "violation": result.violation,
        "seed": seed,
        "seconds": round(time.perf_counter() - began, 3),
        "virtual_seconds": round(result.seconds, 1),
        "ok": result.violation is None,
    }
    print(json.dumps(summary))
    return 0 if summary["ok"] else 1


def mutants(schedules: int, seed: int) -> int:
    """At most so many schedules for each mutant, and the product in as many as the hardest took."""
    try:
        for mutant in MUTANTS:
            mutant.sources()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    progress, rows = Progress(), {}
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # each waits for a process
        ordered = sorted(MUTANTS, key=lambda mutant: not mutant.rare)
        futures = {threads.submit(hunt, mutant, schedules, seed): mutant.name for mutant in ordered}
        for done, future in enumerate(as_completed(futures), 1):
            rows[futures[future]] = future.result()
            progress.show(done, len(futures), "mutants")
    with ProcessPoolExecutor(initializer=prepare) as pool:
        control = many(pool, max(count for count, _ in rows.values()), seed, progress)
    for mutant in MUTANTS:
        count, violation = rows[mutant.name]
        print(f"{mutant.name:40} {f'caught after {count}' if violation else 'NOT caught':20} {(violation or '')[:110]}")
    caught = {mutant.name: rows[mutant.name][0] for mutant in MUTANTS if rows[mutant.name][1]}
    summary = {
        "schedules_until_caught": caught,
        "not_caught": [mutant.name for mutant in MUTANTS if mutant.name not in caught],
        "caught": len(caught),
        "of": len(MUTANTS),
        "product": {"schedules": control.schedules, "failed": len(control.failed)},
        "seed": seed,
        "seconds": round(progress.seconds, 1),
        "ok": len(caught) == len(MUTANTS) and not control.failed,
    }
    print(json.dumps(summary))
    return 0 if summary["ok"] else 1


def main(arguments: list[str]) -> int:
    command, *numbers = arguments or [""]
    known = {"crashtest": (crashtest, 10_000), "mutants": (mutants, 10_000)}
    if wrong := next((number for number in numbers if not number.isdecimal()), None):
        print(f"crashtest: {wrong} is not a whole number, such as SCHEDULES=10000 SEED=1", file=sys.stderr)
        return 2
    if command not in known or len(numbers) > 2:
        print(__doc__, file=sys.stderr)
        return 2
    work, schedules = known[command]
    schedules = int(numbers[0]) if numbers else schedules
    seed = int(numbers[1]) if len(numbers) > 1 else 1
    return work(max(1, schedules), seed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
