"""The operators' commands."""

from itertools import islice
from pathlib import Path
from typing import Any

import click
from click import Argument, Option, Parameter, UsageError

from producer.aws import session
from producer.ops.options import CONTRACTS, RATE, SPAN, span
from producer.options import JSON, LEDGER, STACK, Whole, no_option, refuse, seconds, setting
from producer.reporting import printed, told

WAIT = Option(["--wait"], callback=seconds, default="0", metavar="S", help="up to S seconds until it is clean")
NO_STREAM = Option(["--no-stream"], is_flag=True, help="do not read what the stream still keeps")
ROLLUPS = Option(["--rollups"], is_flag=True, help="compare the rollups with the archive")
PROBE = Option(
    ["--probe"],
    is_flag=True,
    help="publish nine odd messages as the device STACK-probe and show what the IoT rules make of them; "
    "they leave a row and dead letters",
)

NEWEST = 20  # episodes, where nothing says how many
ALERTS: list[Parameter] = [
    Option(["--device"], metavar="NAME", help="only of this device"),
    Option(["--open", "only_open"], is_flag=True, help="only those that have not ended"),
    Option(["--limit"], type=Whole(1), metavar="N", help=f"show the newest N; else {NEWEST}, or with --open all"),
]

REPORT = Option(
    ["--out"],
    type=click.Path(path_type=Path, dir_okay=False),
    default="sensorstream-bug-report.md",
    metavar="FILE",
    help="where to write it",
)

ROWS: list[Parameter] = [
    setting(["--row-ttl-days"], "ROW_TTL_DAYS", "D", "must be as the consumer has it"),
    setting(["--rollup-ttl-days"], "ROLLUP_TTL_DAYS", "D", "must be as the consumer has it"),
    setting(["--table-concurrency"], "TABLE_CONCURRENCY", "N", "requests at once"),
]
"""How rows are written: docs/settings.md."""

REPLAY: list[Parameter] = [
    Option(
        ["--to-table"],
        is_flag=False,
        flag_value="",
        metavar="[NAME]",
        help="write the rows; without a NAME into the stack's table",
    ),
    Option(
        ["--to-rollups"],
        is_flag=False,
        flag_value="",
        metavar="[NAME]",
        help="count the whole archive in rollups, which are never counted twice; without a NAME into the stack's table",
    ),
    Option(["--to-stream"], metavar="NAME", help="put the original bytes into another stream"),
    *SPAN,
    RATE,
    *CONTRACTS,
    *ROWS,
]


@click.command(params=[LEDGER, *SPAN, NO_STREAM, ROLLUPS, *CONTRACTS, WAIT, JSON, STACK])
def audit(name: str, ledger: Path | None, no_stream: bool, wait: float, as_json: bool, **chosen: Any) -> int:
    """Check the archive, the rollups against it, or a ledger against all of the stack.

    Without a ledger: every archive object alone, within its shard, and against the stream. With one: stream, archive,
    table, dead letters and alerts beside what `simulate` has published.
    """
    from producer.ops import audit as audits

    if chosen["rollups"]:
        refuse("not with --rollups, which looks at all of them", "start", "end", "no_stream", "ledger")
        report = audits.audit_rollups(session.stack(name), chosen, wait)
    elif ledger:
        refuse("not with --ledger, which says what is looked at", "start", "end", "no_stream")
        report = audits.audit(session.stack(name), ledger, wait)
    else:
        within = span(chosen["start"], chosen["end"])
        report = audits.audit_archive(session.stack(name), within, not no_stream, wait)
    printed(report, as_json)
    return report.exit_code


@click.command(params=[*REPLAY, JSON, STACK])
def replay(
    name: str, as_json: bool, to_table: str | None, to_rollups: str | None, to_stream: str | None, **chosen: Any
) -> int:
    """Read the archive again, into the table, the rollups or another stream."""
    from producer.aws.pace import Pace
    from producer.ops import replay, rollup_replay
    from producer.ops.contract import consumer_settings

    if (to_table, to_rollups, to_stream).count(None) != 2:
        raise UsageError("one of --to-table, --to-rollups and --to-stream")
    if to_rollups is not None:
        refuse("not with --to-rollups: a window may have readings of any time", "start", "end")
    within, pace = span(chosen["start"], chosen["end"]), Pace(chosen["rate"])
    stack = session.stack(name)
    if to_stream is not None:
        report = replay.to_stream(stack, to_stream, within, pace)
    elif to_rollups is not None:
        report = rollup_replay.to_rollups(stack, consumer_settings(stack, None, chosen, to_rollups), pace)
    else:
        report = replay.to_table(stack, consumer_settings(stack, to_table, chosen), within, pace)
    return printed(report, as_json, report.ok)


@click.command(
    params=[
        Argument(["sensorid"]),
        Argument(["value"], nargs=-1, required=True, callback=no_option),
        Option(
            ["--aggregate", "aggregated"], is_flag=True, help="all in one record of the stream, packed as by the KPL"
        ),
        JSON,
        STACK,
    ],
    context_settings={"ignore_unknown_options": True},  # a value may be negative
)
def publish(name: str, sensorid: str, value: tuple[str, ...], aggregated: bool, as_json: bool) -> int:
    """Put readings onto the stream, now, a millisecond apart."""
    from producer.ops import console

    written = console.publish(session.stack(name), sensorid, list(value), aggregated)
    if as_json:
        return told(written)
    for put in written:
        click.echo(f"{put['sensorid']}  {put['timestamp']}  {put['value']}  -> {put['shard']} {put['sequenceNumber']}")
    return 0


@click.command(params=[*ALERTS, JSON, STACK])
def alerts(name: str, device: str | None, only_open: bool, limit: int | None, as_json: bool) -> int:
    """Show the episodes of alerts, the newest first, of a stack with an AlertPolicy.

    Times are those at which the alert function saw a beginning and an end.
    """
    from producer.ops.alert_history import AlertHistory, as_text

    stack = session.stack(name)
    episodes = AlertHistory(stack.session.client("dynamodb"), stack.alert_table).episodes(device, only_open)
    found = list(islice(episodes, limit or (None if only_open else NEWEST)))
    if as_json:
        return told({"episodes": [each.as_json() for each in found]})
    return told(
        as_text(found) if found else f"no {'open ' if only_open else ''}episodes{f' of {device}' if device else ''}"
    )


@click.command(params=[PROBE, JSON, STACK])
def doctor(name: str, probe: bool, as_json: bool) -> int:
    """Look for what is wrong with a deployment, or with who asks."""
    from producer.ops import doctor

    report = doctor.examine(session.opened(), name, probe)  # a stack that is not there is its finding
    return printed(report, as_json, report.ok)


@click.command("bug-report", params=[REPORT, JSON, STACK])
def bug_report(name: str, out: Path, as_json: bool) -> int:
    """Write what helps to find a defect into one file: versions, settings, health, shards, logs; no credentials."""
    from producer.ops import bug_report

    path = bug_report.written(session.opened(), name, out)
    return told({"file": str(path)} if as_json else f"{path} is written; read it before you give it away")


COMMANDS = (audit, replay, publish, alerts, doctor, bug_report)
