"""`sensorstream compact`."""

import time
from contextlib import nullcontext
from typing import Any

import click
from click import Option, UsageError

from consumer.archive.format import folder
from producer.aws import session
from producer.ops.options import CONTRACTS, SPAN, span
from producer.options import JSON, STACK, moment, refuse, some_seconds
from producer.reporting import printed

HOUR = Option(
    ["--hour"],
    callback=moment,
    metavar="T",
    help="the hour of the time T, finished or not: what comes later is taken in then",
)
LAST = Option(["--last"], callback=some_seconds, metavar="S", help="only what arrived within the last S, such as 48h")
DRY = Option(["--dry-run"], is_flag=True, help="show what there is to do, and do nothing")
METRIC = Option(
    ["--cloudwatch"],
    metavar="NAMESPACE",
    help="send to CloudWatch how many hours are not compacted at the end, for an alarm: HoursNotCompacted",
)


@click.command(params=[*SPAN, LAST, HOUR, DRY, METRIC, *CONTRACTS, JSON, STACK])
def compact(
    name: str,
    as_json: bool,
    hour: int | None,
    last: float | None,
    dry_run: bool,
    cloudwatch: str | None,
    **chosen: Any,
) -> int:
    """Make each finished hour of the archive one sorted Parquet object.

    An hour is finished 65 minutes after its end. One whose archive objects have changed since is written again; each
    line is compared with the archive before the object is visible.
    """
    from producer.compact.layout import Hour
    from producer.compact.metric import sent
    from producer.compact.run import Run
    from producer.ops.contract import consumer_settings

    if hour is not None:
        refuse("not with --hour", "start", "end", "last", "cloudwatch")
    if last is not None:
        if chosen["start"] is not None:
            raise UsageError("--from and --last: one of them")
        chosen["start"] = int((time.time() - last) * 1000)
    within = span(chosen["start"], chosen["end"])
    stack = session.stack(name)
    run = Run(stack, consumer_settings(stack, None, chosen).reading_contracts, dry_run)
    with sent(stack, cloudwatch, run.report) if cloudwatch else nullcontext():
        report = run.span(within) if hour is None else run.hour(Hour(folder(hour)))
    return printed(report, as_json, report.ok)


COMMANDS = (compact,)
