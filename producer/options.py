"""The options of every command, and what they make of it."""

import argparse
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from consumer.payload.reading import REASONS
from producer.arguments import Parser, number, positive, seconds, share, some_seconds, whole
from producer.aws.errors import UserError
from producer.fleet.order import Mix
from producer.fleet.simulate import Plan
from producer.ops.archive_index import Span

LEDGER_HELP = "where each message and what must become of it is written down, for the audit"
PREFIX = "soilSensor"


def parser(run: Mapping[str, Callable[..., int]]) -> argparse.ArgumentParser:
    """`run` maps each command's name to the function that the parsed arguments carry as `run`."""
    main = Parser(
        prog="sensorstream",
        description="Devices, readings and the audit of a Sensorstream stack.",
        epilog="Exit codes: 0 fine; 1 something was found, is uncertain or was left; 2 a wrong command line, or an "
        "obstacle told in one line; 3 the audit had nothing to compare; 130 interrupted. Where AWS is comes from the "
        "SDK's environment variables; for the local stack: source .local/env",
    )
    commands = main.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        made.add_argument(
            "--stack",
            default=os.environ.get("STACK_NAME") or "sensorstream",
            metavar="NAME",
            help="stack to work with (default: $STACK_NAME or sensorstream)",
        )
        made.set_defaults(run=run[name])
        return made

    for name, text in (
        ("provision", "make things, certificates and keys; what is there already is kept"),
        ("deprovision", "take things, certificates, keys and the audit's queue away"),
    ):
        fleet = command(name, text)
        fleet.add_argument("--devices", type=whole(), required=True, metavar="N", help="how many devices")
        fleet.add_argument(
            "--prefix", type=_prefix, default=PREFIX, help="device names are PREFIX1..PREFIXN (default: %(default)s)"
        )
    _simulate(command("simulate", "publish readings of a fleet until Ctrl-C"))
    _audit(command("audit", "check the archive, or with a ledger compare all of the stack with what was published"))
    _redrive(command("redrive", "count dead letters, show them, or send their records into the stream once more"))
    _replay(command("replay", "read the archive once more, into the table or into another stream"))
    query = command("query", "show a device's newest readings")
    query.add_argument("sensorid")
    query.add_argument("--limit", type=whole(), default=20, metavar="N", help="at most N readings (default: 20)")
    publish = command("publish", "put readings onto the stream, now, a millisecond apart")
    publish.add_argument("sensorid")
    publish.add_argument("value", nargs="+")
    doctor = command("doctor", "look for what is wrong with a deployment, or with who asks; exit code 1: something is")
    doctor.add_argument(
        "--probe",
        action="store_true",
        help="publish nine odd messages as the device STACK-probe and tell what the IoT rules make of them; "
        "they leave a row and dead letters",
    )
    for both in (query, publish, doctor):
        both.add_argument("--json", action="store_true", help="print JSON")
    return main


def plan(arguments: argparse.Namespace) -> Plan:
    """The simulator's plan; the same names as the options'. Raises UserError when two of them do not go together."""
    if arguments.provision and arguments.via == "kinesis":
        raise UserError("--provision goes with --via mqtt only; past IoT Core nobody asks for devices")
    interval_rate = arguments.devices / arguments.interval if arguments.interval else 1.0
    return Plan(
        devices=arguments.devices,
        rate=arguments.rate or interval_rate,
        prefix=arguments.prefix,
        jitter=arguments.jitter,
        seconds=arguments.seconds,
        via=arguments.via,
        seed=arguments.seed,
        threshold=arguments.threshold,
        mix=Mix(
            profile=arguments.profile,
            shape=arguments.shape,
            batch=arguments.batch,
            lines=arguments.batch_style == "lines",
            malformed=arguments.malformed,
            duplicates=arguments.duplicates,
            late=arguments.late,
            disorder=arguments.disorder,
            binary=arguments.via == "kinesis",
        ),
    )


