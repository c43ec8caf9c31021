"""An estimate of what a deployment costs a month, for docs: list prices of one region, one formula per line."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from textwrap import fill
from typing import Final

from infra.prices import HOURS, PRICES, filled, task_month

RATES: Final = (100, 1_000, 10_000)  # readings a second
ENDPOINTS, ZONES = 5, 2
SHARD_READINGS = 800  # a second and shard: a fifth of its limit is kept free
TASK_READINGS = 3_000  # a second and task of half a vCPU
ROW_BYTES = 230  # with DynamoDB's own
OBJECT_RECORD_BYTES = 20  # of a record in an archive object, compressed
RECORD_BYTES = 200  # on the stream
ALERT_SHARE = 0.01
RULES = 2  # that each message meets: readings and low humidity
TIERED_KB = 128  # below it S3's lifecycle moves no object to intelligent tiering
ALERT_CPU_MS = 2.2  # of the alert function and the SDK, by python -m tests.bench.alert
ALERT_ANSWER_MS = 10  # until SNS has answered
LAMBDA_MB, VCPU_MB = 128, 1769  # the function's memory; with so much one has a whole vCPU, with less a part of it
ALERT_LOG_KB = 0.4  # that Lambda itself writes about a call
DEVICES = 10_000  # of the estimate for a fleet
REGISTRY_CALLS = 2  # of making a device: its thing, and the certificate's attachment; AWS charges for no others
FIXED = 9.0  # alarms, metrics, logs, keys' requests


def millions(rate: float) -> float:
    """What `rate` a second makes in a month."""
    return rate * HOURS * 3600 / 1e6


def shards(rate: float) -> int:
    return ceil(rate / SHARD_READINGS)


def tasks(rate: float) -> int:
    return min(shards(rate), ceil(rate / TASK_READINGS))


def archive_objects(rate: float) -> float:
    """A second: at least one a minute and shard, or one of 10,000 records."""
    return max(shards(rate) / 60, rate / 10_000)


def object_kb(rate: float) -> float:
    """KB of an archive object, compressed."""
    return rate / archive_objects(rate) * OBJECT_RECORD_BYTES / 1024


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the bill. `formula` is what `dollars` computes, for people, with {names} of prices; r is readings a
    second, in millions a month M = 2.628 r."""

    name: str
    formula: str
    dollars: Callable[[float], float]


def message() -> float:
    """Dollars a million messages of IoT Core, with the rules that each of them meets."""
    return PRICES["iot_million_messages"] + RULES * (PRICES["iot_million_rules"] + PRICES["iot_million_actions"])


def shard_hour() -> float:
    """Dollars an hour of a provisioned shard that keeps its records for two to seven days."""
    return PRICES["kinesis_shard_hour"] + PRICES["kinesis_retention_shard_hour"]


def row_month() -> float:
    """Dollars a million rows for keeping them and their backup a month."""
    return ROW_BYTES / 1000 * (PRICES["dynamodb_gb_month"] + PRICES["dynamodb_backup_gb_month"])


def alert_seconds() -> float:
    """What Lambda bills of an alert."""
    return (ALERT_CPU_MS * VCPU_MB / LAMBDA_MB + ALERT_ANSWER_MS) / 1000


def million_alerts() -> float:
    """Dollars a million alerts, without the mails: the call, its seconds, SNS, the log."""
    seconds = 1e6 * alert_seconds() * LAMBDA_MB / 1024 * PRICES["lambda_gb_second"]
    log = ALERT_LOG_KB * PRICES["logs_gb_in"]
    return PRICES["lambda_million_calls"] + seconds + PRICES["sns_million_requests"] + log


def fleet() -> str:
    """What a fleet's devices cost beside their readings, in some sentences."""
    alerts = millions(DEVICES / 60 * ALERT_SHARE)
    made = DEVICES * REGISTRY_CALLS / 1e6 * PRICES["iot_million_registry_calls"]
    each, seconds, part = million_alerts(), alert_seconds(), VCPU_MB / LAMBDA_MB
    return fill(
        f"**{DEVICES:,} devices** cost {made:.3f} once, when they are made: {REGISTRY_CALLS} calls of the registry "
        f"each. With a reading a minute, of which 1 % raises an alert, their {alerts:.1f} million alerts a month cost "
        f"{alerts * each:.2f} without the mails, {each:.2f} a million. The function needs {ALERT_CPU_MS} ms of CPU "
        f"for an alert (`python -m tests.bench.alert`); with {LAMBDA_MB} MB it has 1/{part:.0f} of a vCPU, so that "
        f"Lambda bills about {seconds * 1000:.0f} ms, {seconds * LAMBDA_MB / 1024:.4f} GB seconds.",
        120,
    )


