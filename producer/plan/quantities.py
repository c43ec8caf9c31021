"""What a month uses of what AWS charges for: so much of a price each, without knowing what the price is."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, inf
from typing import Final

from producer.plan.inputs import Inputs
from producer.plan.prices import FIGURES, GB, HOURS
from producer.plan.size import Size

SECONDS: Final = HOURS * 3600
MESSAGE_BYTES, PUT_BYTES, ROUNDED_BYTES = 5 * 1024, 25 * 1024, 1024  # that IoT Core, shards, on-demand streams count in
DAY, WEEK = 24, 168  # hours of retention: included; up to which it is extended, then long-term
ADVANTAGE_BYTES: Final = 25 * 2**20
"""A second, in and out, that On-demand Advantage charges at least for."""
ENDPOINTS, ZONES = 5, 2
ALARM_METRICS, METRICS, LOG_GB = 31, 13, 1.0  # of the templates and of the service
ALERT_MB, VCPU_MB, ANSWER_MS, ALERT_LOG_KB = 128, 1769, 10, 0.4
"""The alert function's memory, and that of a whole vCPU; until SNS has answered; what Lambda logs of a call."""
MILLION: Final = 1e6
IOT_TIERS: Final = (
    (1_000, "iot_million_messages"),
    (4_000, "iot_million_messages_next"),
    (inf, "iot_million_messages_last"),
)
S3_TIERS: Final = ((50 * 1024, "s3_gb_month"), (450 * 1024, "s3_gb_month_next"), (inf, "s3_gb_month_last"))


@dataclass(frozen=True, slots=True)
class Quantity:
    """`amount` is in the unit of the price."""

    service: str
    name: str
    price: str
    amount: float


def tiers(service: str, name: str, amount: float, steps: tuple[tuple[float, str], ...]) -> Iterator[Quantity]:
    """An amount whose first part costs one price, the next another one."""
    for width, price in steps:
        part = min(amount, width)
        if part > 0:
            yield Quantity(service, name, price, part)
        amount -= part


def rules(inputs: Inputs) -> int:
    """IoT rules that each message meets: the readings', and the alerts' where an IoT rule can raise them, since it sees
    neither arrays nor Basic Ingest."""
    return 2 if inputs.intake == "iot" and inputs.per_record == 1 else 1


def intake(inputs: Inputs, size: Size, actions: int = 1) -> Iterator[Quantity]:
    """IoT Core. `actions` are those of the rule for readings."""
    if inputs.intake == "kinesis":
        return
    messages = size.records * ceil(size.record_bytes / MESSAGE_BYTES) * SECONDS / MILLION
    if inputs.intake == "iot":
        yield from tiers("IoT Core", "messages", messages, IOT_TIERS)
    triggered = rules(inputs)
    yield Quantity("IoT Core", "rules", "iot_million_rules", messages * triggered)
    yield Quantity("IoT Core", "actions", "iot_million_actions", messages * (actions + triggered - 1))
    minutes = inputs.devices * HOURS * 60 / MILLION
    yield Quantity("IoT Core", "connections", "iot_million_connection_minutes", minutes)


def stream(inputs: Inputs, size: Size, readers: int = 1) -> Iterator[Quantity]:
    """Kinesis, read by so many programs."""
    out = size.records * size.record_bytes * SECONDS / GB
    if inputs.stream == "provisioned":
        yield from _shards(inputs, size, readers, out)
        return
    each = ceil(size.record_bytes / ROUNDED_BYTES) * ROUNDED_BYTES
    into = size.records * each * SECONDS / GB
    if inputs.stream == "advantage":
        least = ADVANTAGE_BYTES * SECONDS / GB
        yield Quantity("Kinesis", "data in", "kinesis_advantage_gb_in", max(into, least))
        yield Quantity("Kinesis", "data out", "kinesis_advantage_gb_out", max(out * readers, least))
        yield Quantity(
            "Kinesis", "retention", "kinesis_advantage_retention_gb_month", _kept(into, DAY, inputs.retention)
        )
        return
    read = "kinesis_on_demand_efo_gb" if inputs.fan_out == "yes" else "kinesis_on_demand_gb_out"
    yield Quantity("Kinesis", "stream", "kinesis_on_demand_hour", HOURS)
    yield Quantity("Kinesis", "data in", "kinesis_on_demand_gb_in", into)
    yield Quantity("Kinesis", "data out", read, out * readers)
    extended = _kept(into, DAY, min(inputs.retention, WEEK))
    yield Quantity("Kinesis", "retention", "kinesis_on_demand_retention_gb_month", extended)
    yield Quantity("Kinesis", "retention", "kinesis_long_gb_month", _kept(into, WEEK, inputs.retention))


