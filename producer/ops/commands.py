"""The operators' commands."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click import Argument, Option, Parameter, UsageError

from consumer.payload.reading import REASONS
from producer.aws import session
from producer.options import (
    JSON,
    LEDGER,
    STACK,
    Choice,
    Number,
    Whole,
    moment,
    no_option,
    refuse,
    seconds,
    sequence,
    setting,
)
from producer.reporting import printed, told

if TYPE_CHECKING:
    from producer.aws.stack import Stack
    from producer.ops.archive_index import Span
    from producer.ops.dead_letters import Selection

LIMIT = Option(["--limit"], type=Whole(1), default=20, metavar="N", help="show at most N")
RATE = Option(["--rate"], type=Number(0, min_open=True), metavar="R", help="at most R rows or records a second")
WAIT = Option(["--wait"], callback=seconds, default="0", metavar="S", help="up to S seconds until it is clean")
NO_STREAM = Option(["--no-stream"], is_flag=True, help="do not read what the stream still keeps")
ROLLUPS = Option(["--rollups"], is_flag=True, help="compare the rollups with the archive")
PROBE = Option(
    ["--probe"],
    is_flag=True,
    help="publish nine odd messages as the device STACK-probe and show what the IoT rules make of them; "
    "they leave a row and dead letters",
)

REPORT = Option(
    ["--out"],
    type=click.Path(path_type=Path, dir_okay=False),
    default="sensorstream-bug-report.md",
    metavar="FILE",
    help="where to write it",
)

SPAN: list[Parameter] = [
    Option(
        ["--from", "start"],
        callback=moment,
        metavar="T",
        help="only what arrived at T or later; ISO-8601 with zone, or a day (UTC)",
    ),
    Option(["--to", "end"], callback=moment, metavar="T", help="only what arrived before T"),
]

CONTRACTS: list[Parameter] = [
    setting(["--reading-contracts"], "READING_CONTRACTS", "C", "must be as the consumer has it"),
    setting(["--payload-decoder"], "PAYLOAD_DECODER", "D", "must be as the consumer has it"),
]
"""How payloads are read: docs/settings.md."""

ROWS: list[Parameter] = [
    setting(["--row-ttl-days"], "ROW_TTL_DAYS", "D", "must be as the consumer has it"),
    setting(["--table-concurrency"], "TABLE_CONCURRENCY", "N", "requests at once"),
]
"""How rows are written: docs/settings.md."""

REDRIVE: list[Parameter] = [
    Option(["--show"], is_flag=True, help="show each of them instead of counting"),
    Option(["--send"], is_flag=True, help="send their records into the stream; without it nothing is"),
    Option(["--reason"], multiple=True, type=Choice(REASONS), metavar="R", help="rejected as R (repeatable)"),
    *SPAN,
    Option(["--sequence"], callback=sequence, metavar="N[.SUB]", help="the one with this sequence number"),
    Option(["--readable"], is_flag=True, help="only what would not be rejected now"),
    *CONTRACTS,
    Option(["--by"], type=Choice(["reason", "day", "hour", "key"]), default="reason", help="count by"),
    LIMIT,
    RATE,
    Option(["--again"], is_flag=True, help="send also what a redrive began to send and did not end"),
    Option(
        ["--undelivered"],
        is_flag=True,
        help="not dead letters, but the queue of what the IoT rules and the alert function could not deliver: "
        "readings go into the stream, alerts to the function, each at least once",
    ),
]

REPLAY: list[Parameter] = [
    Option(
        ["--to-table"],
        is_flag=False,
        flag_value="",
        metavar="[NAME]",
        help="write the rows; without a NAME into the stack's table",
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
        within = _span(chosen["start"], chosen["end"])
        report = audits.audit_archive(session.stack(name), within, not no_stream, wait)
    printed(report, as_json)
    return report.exit_code


@click.command(params=[*REDRIVE, JSON, STACK])
def redrive(name: str, as_json: bool, show: bool, send: bool, undelivered: bool, **chosen: Any) -> int:
    """Count dead letters, show them, or send them again."""
    from producer.aws.pace import Pace
    from producer.ops import redeliver, redrive

    _check_redrive(show=show, send=send, undelivered=undelivered)
    span, pace = _span(chosen["start"], chosen["end"]), Pace(chosen["rate"])
    stack = session.stack(name)
    if undelivered:
        delivered = redeliver.send(stack, pace) if send else redeliver.look(stack)
        return printed(delivered, as_json, delivered.ok)
    selection = _selection(stack, span, chosen)
    if show:
        return _letters(stack, selection, chosen["limit"], as_json)
    if send:
        sent = redrive.send(stack, selection, pace, chosen["again"])
        return printed(sent, as_json, sent.ok)
    summary = redrive.summary(stack, selection, chosen["by"])
    return printed(summary, as_json, not summary.findings)


def _selection(stack: "Stack", span: "Span", chosen: Mapping[str, Any]) -> "Selection":
    from producer.ops.contract import consumer_settings
    from producer.ops.dead_letters import Selection

    contracts = consumer_settings(stack, None, chosen).reading_contracts
    return Selection(span, frozenset(chosen["reason"]), chosen["sequence"], chosen["readable"], contracts)


def _letters(stack: "Stack", selection: "Selection", limit: int, as_json: bool) -> int:
    from producer.ops.dead_letters import DeadLetters

    letters = DeadLetters(stack, selection)
    shown = list(islice((letter for _, of_one in letters.objects() for letter in of_one), limit))
    for letter in shown:
        printed(letter, as_json)
    if not shown and not as_json:
        click.echo("no dead letters")
    return 1 if letters.findings else 0


@click.command(params=[*REPLAY, JSON, STACK])
def replay(name: str, as_json: bool, to_table: str | None, to_stream: str | None, **chosen: Any) -> int:
    """Read the archive again, into the table or another stream."""
    from producer.aws.pace import Pace
    from producer.ops import replay
    from producer.ops.contract import consumer_settings

    if (to_table is None) == (to_stream is None):
        raise UsageError("one of --to-table and --to-stream")
    span, pace = _span(chosen["start"], chosen["end"]), Pace(chosen["rate"])
    stack = session.stack(name)
    if to_stream is not None:
        report = replay.to_stream(stack, to_stream, span, pace)
    else:
        report = replay.to_table(stack, consumer_settings(stack, to_table, chosen), span, pace)
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


def _span(start: int | None, end: int | None) -> "Span":
    """Raises UsageError when it is empty."""
    from producer.ops.archive_index import Span

    if start is not None and end is not None and start >= end:
        raise UsageError("--from must be before --to")
    return Span(start, end)


def _check_redrive(*, show: bool, send: bool, undelivered: bool) -> None:
    """Raises UsageError for an option that would say nothing."""
    if undelivered:
        of_letters = {option.name for option in REDRIVE} - {"undelivered", "send", "rate"}
        refuse("of dead letters only; --undelivered goes with --send, --rate and --json", *of_letters)
    if show and send:
        raise UsageError("--show and --send: one of them")
    if not send:
        refuse("only with --send", "rate", "again")
    if not show:
        refuse("only with --show", "limit")
    if show or send:
        refuse("only of counts, without --show and --send", "by")


COMMANDS = (audit, redrive, replay, publish, doctor, bug_report)