def _simulate(command: argparse.ArgumentParser) -> None:
    load = command.add_argument_group("load")
    load.add_argument("--devices", type=whole(), default=3, metavar="N", help="how many devices (default: 3)")
    load.add_argument(
        "--prefix", type=_prefix, default=PREFIX, help="device names are PREFIX1..PREFIXN (default: %(default)s)"
    )
    pace = load.add_mutually_exclusive_group()
    pace.add_argument("--rate", type=positive, metavar="R", help="readings a second of the whole fleet (default: 1)")
    pace.add_argument("--interval", type=some_seconds, metavar="S", help="seconds between two readings of a device")
    load.add_argument("--jitter", type=seconds, default=0.0, metavar="S", help="each up to S seconds later")
    load.add_argument("--for", type=some_seconds, dest="seconds", metavar="S", help="stop after S seconds; or 5m, 2h")
    load.add_argument("--via", choices=("mqtt", "kinesis"), default="mqtt", help="way in (default: mqtt)")
    load.add_argument(
        "--provision",
        action="store_true",
        help="make the devices that are missing first and take them away at the end; one such run per --prefix",
    )
    what = command.add_argument_group("readings")
    what.add_argument(
        "--profile",
        choices=("drift", "uniform"),
        default="drift",
        help="humidity drifts and rarely dips, or is any whole number of 20..45 (default: drift)",
    )
    what.add_argument("--shape", choices=("humidity", "sensorid"), default="humidity", help="form of the payload")
    what.add_argument("--batch", type=whole(1, 500), default=1, metavar="K", help="K readings a message, as a gateway")
    what.add_argument("--batch-style", choices=("array", "lines"), default="array", help="one array, or lines")
    wrong = command.add_argument_group("faults (shares of the messages, 0..1)")
    wrong.add_argument("--malformed", type=share, default=0.0, metavar="P", help="not readable as a reading")
    wrong.add_argument("--duplicates", type=share, default=0.0, metavar="P", help="same device and time again")
    wrong.add_argument("--late", type=share, default=0.0, metavar="P", help="a minute to an hour old")
    wrong.add_argument("--disorder", type=share, default=0.0, metavar="P", help="overtaken by the next reading")
    book = command.add_argument_group("bookkeeping")
    book.add_argument("--ledger", type=Path, metavar="FILE", help=LEDGER_HELP)
    book.add_argument("--threshold", type=number, default=35.0, metavar="H", help="of the alert rule (default: 35)")
    book.add_argument("--seed", type=whole(0), help="the same readings again")
    book.add_argument("--json", action="store_true", help="print the sums as JSON")


def _audit(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--ledger",
        type=Path,
        metavar="FILE",
        help="as written by simulate: compare stream, archive, table, dead letters and alerts with it",
    )
    alone = command.add_argument_group(
        "without a ledger: every archive object by itself, in its shard, and beside the stream"
    )
    _span(alone, "audit what arrived")
    alone.add_argument("--no-stream", action="store_true", help="do not read what the stream still keeps")
    command.add_argument("--wait", type=seconds, default=0.0, metavar="S", help="up to S seconds until it is clean")
    command.add_argument("--json", action="store_true", help="print one JSON object")


def _redrive(command: argparse.ArgumentParser) -> None:
    does = command.add_mutually_exclusive_group()
    does.add_argument("--show", action="store_true", help="show each of them instead of counting")
    does.add_argument("--send", action="store_true", help="send their records into the stream; without it nothing is")
    which = command.add_argument_group("which dead letters (default: all)")
    which.add_argument("--reason", action="append", choices=REASONS, metavar="R", help="rejected as R (repeatable)")
    _span(which, "only what arrived")
    which.add_argument("--sequence", type=_sequence, metavar="N[.SUB]", help="the one with this sequence number")
    which.add_argument("--readable", action="store_true", help="only what would not be rejected now")
    _contract(command)
    command.add_argument(
        "--by", choices=("reason", "day", "hour", "key"), default="reason", help="count by (default: reason)"
    )
    command.add_argument("--limit", type=whole(), default=20, metavar="N", help="show at most N (default: 20)")
    command.add_argument("--rate", type=positive, metavar="R", help="send at most R records a second")
    command.add_argument(
        "--undelivered",
        action="store_true",
        help="not dead letters, but the queue of what the IoT rules and the alert function could not deliver: "
        "readings go into the stream, alerts to the function, each at least once",
    )
    command.add_argument("--again", action="store_true", help="send also what a redrive began to send and did not end")
    command.add_argument("--json", action="store_true", help="print JSON; with --show one object per line")