def _shards(inputs: Inputs, size: Size, readers: int, out: float) -> Iterator[Quantity]:
    hours = size.shards * HOURS
    yield Quantity("Kinesis", "shards", "kinesis_shard_hour", hours)
    if inputs.retention > DAY:
        yield Quantity("Kinesis", "retention", "kinesis_retention_shard_hour", hours)
        yield Quantity("Kinesis", "retention", "kinesis_long_gb_month", _kept(out, WEEK, inputs.retention))
    puts = size.records * ceil(size.record_bytes / PUT_BYTES) * SECONDS / MILLION
    yield Quantity("Kinesis", "records", "kinesis_million_puts", puts)
    if inputs.fan_out == "yes":
        yield Quantity("Kinesis", "fan-out", "kinesis_efo_shard_hour", hours * readers)
        yield Quantity("Kinesis", "fan-out", "kinesis_efo_gb", out * readers)


def _kept(gb_a_month: float, since: float, until: float) -> float:
    """GB in the stream that are between so many hours old."""
    return gb_a_month * max(0.0, until - since) / HOURS


def tasks(inputs: Inputs, size: Size) -> Iterator[Quantity]:
    """Fargate, and the endpoints of the network that it runs in."""
    kind = f"fargate_{inputs.processor}{'_spot' if inputs.spot == 'yes' else ''}"
    yield Quantity("Fargate", "processors", f"{kind}_vcpu_hour", size.tasks * size.vcpu * HOURS)
    yield Quantity("Fargate", "memory", f"{kind}_gb_hour", size.tasks * size.memory * HOURS)
    yield Quantity("Network", "endpoints", "endpoint_hour", ENDPOINTS * ZONES * HOURS)
    yield Quantity("Network", "data", "endpoint_gb", size.records * size.record_bytes * SECONDS / GB)


def tables(inputs: Inputs, size: Size) -> Iterator[Quantity]:
    """DynamoDB: rows of readings, of rollups, or both."""
    kind = "dynamodb" if inputs.table_class == "standard" else "dynamodb_infrequent"
    for rows in size.tables:
        if inputs.table == "on-demand":
            yield Quantity("DynamoDB", rows.name, f"{kind}_million_writes", rows.units * SECONDS / MILLION)
        elif inputs.table == "provisioned":
            yield Quantity("DynamoDB", rows.name, f"{kind}_wcu_hour", rows.capacity * HOURS)
        else:
            hundreds = ceil(rows.capacity / 100)
            yield Quantity("DynamoDB", rows.name, "dynamodb_reserved_100_wcu_hour", hundreds * HOURS)
            yield Quantity("DynamoDB", rows.name, "dynamodb_reserved_100_wcu_year", hundreds / 12)
        yield Quantity("DynamoDB", f"{rows.name} kept", f"{kind}_gb_month", rows.gb)
        yield Quantity("DynamoDB", "backup", "dynamodb_backup_gb_month", rows.gb)


def bookkeeping(_: Inputs, size: Size) -> Iterator[Quantity]:
    """DynamoDB: the list of devices, and who reads which shard how far; claim and checkpoint of each archive object."""
    yield Quantity("DynamoDB", "list of devices", "dynamodb_million_writes", size.listed * SECONDS / MILLION)
    leases = size.shards * FIGURES["lease_writes"] + 2 * size.objects
    yield Quantity("DynamoDB", "leases", "dynamodb_million_writes", leases * SECONDS / MILLION)


def archive(inputs: Inputs, size: Size, objects: float, growth: float) -> Iterator[Quantity]:
    """S3: objects written a second, bytes a second; all in its Standard class."""
    yield Quantity("S3", "writes", "s3_million_puts", objects * SECONDS / MILLION)
    yield from tiers("S3", "archive", growth * SECONDS / GB * inputs.archive_months, S3_TIERS)


def alerts(inputs: Inputs, size: Size) -> Iterator[Quantity]:
    """The alert function and what it sends, without mails."""
    calls = size.readings * inputs.alerts * SECONDS / MILLION
    seconds = (FIGURES["alert_cpu_ms"] * VCPU_MB / ALERT_MB + ANSWER_MS) / 1000
    yield Quantity("Alerts", "function", "lambda_million_calls", calls)
    yield Quantity("Alerts", "function", "lambda_gb_second", calls * MILLION * seconds * ALERT_MB / 1024)
    yield Quantity("Alerts", "messages", "sns_million_requests", calls)
    yield Quantity("Alerts", "log", "logs_gb_in", calls * MILLION * ALERT_LOG_KB * 1024 / GB)


def watching() -> Iterator[Quantity]:
    """CloudWatch and a key: the same for any load."""
    yield Quantity("CloudWatch", "alarms", "alarm_month", ALARM_METRICS)
    yield Quantity("CloudWatch", "metrics", "metric_month", METRICS)
    yield Quantity("CloudWatch", "dashboard", "dashboard_month", 1)
    yield Quantity("CloudWatch", "logs", "logs_gb_in", LOG_GB)
    yield Quantity("CloudWatch", "key", "kms_key_month", 1)
