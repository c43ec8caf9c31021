"""The plots of docs/performance.md, from a result on stdin into a folder; runs in the bench's environment.

.bench/bin/python -m tests.bench.plots FOLDER < RESULT
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "sensorstream"
from matplotlib import pyplot  # noqa: E402 - after the choice of what draws

COLORS = {"ours": "C0", "aiobotocore_plain": "C1", "sample_like": "C2"}


def python(found: dict[str, Any]) -> Any:
    """CPU per reading by the records in a delivery."""
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for name, color in COLORS.items():
        sizes = found["python"][name]
        axes.plot(list(sizes), [each["median"] for each in sizes.values()], "o-", color=color, label=name)
    axes.set(xlabel="records in a delivery", ylabel="us of CPU per reading", yscale="log")
    axes.legend()
    return figure


def shards(found: dict[str, Any]) -> Any:
    """CPU per reading, and memory, by shards."""
    figure, (cpu, memory) = pyplot.subplots(1, 2, figsize=(9, 3.5))
    counts = [int(count) for count in found["shards"]]
    cpu.plot(counts, [each["us"]["median"] for each in found["shards"].values()], "o-")
    cpu.set(xlabel="shards", ylabel="us of CPU per reading", ylim=(0, None))
    memory.plot(counts, [each["mb"] for each in found["shards"].values()], "o-")
    memory.set(xlabel="shards", ylabel="MB of service and connectors", ylim=(0, None))
    return figure


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    found = json.load(sys.stdin)
    for draw in (python, shards):
        figure = draw(found)
        figure.tight_layout()
        figure.savefig(folder / f"{draw.__name__}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