def _replay(command: argparse.ArgumentParser) -> None:
    target = command.add_mutually_exclusive_group(required=True)
    target.add_argument(
        "--to-table", nargs="?", const="", metavar="NAME", help="write the rows (default NAME: the stack's table)"
    )
    target.add_argument("--to-stream", metavar="NAME", help="put the original bytes into another stream")
    _span(command, "only what arrived")
    command.add_argument("--rate", type=positive, metavar="R", help="at most R rows or records a second")
    _contract(command)
    command.add_argument("--json", action="store_true", help="print one JSON object")


def _span(group: argparse._ActionsContainer, what: str) -> None:
    time = "ISO-8601 with zone, or a day (UTC)"
    group.add_argument("--from", dest="start", type=_moment, metavar="T", help=f"{what} at T or later; {time}")
    group.add_argument("--to", dest="end", type=_moment, metavar="T", help=f"{what} before T")


def _contract(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("how payloads are read (must be as the consumer does, docs/settings.md)")
    group.add_argument("--reading-fields", metavar="F", help="default: $READING_FIELDS")
    group.add_argument("--measures", metavar="M", help="default: $MEASURES")
    if command.prog.endswith("replay"):
        group.add_argument("--row-ttl-days", metavar="D", help="default: $ROW_TTL_DAYS")


def check_undelivered(arguments: argparse.Namespace) -> None:
    """Raises UserError when an option is given that is about dead letters only."""
    given = {
        "--show": arguments.show,
        "--again": arguments.again,
        "--readable": arguments.readable,
        "--reason": arguments.reason,
        "--sequence": arguments.sequence,
        "--from": arguments.start is not None,
        "--to": arguments.end is not None,
        "--by": arguments.by != "reason",
    }
    if wrong := [name for name, value in given.items() if value]:
        raise UserError(f"{', '.join(wrong)}: of dead letters only; --undelivered goes with --send, --rate and --json")


def span(arguments: argparse.Namespace) -> Span:
    """Raises UserError when it is empty."""
    if arguments.start is not None and arguments.end is not None and arguments.start >= arguments.end:
        raise UserError("--from must be before --to")
    return Span(arguments.start, arguments.end)


def contract(arguments: argparse.Namespace) -> dict[str, str | None]:
    """The consumer's settings that the command line chose."""
    names = ("reading_fields", "measures", "row_ttl_days")
    return {name.upper(): getattr(arguments, name, None) for name in names}


def _prefix(text: str) -> str:
    """The start of names that AWS IoT takes, of at most 128 of these with their numbers."""
    if not re.fullmatch("[a-zA-Z0-9:_-]{1,120}", text):
        raise argparse.ArgumentTypeError(f"{text!r} cannot begin a device's name: letters, digits, : _ and - can")
    return text


def _sequence(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,200}(\.[0-9]{1,20})?", text):
        raise argparse.ArgumentTypeError(
            f"{text} is no sequence number such as 4961...02, or 4961...02.7 for its part 7"
        )
    return text


def _moment(text: str) -> int:
    """A time as ms since the epoch."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no time such as 2026-11-22T10:48:16Z or 2026-11-22") from None
    if len(text) == len("2026-11-22"):
        moment = moment.replace(tzinfo=UTC)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} has no zone; write {text}Z for UTC")
    return int(moment.timestamp() * 1000)
