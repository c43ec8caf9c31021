"""The options of every command, and what they make of it."""

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from producer.fleet import Mix
from producer.simulate import Plan

LEDGER_HELP = "where each message and what must become of it is written down, for the audit"
PREFIX = "soilSensor"


def parser(run: Mapping[str, Callable[..., int]]) -> argparse.ArgumentParser:
    """`run` maps each command's name to the function that the parsed arguments carry as `run`."""
    main = argparse.ArgumentParser(
        prog="producer",
        description="Devices, readings and the audit of a Sensorstream stack.",
        epilog="Where AWS is comes from the SDK's environment variables; for the local stack: source .local/env",
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
        fleet.add_argument("--devices", type=_count, required=True, metavar="N", help="how many devices")
        fleet.add_argument("--prefix", default=PREFIX, help="device names are PREFIX1..PREFIXN (default: %(default)s)")
    _simulate(command("simulate", "publish readings of a fleet until Ctrl-C"))
    _audit(command("audit", "compare what was published with table, archive, dead letters and alerts"))
    query = command("query", "show a device's newest readings")
    query.add_argument("sensorid")
    query.add_argument("--limit", type=_count, default=20, metavar="N", help="at most N readings (default: 20)")
    publish = command("publish", "put readings onto the stream, now, a millisecond apart")
    publish.add_argument("sensorid")
    publish.add_argument("value", nargs="+")
    for both in (query, publish):
        both.add_argument("--json", action="store_true", help="print JSON")
    return main


def plan(arguments: argparse.Namespace) -> Plan:
    """The simulator's plan; the same names as the options'."""
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
    load.add_argument("--devices", type=_count, default=3, metavar="N", help="how many devices (default: 3)")
    load.add_argument("--prefix", default=PREFIX, help="device names are PREFIX1..PREFIXN (default: %(default)s)")
    pace = load.add_mutually_exclusive_group()
    pace.add_argument("--rate", type=_positive, metavar="R", help="readings a second of the whole fleet (default: 1)")
    pace.add_argument("--interval", type=_positive, metavar="S", help="seconds between two readings of a device")
    load.add_argument("--jitter", type=_seconds, default=0.0, metavar="S", help="each up to S seconds later")
    load.add_argument("--for", type=_positive, dest="seconds", metavar="S", help="stop after S seconds")
    load.add_argument("--via", choices=("mqtt", "kinesis"), default="mqtt", help="way in (default: mqtt)")
    what = command.add_argument_group("readings")
    what.add_argument(
        "--profile",
        choices=("drift", "uniform"),
        default="drift",
        help="humidity drifts and rarely dips, or is any whole number of 20..45 (default: drift)",
    )
    what.add_argument("--shape", choices=("humidity", "sensorid"), default="humidity", help="form of the payload")
    what.add_argument("--batch", type=_batch, default=1, metavar="K", help="K readings a message, as a gateway")
    what.add_argument("--batch-style", choices=("array", "lines"), default="array", help="one array, or lines")
    wrong = command.add_argument_group("faults (shares of the messages, 0..1)")
    wrong.add_argument("--malformed", type=_share, default=0.0, metavar="P", help="not readable as a reading")
    wrong.add_argument("--duplicates", type=_share, default=0.0, metavar="P", help="same device and time again")
    wrong.add_argument("--late", type=_share, default=0.0, metavar="P", help="a minute to an hour old")
    wrong.add_argument("--disorder", type=_share, default=0.0, metavar="P", help="overtaken by the next reading")
    book = command.add_argument_group("bookkeeping")
    book.add_argument("--ledger", type=Path, metavar="FILE", help=LEDGER_HELP)
    book.add_argument("--threshold", type=float, default=35.0, metavar="H", help="of the alert rule (default: 35)")
    book.add_argument("--seed", type=int, help="the same readings again")
    book.add_argument("--json", action="store_true", help="print the sums as JSON")


def _audit(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--ledger", type=Path, metavar="FILE", help="as written by simulate; without it only the archive is checked"
    )
    command.add_argument("--wait", type=_seconds, default=0.0, metavar="S", help="up to S seconds until it is clean")
    command.add_argument("--json", action="store_true", help="print one JSON object")


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _batch(text: str) -> int:
    number = _count(text)
    if number > 500:  # IoT Core takes 128 KB
        raise argparse.ArgumentTypeError("must be at most 500")
    return number


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be above 0")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError("must be within 0..1")
    return number
