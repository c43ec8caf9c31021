"""The section "Scale" of docs/performance.md, from the committed result, results/scale.json."""

import json
from pathlib import Path
from typing import Any, Final

RESULT: Final = Path(__file__).with_name("results") / "scale.json"
LOSSES: Final = ("lost_worker", "lost_leader", "lost_watchers", "lost_zone")
STEADY: Final = (
    *("workers", "shards", "reads/s", "before", "the KCL's", "reads a shard and minute", "a worker and minute"),
    *("of these what it has of its own", "the KCL's writes/s", "USD a month", "before", "the KCL's"),
)
LOST: Final = (
    *("workers", "shards", "a worker", "the leader", "all that watch", "30 % of the workers"),
    *("deployment", "the whole deployment", "reads of a worker in it"),
)


def load() -> dict[str, Any]:
    """The committed result."""
    found: dict[str, Any] = json.loads(RESULT.read_text())
    return found


def section(found: dict[str, Any]) -> str:
    """In Markdown, with its heading."""
    sizes = found["sizes"]
    steady = [_steady(each) for each in sizes]
    lost = [_lost(each) for each in sizes]
    return f"""## Scale

`make bench-scale` runs whole fleets in virtual time: the consumer's real lease code, a simulated lease table that
counts units as DynamoDB does ({found["row_bytes"]} bytes a row, a lease lasts {found["lease_seconds"]:.0f} s), and a
model of what the KCL does with leases. The KCL itself is Java and not in the simulation; the model does what its
sources say and what was measured of it ([decision 11](decisions/0011-lost-leader.md)). A fleet in which nothing
happens:

{_table(STEADY, steady)}

*Reads* are the read units of all consumers, *before* what they were when each read the whole table every 5 s
([decision 26](decisions/0026-watch.md)). The whole table has to be read by someone: that grows with the shards, and is
the same for any number of workers. What a worker reads *of its own* are its leases in the index, and a row of a watcher
if it stands in for one: that depends on neither, and weighs more in a small fleet, where the turn comes more often.
Where there are more workers than shards, reads a shard mean nothing. Of the KCL's own bill nearly all is the renewal of
leases, a write per shard every third of `FAILOVER_SECONDS`. The consumer's claims and checkpoints come on top, one for
each archive object. A month is reckoned with the prices of `producer/plan/prices.json`.

Seconds until all shards are read again after workers are lost, and seconds that a shard is not read during a
deployment, which replaces a tenth of the workers at a time; median and greatest:

{_table(LOST, lost)}

![Read units, and seconds until all shards are read again, by size of the fleet](performance/scale.svg)

A loss costs the duration of a lease and two looks or three, and one or two more where all that watched are lost. During
a deployment a shard waits for the KCL's leader, which assigns free leases every twice `FAILOVER_SECONDS`; a worker that
starts reads the whole table a few times until it is some minutes old, which is the only cost that grows with workers
times shards.{_without(sizes)}

The workers of such a fleet are not new to each other: it is drawn by lot when each has read the whole table for the
last time. Reads and writes are the mean of {found["steady_seconds"]:,.0f} s; the seconds are of {_times(sizes)} losses
of each kind. Each worker of each size runs the real code."""


def _without(sizes: list[dict[str, Any]]) -> str:
    names = [" x ".join(_size(size)) for size in sizes if "deploy" not in size]
    return f" A deployment of {' and '.join(names)} would take too long to simulate, and was not." if names else ""


def _times(sizes: list[dict[str, Any]]) -> str:
    times = [size[name]["times"] for size in sizes for name in LOSSES if name in size]
    return f"{min(times)} to {max(times)}"


def _steady(size: dict[str, Any]) -> list[str]:
    kcl = sum(number for kind, number in size["reads_s"].items() if kind.startswith("KCL"))
    ours = sum(size["reads_s"].values()) - kcl
    reads = [_number(number) for number in (ours, size["before_reads_s"], kcl)]
    shard = "" if size["workers"] > size["shards"] else _number(size["ours_per_shard_minute"])
    worker = [size["ours_per_worker_minute"], size["own_per_worker_minute"], sum(size["writes_s"].values())]
    month = [size["usd_month"][group] for group in ("ours", "before", "kcl")]
    return [*_size(size), *reads, shard, *map(_number, worker), *map(_number, month)]


def _lost(size: dict[str, Any]) -> list[str]:
    lost = [_spread(size[name]) if name in size else "" for name in LOSSES]
    made = size.get("deploy")
    deployed = [_spread(made["unread_s"]), *map(_number, (made["seconds"], made["ours_per_worker"]))] if made else []
    return [*_size(size), *lost, *(deployed or [""] * 3)]


def _size(size: dict[str, Any]) -> list[str]:
    return [f"{size['workers']:,}", f"{size['shards']:,}"]


def _spread(figure: dict[str, float]) -> str:
    return f"{figure['median']:.0f}, {figure['max']:.0f}"


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [list(head), ["--:"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
