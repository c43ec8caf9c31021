"""`make faults [ROUNDS=1] [SEED=n] [ONLY=name,name]`: every fault case, then ROUNDS random mixtures of them.
ONLY=mixtures runs the mixtures alone, ONLY=mixture-7 SEED=n one of them again.

Progress goes to stderr, the result is the one line on stdout; exit code 0 only if every case passed.
"""

import json
import os
import random
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from infra.local.__main__ import Interrupted, raise_once
from infra.local.process import LocalError
from infra.switches import nearest
from tests.faults.bench import Bench, Setup
from tests.faults.case import Case, run
from tests.faults.cases import CASES
from tests.faults.mixtures import mixture
from tests.faults.view import View

SHARED = 6
"""Cases that one bench serves at most: audits read all that it has archived."""


class Benches:
    """The bench at hand, as long as the next case can use it."""

    def __init__(self, view: View, seed: int) -> None:
        self._view, self._seed = view, seed
        self._stack = ExitStack()
        self._bench: Bench | None = None
        self._cases = 0

    def get(self, setup: Setup) -> Bench:
        if self._bench is None or self._bench.setup != setup or not self._bench.whole or self._cases >= SHARED:
            self.close()
            self._bench, self._cases = self._stack.enter_context(Bench(setup, self._view, self._seed)), 0
        self._cases += 1
        return self._bench

    def close(self) -> None:
        self._bench = None
        self._stack.close()


def results(cases: list[Case], seed: int, view: View) -> Iterator[dict[str, Any]]:
    benches = Benches(view, seed)
    try:
        for case in cases:
            if reason := case.possible():
                yield {"fault": case.name, "skipped": reason, "ok": True}
                continue
            try:
                result = run(case, benches.get(case.setup), seed)
            except Exception as error:  # noqa: BLE001  # reported; the other cases run all the same
                traceback.print_exc()
                result = {"fault": case.name, "ok": False, "why": [f"could not be run: {error!r}"]}
            if not result["ok"]:
                benches.close()  # what it left behind must not harm the next
            yield result
    finally:
        benches.close()


def chosen(only: str, rounds: int, seed: int) -> list[Case]:
    """The cases and mixtures named, in that order; without names all cases, then `rounds` mixtures."""
    if not only:
        return [*CASES, *(mixture(number, seed) for number in range(1, rounds + 1))]
    known = {case.name: case for case in CASES}
    found = []
    for name in only.split(","):
        kind, _, number = name.partition("-")
        if name in known:
            found.append(known[name])
        elif name == "mixtures":
            found += [mixture(each, seed) for each in range(1, rounds + 1)]
        elif kind == "mixture" and number.isdecimal():
            found.append(mixture(int(number), seed))
        else:
            near = nearest(name, known)
            meant = f"did you mean {near}?" if near else f"there are mixtures, mixture-<n>, {', '.join(known)}"
            raise LocalError(f"ONLY={name}: no such case; {meant}")
    return found


def number(name: str, default: int) -> int:
    """A variable of make's command line; LocalError unless it is a whole number."""
    text = os.environ.get(name) or str(default)
    if not text.isdecimal():
        raise LocalError(f"{name}={text} is not a whole number")
    return int(text)


def main() -> int:
    if sys.argv[1:]:
        print("faults: takes no words, but the variables ROUNDS, SEED and ONLY, as make faults does", file=sys.stderr)
        return 2
    raise_once()
    view = View()
    found: list[dict[str, Any]] = []
    try:
        seed = number("SEED", random.randrange(10**6))
        cases = chosen(os.environ.get("ONLY", ""), number("ROUNDS", 1), seed)
        view.say(f"{len(cases)} cases, SEED={seed}")
        for result in results(cases, seed, view):
            found.append(result)
            view.say(json.dumps(result))
    except LocalError as error:
        print(f"faults: {error}", file=sys.stderr)
        return 1
    except Interrupted:
        return 130
    sums = {name: sum(result.get(name, 0) for result in found) for name in ("lost", "archive_duplicates")}
    ok = all(result["ok"] for result in found)
    print(json.dumps({"cases": found, **sums, "seed": seed, "ok": ok}), flush=True)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
