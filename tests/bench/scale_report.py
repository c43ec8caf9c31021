"""The section "Scale" of docs/performance.md, from the committed result, results/scale.json."""

import json
from pathlib import Path
from typing import Any, Final

RESULT: Final = Path(__file__).with_name("results") / "scale.json"
STEADY: Final = (
    *("workers", "shards", "reads/s", "before", "the KCL's", "reads a shard and minute", "a worker and minute"),
    *("the KCL's writes/s", "USD a month", "before", "the KCL's"),
)
LOST: Final = (
    *("workers", "shards", "a worker", "the leader", "30 % of the workers", "deployment", "the whole deployment"),
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
([decision 26](decisions/0026-watch.md)). Of the KCL's own bill nearly all is the renewal of leases, a write per shard
every third of `FAILOVER_SECONDS`. The consumer's claims and checkpoints come on top, one for each archive object.

Seconds until all shards are read again after workers are lost, and seconds that a shard is not read during a
deployment, which replaces a tenth of the workers at a time; median and greatest:

{_table(LOST, lost)}

![Read units, and seconds until all shards are read again, by size of the fleet](performance/scale.svg)

A loss costs the duration of a lease and two looks or three. Where it takes much longer, both workers that watched were
among the lost ones. During a deployment a shard waits for the KCL's leader, which assigns free leases every twice
`FAILOVER_SECONDS`."""


def _steady(size: dict[str, Any]) -> list[str]:
    kcl = sum(number for kind, number in size["reads_s"].items() if kind.startswith("KCL"))
    ours = sum(size["reads_s"].values()) - kcl
    reads = [ours, size["before_reads_s"], kcl, size["ours_per_shard_minute"], size["ours_per_worker_minute"]]
    month = [size["usd_month"][group] for group in ("ours", "before", "kcl")]
    return [*_size(size), *map(_number, reads), _number(sum(size["writes_s"].values())), *map(_number, month)]


def _lost(size: dict[str, Any]) -> list[str]:
    lost = [_spread(size[name]) if name in size else "" for name in ("lost_worker", "lost_leader", "lost_zone")]
    made = size.get("deploy")
    return [*_size(size), *lost, *([_spread(made["unread_s"]), _number(made["seconds"])] if made else ["", ""])]


def _size(size: dict[str, Any]) -> list[str]:
    return [f"{size['workers']:,}", f"{size['shards']:,}"]


def _spread(figure: dict[str, float]) -> str:
    return f"{figure['median']:.0f}, {figure['max']:.0f}"


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [list(head), ["--:"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
