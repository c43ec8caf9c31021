"""`python -m tests.bench [QUICK=1 | profile | docs]`, as `make bench`, `make profile` and a new page say it."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.local.process import ROOT
from infra.switches import SwitchError, words, yes
from tests.bench import report, stages
from tests.bench.effort import FULL, QUICK
from tests.bench.measure import measure
from tests.bench.system import PYTHON, Servers

BUILD = ROOT / "build/bench"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def bench(quick: bool) -> None:
    """Measures, prints tables and the summary; without `quick` the result is kept, for docs/performance.md."""
    found = measure(QUICK if quick else FULL, say)
    kept = BUILD / "quick.json" if quick else report.RESULT
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(found, indent=1) + "\n")
    draw(found, BUILD if quick else report.PAGE.with_suffix(""))
    if not quick:
        report.PAGE.write_text(report.page(found))
    print(report.tables(found))
    print(json.dumps(found["summary"]))


def draw(found: dict[str, Any], folder: Path) -> None:
    """The plots, where matplotlib is."""
    command = [PYTHON, "-m", "tests.bench.plots", str(folder)]
    subprocess.run(command, input=json.dumps(found), text=True, cwd=ROOT, check=True)


def profile() -> None:
    """build/bench/flame.svg: the service under deliveries of 500."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with Servers() as servers:
        us = stages.record(servers, FULL, "flamegraph", BUILD / "flame.svg")
    print(f"{BUILD / 'flame.svg'}: {us:.1f} us of CPU per reading while sampled")


def main(arguments: Sequence[str]) -> int:
    match list(arguments):
        case ["profile"]:
            profile()
        case ["docs"]:
            found = report.load()
            draw(found, report.PAGE.with_suffix(""))
            report.PAGE.write_text(report.page(found))
        case _:
            try:
                given, _ = words("bench", arguments)
                bench(yes("QUICK", given.get("QUICK", "0")))
            except SwitchError as error:
                say(f"bench: {error}")
                return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
