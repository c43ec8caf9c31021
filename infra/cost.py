"""An estimate of what a deployment costs a month, for docs/deploy.md: list prices of one region, a formula a line."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

HOURS = 730
RATES = (100, 1_000, 10_000)  # readings a second

# $, us-east-1 (N. Virginia), without free tiers, discounts and taxes.
VCPU_HOUR, GB_HOUR = 0.03238, 0.00356  # Fargate, ARM64
SHARD_HOUR, RETENTION_HOUR, MILLION_PUTS = 0.015, 0.020, 0.014  # Kinesis; retention of 24 hours to 7 days
MILLION_MESSAGES, MILLION_MINUTES = 1.00, 0.08  # IoT Core
MILLION_TRIGGERS, MILLION_ACTIONS = (
    0.15,
    0.15,
)  # IoT Core's rules: each time for each rule, at least one action for each
MILLION_WRITES, TABLE_GB, BACKUP_GB = 0.625, 0.25, 0.20  # DynamoDB
MILLION_OBJECTS, ARCHIVE_GB = 5.00, 0.023  # S3
ENDPOINT_HOUR, ENDPOINT_GB = 0.01, 0.01  # PrivateLink
MILLION_ALERTS = 0.25  # Lambda: 128 MB for some ten milliseconds
FIXED = 9.0  # alarms, metrics, logs, keys' requests

ENDPOINTS, ZONES = 5, 2
SHARD_READINGS = 800  # a second and shard: a fifth of its limit is kept free
TASK_READINGS = 3_000  # a second and task of half a vCPU
ROW_BYTES, OBJECT_RECORD_BYTES, RECORD_BYTES = (
    230,
    20,
    200,
)  # a row with DynamoDB's own; a record in an archive object; on the stream
ALERT_SHARE = 0.01
RULES = 2  # that each message meets: readings and low humidity
TIERED_KB = 128  # below it S3's lifecycle moves no object to intelligent tiering


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
    """One line of the bill. `formula` is what `dollars` computes, for people; r is readings a second, in millions a
    month M = 2.628 r."""

    name: str
    formula: str
    dollars: Callable[[float], float]


ITEMS = (
    Item(
        "IoT Core: messages, two rules with an action each",
        "M x (1.00 + 2 x (0.15 + 0.15))",
        lambda r: millions(r) * (MILLION_MESSAGES + RULES * (MILLION_TRIGGERS + MILLION_ACTIONS)),
    ),
    Item(
        "IoT Core: connections, a device a reading a minute",
        "60 r devices x 43,800 minutes x 0.08 a million",
        lambda r: 60 * r * HOURS * 60 / 1e6 * MILLION_MINUTES,
    ),
    Item(
        "Kinesis: shards, 48 hours kept, records",
        "shards x 730 x (0.015 + 0.020) + M x 0.014",
        lambda r: shards(r) * HOURS * (SHARD_HOUR + RETENTION_HOUR) + millions(r) * MILLION_PUTS,
    ),
    Item(
        "Fargate: tasks of 0.5 vCPU and 1 GB, ARM64",
        "tasks x 730 x (0.5 x 0.03238 + 0.00356)",
        lambda r: tasks(r) * HOURS * (0.5 * VCPU_HOUR + GB_HOUR),
    ),
    Item(
        "DynamoDB: a row a reading, leases",
        "M x 0.625 + 0.50 a shard",
        lambda r: millions(r) * MILLION_WRITES + 0.5 * shards(r),
    ),
    Item(
        "DynamoDB: a month's rows and their backup",
        "M x 0.23 GB x (0.25 + 0.20)",
        lambda r: millions(r) * ROW_BYTES / 1000 * (TABLE_GB + BACKUP_GB),
    ),
    Item(
        "S3: archive objects, and a month's archive (Standard)",
        "archive objects x 5.00 a million + M x 0.02 GB x 0.023",
        lambda r: (
            millions(archive_objects(r)) * MILLION_OBJECTS + millions(r) * OBJECT_RECORD_BYTES / 1000 * ARCHIVE_GB
        ),
    ),
    Item(
        "Endpoints of the network",
        "5 x 2 zones x 730 x 0.01 + M x 0.2 GB x 0.01",
        lambda r: ENDPOINTS * ZONES * HOURS * ENDPOINT_HOUR + millions(r) * RECORD_BYTES / 1000 * ENDPOINT_GB,
    ),
    Item(
        "Lambda: alerts of 1 % of the readings", "M x 0.01 x 0.25", lambda r: millions(r * ALERT_SHARE) * MILLION_ALERTS
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
    lines += [row(item.name, item.formula, [item.dollars(rate) for rate in RATES]) for item in ITEMS]
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
