"""docs/performance.md from the committed result: the page is never written by hand.

python -m tests.bench docs
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from infra.local.process import ROOT
from tests.bench import scale_report

RESULT = Path(__file__).parent / "results/performance.json"
PAGE = ROOT / "docs/performance.md"
NAMES = {
    "ours": "this service",
    "aiobotocore_plain": "this service, its rows written through aiobotocore",
    "sample_like": "amazon_kclpy with batch_writer and put_object",
    "seed_like": "a put_item and a metric per record",
}


def load() -> dict[str, Any]:
    """The committed result."""
    found: dict[str, Any] = json.loads(RESULT.read_text())
    return found


def page(found: dict[str, Any]) -> str:
    """The whole document."""
    scale = scale_report.section(scale_report.load())
    return "\n\n".join([_intro(found), *(part.strip() for part in sections(found)), scale]) + "\n"


def tables(found: dict[str, Any]) -> str:
    """The figures alone, for the terminal."""
    return "\n\n".join(sections(found))


def sections(found: dict[str, Any]) -> list[str]:
    """Each with its heading."""
    return [
        _summary(found),
        _deliveries(found),
        _stages(found),
        _task(found),
        _shards(found),
        _latency(found),
        _programs(found),
    ]


def _intro(found: dict[str, Any]) -> str:
    made = found["machine"]
    rough = " A quick run with few repetitions, on a machine with other work to do: its figures are rough."
    few = rough * (found["effort"] == "quick")
    return f"""# Performance

<!-- Written by `make bench` from tests/bench/results/performance.json. -->

What a reading costs, beside the usual ways to consume a stream. Run it yourself: `make bench` (half an hour, writes
this page), `make bench QUICK=1` (five minutes, writes nothing), `make profile` (a flame graph of the hot path).

All figures are of one run on {made["processor"]}, {made["cores"]} cores, {made["memory_gb"]} GB, Linux, Python
{made["python"]}, of {made["date"]}, commit {made["commit"]}. Other machines give other microseconds; trust the
ratios.{few}

How it is measured:

- CPU time is user and system time of the process that is measured, from the operating system. What feeds it and what
  it writes to are processes of their own and do not count.
- Every peer gets the same recorded input, made from a seed: readings of about 110 bytes. Peers are measured in turns,
  several times; the tables have the median, and in brackets the least and the greatest.
- The sink is a lean local server for DynamoDB, S3 and CloudWatch without latency. It counts the rows (each reading must
  become one), and checks signatures.
- This service is the whole of `python -m consumer` with default settings. For the Python path its Java process is
  replaced by a program that speaks the daemon's protocol; the whole task runs the real daemon, on a lean local stream.

The peers (`tests/bench/peers/`), each as its own documents teach:

- *sample-like*: {NAMES["sample_like"]}, a process per shard
- *seed-like*: {NAMES["seed_like"]}
- {NAMES["aiobotocore_plain"]}
- async-kinesis, which only consumes and decodes

