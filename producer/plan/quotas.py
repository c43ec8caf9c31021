"""The quotas of AWS that a plan comes near to, or would hit."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, Final

from producer.plan.designs import ROW_REQUEST_MS, ROWS_A_REQUEST
from producer.plan.inputs import Inputs
from producer.plan.prices import DATA, FIGURES
from producer.plan.quantities import rules
from producer.plan.size import Size

NEAR: Final = 0.5
"""Share of a quota from which on it is shown."""
ALERT_SECONDS: Final = 0.1  # that a call of the alert function takes


@dataclass(frozen=True, slots=True)
class Quota:
    """`planned` and `limit` have the same unit, which `what` names. Verified says whether AWS's page was read."""

    name: str
    what: str
    planned: float
    limit: float
    advice: str
    source: str
    verified: bool

    @property
    def used(self) -> float:
        """As a share: above 1 the plan would hit it."""
        return self.planned / self.limit

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "used": self.used, "hit": self.used > 1}


def quotas(inputs: Inputs, size: Size) -> list[Quota]:
    """Those that the plan meets at all, the fullest first."""
    found = [_quota(name, planned) for name, planned in _planned(inputs, size)]
    return sorted((quota for quota in found if quota.planned), key=lambda quota: -quota.used)


def _quota(name: str, planned: float) -> Quota:
    known = DATA["quotas"][name]
    return Quota(name, known["what"], planned, known["limit"], known["advice"], known["source"], known["verified"])


def _planned(inputs: Inputs, size: Size) -> Iterator[tuple[str, float]]:
    device = 1 / inputs.interval / inputs.per_record  # messages a second
    if inputs.intake != "kinesis":
        if inputs.intake == "iot":
            yield "iot_messages", size.records
        yield "iot_rules", size.records * rules(inputs)
        yield "iot_connections", inputs.devices
        yield "iot_connection_messages", device
        yield "iot_message_bytes", size.record_bytes
    yield "dynamodb_writes", size.row_units
    if inputs.table == "on-demand":
        yield "dynamodb_new_writes", size.row_units
    calls = size.readings * inputs.alerts
    concurrent = calls * ALERT_SECONDS
    yield "sns_publishes", calls
    if inputs.design == "rules":
        yield "s3_prefix_puts", size.records
    else:
        yield from _stream(inputs, size, device)
    if inputs.design == "lambda":
        concurrent += size.readings * (FIGURES["plain_us"] / 1e6 + ROW_REQUEST_MS / 1000 / ROWS_A_REQUEST)
    yield "lambda_concurrency", ceil(concurrent)
    if inputs.design == "sensorstream":
        yield "fargate_vcpus", 2 * size.tasks * size.vcpu
        yield "ecs_tasks", size.tasks
        yield "s3_prefix_puts", size.objects


def _stream(inputs: Inputs, size: Size, device: float) -> Iterator[tuple[str, float]]:
    yield "kinesis_record_bytes", size.record_bytes
    yield "kinesis_key_records", device
    if inputs.stream == "provisioned":
        yield "kinesis_shards", size.shards
        yield "kinesis_template_shards", size.shards
    else:
        megabytes = size.records * size.record_bytes / 1e6
        yield "kinesis_on_demand_mb", megabytes
        yield "kinesis_on_demand_start_mb", megabytes
