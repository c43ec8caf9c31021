"""What can be chosen of a simulated fleet: options of `simulate`, and variables of `make demo`."""

import dataclasses
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from click import BadParameter, Context, Option, Parameter

from producer.options import Choice, Number, Whole, seconds, some_seconds

if TYPE_CHECKING:
    from producer.fleet.simulate import Workload


def _prefix(_: Context, __: Parameter, text: str) -> str:
    """The start of names that AWS IoT takes, of at most 128 of these with their numbers."""
    if not re.fullmatch("[a-zA-Z0-9:_-]{1,120}", text):
        raise BadParameter(f"{text!r} cannot begin a device's name: letters, digits, : _ and - can")
    return text


def _share(name: str, text: str) -> Option:
    return Option([name], type=Number(0, 1), default=0.0, metavar="P", help=f"share of messages (0..1): {text}")


PREFIX = Option(["--prefix"], callback=_prefix, default="soilSensor", help="device names are PREFIX1..PREFIXN")
TEMPORARY = Option(
    ["--provision", "temporary"],
    is_flag=True,
    help="make the devices that are missing first and take them away at the end; one such run per --prefix",
)
BASIC_INGEST = Option(
    ["--basic-ingest"], is_flag=True, help="publish to the readings rule itself; the stack needs BasicIngest=true"
)
SIMULATOR: list[Parameter] = [
    Option(["--devices"], type=Whole(1), default=3, metavar="N", help="how many devices"),
    PREFIX,
    Option(
        ["--rate"],
        type=Number(0, min_open=True),
        metavar="R",
        help="readings a second of the whole fleet; 1 if there is no --interval",
    ),
    Option(["--interval"], callback=some_seconds, metavar="S", help="seconds between two readings of a device"),
    Option(["--jitter"], callback=seconds, default="0", metavar="S", help="each up to S seconds later"),
    Option(["--for", "seconds"], callback=some_seconds, metavar="S", help="stop after S seconds; or 5m, 2h"),
    Option(["--via"], type=Choice(["mqtt", "kinesis"]), default="mqtt", help="way in"),
    Option(
        ["--profile"],
        type=Choice(["drift", "uniform"]),
        default="drift",
        help="humidity drifts and rarely dips, or is any whole number of 20..45",
    ),
    Option(["--shape"], type=Choice(["humidity", "sensorid"]), default="humidity", help="form of the payload"),
    Option(["--batch"], type=Whole(1, 500), default=1, metavar="K", help="K readings a message, as a gateway"),
    Option(["--batch-style"], type=Choice(["array", "lines"]), default="array", help="one array, or lines"),
    Option(
        ["--aggregate"],
        type=Whole(1, 500),
        default=1,
        metavar="M",
        help="up to M messages in a record of the stream, packed as by the KPL; with --via kinesis",
    ),
    _share("--malformed", "not readable as a reading"),
    _share("--duplicates", "same device and time again"),
    _share("--late", "a minute to an hour old"),
    _share("--disorder", "overtaken by the next reading"),
    Option(["--threshold"], type=Number(-1e9, 1e9), metavar="H", help="of alerts, if not the stack's"),
    Option(["--seed"], type=Whole(0), metavar="N", help="the same readings again"),
]


def chosen_workload(chosen: Mapping[str, Any]) -> "Workload":
    """The workload of the values of SIMULATOR. Raises UsageError when two of them do not go together."""
    from producer.fleet.order import Mix
    from producer.fleet.simulate import Workload

    if chosen["rate"] and chosen["interval"]:
        raise click.UsageError("--rate and --interval: one of them")
    if chosen.get("basic_ingest") and chosen["via"] == "kinesis":
        raise click.UsageError("--basic-ingest goes with --via mqtt only; it is a way through IoT Core")
    if chosen["aggregate"] > 1 and chosen["via"] == "mqtt":
        raise click.UsageError("--aggregate goes with --via kinesis only; over MQTT a message of several is a --batch")
    rate = chosen["rate"] or (chosen["devices"] / chosen["interval"] if chosen["interval"] else 1.0)
    mix = Mix(**_of(Mix, chosen), lines=chosen["batch_style"] == "lines", binary=chosen["via"] == "kinesis")
    return Workload(**{**_of(Workload, chosen), "rate": rate, "mix": mix})


def _of(kind: Any, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that a dataclass has fields for."""
    return {field.name: chosen[field.name] for field in dataclasses.fields(kind) if field.name in chosen}
