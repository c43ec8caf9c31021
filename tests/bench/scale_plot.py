"""docs/performance/scale.svg, from a result on stdin; runs in the bench's environment, which has matplotlib.

.bench/bin/python -m tests.bench.scale_plot FOLDER < tests/bench/results/scale.json
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found,unused-ignore]

mpl.use("svg")
from matplotlib import pyplot  # type: ignore[import-not-found,unused-ignore]

mpl.rcParams |= {"svg.hashsalt": "sensorstream", "svg.fonttype": "none", "font.size": 9}


def draw(found: dict[str, Any], folder: Path) -> None:
    """Read units of the whole fleet, and seconds of recovery, both by size."""
    sizes = found["sizes"]
    names = [f"{each['workers']:,}\n{each['shards']:,}" for each in sizes]
    figure, (reads, seconds) = pyplot.subplots(2, 1, figsize=(8, 7), sharex=True, layout="constrained")
    theirs = [sum(n for kind, n in each["reads_s"].items() if kind.startswith("KCL")) for each in sizes]
    ours = [sum(each["reads_s"].values()) - kcl for each, kcl in zip(sizes, theirs, strict=True)]
    reads.plot(names, [each["before_reads_s"] for each in sizes], "x--", color="tab:gray", label="as it was")
    reads.plot(names, ours, "o-", color="tab:blue", label="consumers")
    reads.plot(names, theirs, "s:", color="tab:orange", label="the KCL's own")
    reads.set(yscale="log", ylabel="read units a second, whole fleet")
    losses = {
        "lost_worker": "a worker",
        "lost_leader": "the leader",
        "lost_watchers": "all that watch",
        "lost_zone": "30 % at once",
    }
    for name, text in losses.items():
        known = [(each, size[name]) for each, size in zip(names, sizes, strict=True) if name in size]
        (line,) = seconds.plot(*zip(*((each, lost["median"]) for each, lost in known), strict=True), "o-", label=text)
        seconds.plot(*zip(*((each, lost["max"]) for each, lost in known), strict=True), "^", color=line.get_color())
    seconds.set(ylabel="s until all shards are read again\n(line: median, triangle: longest)", ylim=(0, None))
    seconds.set_xlabel("workers\nshards")
    for axes in (reads, seconds):
        axes.legend()
        axes.grid(alpha=0.3)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "scale.svg", metadata={"Date": None})


if __name__ == "__main__":
    draw(json.load(sys.stdin), Path(sys.argv[1]))
