"""`make faults [ROUNDS=1] [SEED=n] [ONLY=name,name]`: every row, then so many random mixtures; ONLY=mixtures are those
alone, ONLY=mixture-7 SEED=n is one of them again.

Progress goes to stderr, the result is the one line on stdout; exit code 0 only if every row held.
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
from tests.faults.case import Row, run
from tests.faults.cases import ROWS
from tests.faults.mixtures import mixture
from tests.faults.view import View

SHARED = 6
"""Rows that one bench serves at most: audits read all that it has archived."""


class Benches:
    """The bench at hand, as long as the next row can use it."""

    def __init__(self, view: View, seed: int) -> None:
        self._view, self._seed = view, seed
        self._stack = ExitStack()
        self._bench: Bench | None = None
        self._rows = 0

    def get(self, setup: Setup) -> Bench:
        if self._bench is None or self._bench.setup != setup or not self._bench.whole or self._rows >= SHARED:
            self.close()
            self._bench, self._rows = self._stack.enter_context(Bench(setup, self._view, self._seed)), 0
        self._rows += 1
        return self._bench

    def close(self) -> None:
        self._bench = None
        self._stack.close()


def results(rows: list[Row], seed: int, view: View) -> Iterator[dict[str, Any]]:
    benches = Benches(view, seed)
    try:
        for row in rows:
            if reason := row.possible():
                yield {"fault": row.name, "skipped": reason, "ok": True}
                continue
            try:
                result = run(row, benches.get(row.setup), seed)
            except Exception as error:  # noqa: BLE001  # told; the other rows are run all the same
                traceback.print_exc()
                result = {"fault": row.name, "ok": False, "why": [f"could not be run: {error!r}"]}
            if not result["ok"]:
                benches.close()  # what it left behind must not harm the next
            yield result
    finally:
        benches.close()


def chosen(only: str, rounds: int, seed: int) -> list[Row]:
    """The rows and mixtures named, in that order; without names all rows, then so many mixtures."""
    if not only:
        return [*ROWS, *(mixture(number, seed) for number in range(1, rounds + 1))]
    known = {row.name: row for row in ROWS}
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
            raise LocalError(f"ONLY={name}: no such row; {meant}")
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
        rows = chosen(os.environ.get("ONLY", ""), number("ROUNDS", 1), seed)
        view.say(f"{len(rows)} rows, SEED={seed}")
        for result in results(rows, seed, view):
            found.append(result)
            view.say(json.dumps(result))
    except LocalError as error:
        print(f"faults: {error}", file=sys.stderr)
        return 1
    except Interrupted:
        return 130
    sums = {name: sum(result.get(name, 0) for result in found) for name in ("lost", "archive_duplicates")}
    ok = all(result["ok"] for result in found)
    print(json.dumps({"rows": found, **sums, "seed": seed, "ok": ok}), flush=True)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
