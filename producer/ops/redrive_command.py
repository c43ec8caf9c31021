"""The command `redrive`."""

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import click
from click import Option, Parameter, UsageError

from consumer.payload.reading import REASONS
from producer.aws import session
from producer.ops.options import CONTRACTS, RATE, SPAN, span
from producer.options import JSON, STACK, Choice, Whole, refuse, sequence
from producer.reporting import printed

if TYPE_CHECKING:
    from producer.aws.stack import Stack
    from producer.ops.archive_index import Span
    from producer.ops.dead_letters import Selection

REDRIVE: list[Parameter] = [
    Option(["--show"], is_flag=True, help="show each of them instead of counting"),
    Option(["--send"], is_flag=True, help="send their records into the stream; without it nothing is"),
    Option(["--reason"], multiple=True, type=Choice(REASONS), metavar="R", help="rejected as R (repeatable)"),
    *SPAN,
    Option(["--sequence"], callback=sequence, metavar="N[.SUB]", help="the one with this sequence number"),
    Option(["--readable"], is_flag=True, help="only what would not be rejected now"),
    *CONTRACTS,
    Option(["--by"], type=Choice(["reason", "day", "hour", "key"]), default="reason", help="count by"),
    Option(["--limit"], type=Whole(1), default=20, metavar="N", help="show at most N"),
    RATE,
    Option(["--again"], is_flag=True, help="send also what a redrive began to send and did not end"),
    Option(
        ["--undelivered"],
        is_flag=True,
        help="not dead letters, but the queue of what the IoT rules and the alert function could not deliver: "
        "readings go into the stream, alerts to the function, each at least once",
    ),
]


@click.command(params=[*REDRIVE, JSON, STACK])
def redrive(name: str, as_json: bool, show: bool, send: bool, undelivered: bool, **chosen: Any) -> int:
    """Count dead letters, show them, or send them again."""
    from producer.aws.pace import Pace
    from producer.ops import redeliver, redrive

    _check_redrive(show=show, send=send, undelivered=undelivered)
    within, pace = span(chosen["start"], chosen["end"]), Pace(chosen["rate"])
    stack = session.stack(name)
    if undelivered:
        delivered = redeliver.send(stack, pace) if send else redeliver.look(stack)
        return printed(delivered, as_json, delivered.ok)
    selection = _selection(stack, within, chosen)
    if show:
        return _letters(stack, selection, chosen["limit"], as_json)
    if send:
        sent = redrive.send(stack, selection, pace, chosen["again"])
        return printed(sent, as_json, sent.ok)
    summary = redrive.summary(stack, selection, chosen["by"])
    return printed(summary, as_json, not summary.findings)


def _selection(stack: "Stack", within: "Span", chosen: Mapping[str, Any]) -> "Selection":
    from producer.ops.contract import consumer_settings
    from producer.ops.dead_letters import Selection

    contracts = consumer_settings(stack, None, chosen).reading_contracts
    return Selection(within, frozenset(chosen["reason"]), chosen["sequence"], chosen["readable"], contracts)


def _letters(stack: "Stack", selection: "Selection", limit: int, as_json: bool) -> int:
    from producer.ops.dead_letters import DeadLetters

    letters = DeadLetters(stack, selection)
    shown = list(islice((letter for _, of_one in letters.objects() for letter in of_one), limit))
    for letter in shown:
        printed(letter, as_json)
    if not shown and not as_json:
        click.echo("no dead letters")
    return 1 if letters.findings else 0


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


COMMANDS = (redrive,)