Benthos is not among them: `github.com/redpanda-data/benthos/v4` itself is under the MIT licence, but has no
component for AWS. Its Kinesis input and DynamoDB output are in Redpanda Connect, whose module also holds parts under
the Redpanda Community License, which is no open-source licence. Bento, a fork under the MIT licence that kept those
components, could not be had as a module where this was measured."""


def _summary(found: dict[str, Any]) -> str:
    total = found["summary"]
    ratios, drain = total["ratios"], found["drain"]
    low = "The service alone at 400 readings/s on 2 shards, warm"
    live = [(low, f"{total['live_us']:.1f} us a reading")] if "live_us" in total else []
    rows = [
        ("Python path, deliveries of 500", f"{total['python_us']['ours']:.1f} us a reading"),
        ("... times less than sample-like", f"{ratios['python_vs_sample']:.1f}"),
        ("... times less than seed-like", f"{ratios['python_vs_seed']:.0f}"),
        ("Whole task with Java, draining", f"{total['task_us']['ours']:.1f} us a reading"),
        ("... times less than sample-like at the same fetch settings", f"{ratios['task_vs_sample']:.1f}"),
        ("Drained by one core, service and daemon", f"{drain['1']['readings_s']:,} readings/s"),
        ("... with 10 readings in a record", f"{drain['10']['readings_s']:,} readings/s"),
        *live,
        ("A shard filled at 1,000/s catches up at", f"{total['catch_up']:.1f} times its rate"),
        ("CPU per reading, from 1 to 128 shards", f"{total['cpu_growth_1_to_128']:+.0%}"),
        ("Memory per further shard", f"{total['mb_per_extra_shard']:.2f} MB"),
        ("First row after SIGKILL", f"{total['recovery_s']:.1f} s"),
        ("Idle with four silent shards, service and daemon, warm", f"{total['idle_percent']:.1f} % of a core"),
        ("Archive", f"{total['archive_bytes_per_reading']:.1f} bytes a reading"),
    ]
    small = "What small deliveries cost, and why: [decision 31](decisions/0031-small-deliveries.md)."
    return f"## In short\n\n{table(('figure', 'measured'), rows)}\n\n{small}"


def _deliveries(found: dict[str, Any]) -> str:
    sizes = list(found["python"]["ours"])
    rows = [
        [name, *(spread(figures[size]) if size in figures else "-" for size in sizes)]
        for name, figures in found["python"].items()
    ]
    more = [(NAMES[name], spread(found["tls"][name]), spread(found["batches"][name])) for name in found["tls"]]
    return "\n\n".join(
        [
            "## The Python path\n\nus of CPU per reading, by the records in a delivery:",
            table(["", *map(str, sizes)], [[NAMES.get(str(row[0]), row[0]), *row[1:]] for row in rows]),
            f"async-kinesis, which only consumes and decodes: {spread(found['async_kinesis'])}.",
            "![CPU per reading by size of delivery](performance/python.svg)",
            "Deliveries of 500 over TLS, and with 10 readings in each record (a gateway's batch):",
            table(("", "TLS", "10 readings a record"), more),
        ]
    )


def _stages(found: dict[str, Any]) -> str:
    rows = [(name, f"{us:.2f}") for name, us in found["stages"].items()]
    text = (
        "Deliveries of 500, the running service sampled by py-spy; each sample counts for the innermost frame's stage:"
    )
    return f"## Where it goes\n\n{text}\n\n{table(('stage', 'us per reading'), rows)}"


def _task(found: dict[str, Any]) -> str:
    columns = ("us", "python", "java", "rate")
    rows = [(NAMES[name], *(spread(figures[each]) for each in columns)) for name, figures in found["task"].items()]
    drains = [
        (each, f"{made['readings_s']:,}", made["seconds"], made["service_mb"], made["daemon_mb"])
        for each, made in found["drain"].items()
    ]
    return "\n\n".join(
        [
            "## The whole task\n\nDraining four shards, both with 1,500 records every 250 ms; us of CPU per reading:",
            table(("", "all", "Python", "Java", "readings/s"), rows),
            "A backlog drained by service and daemon on one core together:",
            table(("readings a record", "readings/s", "seconds", "MB, service", "MB, daemon"), drains),
        ]
    )


def _shards(found: dict[str, Any]) -> str:
    rows = [(count, spread(each["us"]), each["mb"]) for count, each in found["shards"].items()]
    return "\n\n".join(
        [
            "## By shards\n\nDeliveries of 100; memory is that of the service with its connectors:",
            table(("shards", "us per reading", "MB"), rows),
            "![CPU and memory by shards](performance/shards.svg)",
        ]
    )


def _latency(found: dict[str, Any]) -> str:
    rows = [
        (mode, f"{rate}/s", *(f"{seconds[name] * 1000:.0f}" for name in ("p50", "p99", "p99.9")))
        for mode, rates in found["latency"].items()
        for rate, seconds in rates.items()
    ]
    text = """ms from a reading's publication to its row. With enhanced fan-out the local stream sends
an event every 70 ms at most, which is about what AWS takes."""
    return f"## From publication to row\n\n{text}\n\n{table(('', 'readings', 'p50', 'p99', 'p99.9'), rows)}"


def _programs(found: dict[str, Any]) -> str:
    names = ((name.replace("_", " ").replace(" to ", " --to-"), rate) for name, rate in found["programs"].items())
    rows = [(f"`{name}`", f"{rate:,}") for name, rate in names]
    return f"## The operator's commands\n\n{table(('', 'lines per second of CPU'), rows)}"


def spread(figure: dict[str, Any]) -> str:
    """`median (least..greatest)`."""
    digits = 0 if figure["median"] >= 1000 else 1
    return f"{figure['median']:,.{digits}f} ({figure['least']:,.{digits}f}..{figure['greatest']:,.{digits}f})"


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """In Markdown; all columns but the first are aligned to the right."""
    lines = [head, ["---", *("--:" for _ in head[1:])], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