ITEMS: Final = (
    Item(
        "IoT Core: messages, two rules with an action each",
        "M x ({iot_million_messages} + 2 x ({iot_million_rules} + {iot_million_actions}))",
        lambda r: millions(r) * message(),
    ),
    Item(
        "IoT Core: connections, a device a reading a minute",
        "60 r devices x 43,800 minutes x {iot_million_connection_minutes} a million",
        lambda r: 60 * r * HOURS * 60 / 1e6 * PRICES["iot_million_connection_minutes"],
    ),
    Item(
        "Kinesis: shards, 48 hours kept, records",
        "shards x 730 x ({kinesis_shard_hour} + {kinesis_retention_shard_hour}) + M x {kinesis_million_puts}",
        lambda r: shards(r) * HOURS * shard_hour() + millions(r) * PRICES["kinesis_million_puts"],
    ),
    Item(
        "Fargate: tasks of 0.5 vCPU and 1 GB, ARM64",
        "tasks x 730 x (0.5 x {fargate_arm_vcpu_hour} + {fargate_arm_gb_hour})",
        lambda r: tasks(r) * task_month(0.5, 1),
    ),
    Item(
        "DynamoDB: a row a reading, leases",
        "M x {dynamodb_million_writes} + 0.50 a shard",
        lambda r: millions(r) * PRICES["dynamodb_million_writes"] + 0.5 * shards(r),
    ),
    Item(
        "DynamoDB: a month's rows and their backup",
        "M x 0.23 GB x ({dynamodb_gb_month} + {dynamodb_backup_gb_month})",
        lambda r: millions(r) * row_month(),
    ),
    Item(
        "S3: archive objects, and a month's archive (Standard)",
        "archive objects x {s3_million_puts} a million + M x 0.02 GB x {s3_gb_month}",
        lambda r: (
            millions(archive_objects(r)) * PRICES["s3_million_puts"]
            + millions(r) * OBJECT_RECORD_BYTES / 1000 * PRICES["s3_gb_month"]
        ),
    ),
    Item(
        "Endpoints of the network",
        "5 x 2 zones x 730 x {endpoint_hour} + M x 0.2 GB x {endpoint_gb}",
        lambda r: (
            ENDPOINTS * ZONES * HOURS * PRICES["endpoint_hour"]
            + millions(r) * RECORD_BYTES / 1000 * PRICES["endpoint_gb"]
        ),
    ),
    Item(
        "Alerts of 1 % of the readings: Lambda, SNS, log",
        "M x 0.01 x ({lambda_million_calls} + 5,050 GB s x {lambda_gb_second} + {sns_million_requests}"
        " + 0.4 GB x {logs_gb_in})",
        lambda r: millions(r * ALERT_SHARE) * million_alerts(),
    ),
    Item("Alarms, metrics, logs", "9", lambda _: FIXED),
)


def table() -> list[str]:
    """Markdown: a line an item, a column a rate, and the sums."""
    lines = [
        f"| $ a month | formula | {' | '.join(f'{rate:,}/s' for rate in RATES)} |",
        f"|---|---|{'---:|' * len(RATES)}",
        f"| *shards, tasks* | | {' | '.join(f'*{shards(rate)}, {tasks(rate)}*' for rate in RATES)} |",
        f"| *KB an archive object; tiered from {TIERED_KB}* | |"
        f" {' | '.join(f'*{object_kb(rate):.0f}*' for rate in RATES)} |",
    ]
    lines += [row(item.name, filled(item.formula), [item.dollars(rate) for rate in RATES]) for item in ITEMS]
    sums = [sum(item.dollars(rate) for item in ITEMS) for rate in RATES]
    millionth = [total / millions(rate) for rate, total in zip(RATES, sums, strict=True)]
    return [
        *lines,
        row("**together**", "", sums, "**"),
        f"| a million readings | | {' | '.join(f'{each:.2f}' for each in millionth)} |",
    ]


def row(name: str, formula: str, dollars: list[float], mark: str = "") -> str:
    cells = " | ".join(f"{mark}{each:,.0f}{mark}" if each >= 1 else f"{each:.2f}" for each in dollars)
    return f"| {name} | {formula} | {cells} |"
