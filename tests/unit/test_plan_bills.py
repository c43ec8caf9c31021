"""Bills of the planner beside bills worked by hand, from AWS's public prices of us-east-1: within a tenth.

The numbers below are written out: none is taken from the planner. H hours and S seconds make a month, M are millions,
GB are 2^30 bytes."""

import pytest

from producer.plan.bill import Bill, bill
from producer.plan.inputs import Inputs

H, S = 730, 2_628_000
M, GB = 1e6, 2**30
FIXED = 31 * 0.10 + 13 * 0.30 + 3.00 + 0.50 + 1.00
"""Alarms, metrics, a dashboard, a GB of logs, a key."""
ENDPOINTS = 5 * 2 * H * 0.01
TASK = H * (0.5 * 0.03238 + 1 * 0.00356)
ALERT = (0.20 + 0.0404 * 0.125 * M * 0.0000133334 + 0.50 + 0.4 * 1024 * M / GB * 0.50) / M
"""An alert: 2.2 ms of CPU at 1/14 of a vCPU and 10 ms of waiting, with 128 MB; SNS; 0.4 KB of log."""


def near(by_hand: float) -> object:
    return pytest.approx(by_hand, rel=0.10)


def kinesis(made: Bill) -> float:
    return made.services()["Kinesis"]


def published(mib_s: int, **choices: str | float) -> Inputs:
    """A stream of so many MiB a second in records of 1 KB, as in AWS's comparison of the modes:
    https://aws.amazon.com/blogs/big-data/kinesis-on-demand-advantage-saves-60-on-streaming-costs/"""
    return Inputs(devices=mib_s * 1024, interval=1, payload=1024, intake="kinesis", **choices)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("inputs", "hours", "usd"),
    [
        # ten streams there, so nine times 0.04 an hour more than one has
        (published(100, stream="on-demand", retention=24), 48, 2071.75 - 9 * 48 * 0.04),
        (published(100, stream="advantage", retention=24), 48, 823.44),
        (published(15, stream="on-demand", retention=48), 24, 176 - 9 * 24 * 0.04),
        (published(15, stream="advantage", retention=48), 24, 104),
    ],
)
def test_a_stream_costs_what_aws_has_measured_and_published(inputs: Inputs, hours: int, usd: float) -> None:
    assert kinesis(bill(inputs)) / H * hours == near(usd)


def test_a_thousand_devices_and_a_reading_a_minute() -> None:
    """16.67 readings a second: 43.8 million a month. One shard, one task; an archive object a minute."""
    readings = 1000 / 60 * S
    iot = readings / M * (1.00 + 2 * 0.15 + 2 * 0.15) + 1000 * H * 60 / M * 0.08
    stream = H * (0.015 + 0.020) + readings / M * 0.014
    kept = 1000 / 60 * 30 * 86_400 * 230 / GB  # rows of 230 bytes, 30 days
    listed, leases = 1000 / 900 * S, (0.302 + 2 / 60) * S
    table = (readings + listed + leases) / M * 0.625 + kept * (0.25 + 0.20)
    archive = S / 60 / M * 5.00 + readings * 36 / GB * 0.023
    by_hand = iot + stream + TASK + ENDPOINTS + table + archive + readings * 0.01 * ALERT + FIXED
    made = bill(Inputs())
    assert made.services()["IoT Core"] == near(iot)
    assert made.services()["DynamoDB"] == near(table)
    assert made.total == near(by_hand)


def test_ten_thousand_readings_a_second() -> None:
    """26,280 million messages: a thousand million at 1.00, four at 0.80, the rest at 0.70. 13 shards at four fifths;
    62.3 us a reading on half of half a vCPU: 4,013 readings a second and task, so 3 tasks."""
    readings = 10_000 * S
    messages = 1000 * 1.00 + 4000 * 0.80 + (26_280 - 5000) * 0.70
    iot = messages + readings / M * 0.60 + 600_000 * H * 60 / M * 0.08
    stream = 13 * H * 0.035 + readings / M * 0.014
    kept = 10_000 * 30 * 86_400 * 230 / GB
    table = (readings + 600_000 / 900 * S) / M * 0.625 + kept * 0.45
    archive = 1 * S / M * 5.00 + readings * 36 / GB * 0.023
    by_hand = iot + stream + 3 * TASK + ENDPOINTS + table + archive + readings * 0.01 * ALERT + FIXED
    assert bill(Inputs(devices=600_000)).total == near(by_hand)


def test_gateways_that_send_twenty_readings_a_message() -> None:
    """1,000 readings a second are 50 messages of 4,000 bytes: one unit of 5 KB each. No alert rule, which sees none."""
    messages, readings = 50 * S, 1000 * S
    iot = messages / M * (1.00 + 0.15 + 0.15) + 60_000 * H * 60 / M * 0.08
    stream = H * 0.035 + messages / M * 0.014
    table = (readings + 200 * S) / M * 0.625 + 1000 * 30 * 86_400 * 230 / GB * 0.45
    by_hand = iot + stream + TASK + ENDPOINTS + readings * 200 / GB * 0.01 + table + readings * 0.01 * ALERT + FIXED
    assert bill(Inputs(devices=60_000, per_record=20)).total == near(by_hand)


def test_large_messages_pay_in_units_of_5_kb() -> None:
    """A message of 12,000 bytes is three, to the rules too."""
    made = bill(Inputs(devices=6000, payload=12_000))
    minutes = 6000 * H * 60 / M * 0.08
    assert made.services()["IoT Core"] == near(100 * S / M * 3 * (1.00 + 0.60) + minutes)


def test_basic_ingest_pays_no_messages() -> None:
    made = bill(Inputs(devices=60_000, intake="basic-ingest"))
    assert made.services()["IoT Core"] == near(1000 * S / M * (0.15 + 0.15) + 60_000 * H * 60 / M * 0.08)


def test_an_on_demand_stream_with_fan_out_and_three_days() -> None:
    """Records of 200 bytes count as 1 KB on their way in, as they are on their way out; two days beyond the first."""
    into, out = 1000 * S * 1024 / GB, 1000 * S * 200 / GB
    by_hand = H * 0.04 + into * 0.08 + out * 0.05 + into * 48 / H * 0.10
    made = bill(Inputs(devices=60_000, stream="on-demand", fan_out="yes", retention=72))
    assert kinesis(made) == near(by_hand)


def test_shards_with_fan_out_that_keep_a_month() -> None:
    """2 shards; what is older than a week is paid by its size."""
    gb = 1000 * S * 200 / GB
    by_hand = 2 * H * (0.015 + 0.020 + 0.015) + 1000 * S / M * 0.014 + gb * 0.013 + gb * (720 - 168) / H * 0.023
    assert kinesis(bill(Inputs(devices=60_000, fan_out="yes", retention=720))) == near(by_hand)


def test_a_table_with_provisioned_and_with_reserved_capacity() -> None:
    """1,000 units a second at 70 %: 1,429, or 15 hundreds for a year."""
    rest = 60_000 / 900 * S / M * 0.625 + 1000 * 30 * 86_400 * 230 / GB * 0.45
    provisioned = bill(Inputs(devices=60_000, table="provisioned")).services()["DynamoDB"]
    reserved = bill(Inputs(devices=60_000, table="reserved")).services()["DynamoDB"]
    assert provisioned == near(1429 * H * 0.00065 + rest)
    assert reserved == near(15 * (150 / 12 + H * 0.0128) + rest)


def test_a_table_for_a_year_in_standard_ia() -> None:
    kept = 100 * 365 * 86_400 * 230 / GB
    by_hand = 100 * S / M * 0.78 + kept * (0.10 + 0.20) + 20 * S / M * 0.625
    made = bill(Inputs(devices=6000, row_days=365, table_class="infrequent"))
    assert made.services()["DynamoDB"] == near(by_hand)


def test_rollups_of_a_minute_at_a_reading_a_second() -> None:
    """100 devices of a shard whose archive objects last a minute: each window meets two of them, so two write units a
    minute instead of sixty. The row of a window has some 530 bytes."""
    by_hand = (100 / 60 * 2 + 100 / 900) * S / M * 0.625 + 100 / 60 * 30 * 86_400 * 530 / GB * 0.45
    made = bill(Inputs(devices=100, interval=1, resolution="1m"))
    assert made.services()["DynamoDB"] == near(by_hand)
    every = next(item for item in bill(Inputs(devices=100, interval=1)).items if item.name == "rows")
    windows = next(item for item in made.items if item.name == "rollups")
    assert windows.amount <= every.amount / 20


def test_rollups_where_archive_objects_are_shorter_than_windows() -> None:
    """1,000 readings a second in two shards: an object is full after 20 s, so four write units a minute and device."""
    made = bill(Inputs(devices=1000, interval=1, resolution="1m"))
    rollups = next(item for item in made.items if item.name == "rollups")
    assert rollups.amount == near(1000 * (1 / 20 + 1 / 60) * S / M)


def test_rows_for_a_week_and_rollups_of_a_minute_for_a_year() -> None:
    """The whole bill of 100 devices that send a reading a second straight into the stream: a shard and a task, an
    archive object a minute, a row a reading, and two writes of a rollup a minute and device."""
    readings = 100 * S
    stream = H * (0.015 + 0.020) + readings / M * 0.014
    writes = (100 + 100 * 2 / 60 + 100 / 900) * S / M * 0.625
    kept = (100 * 7 * 86_400 * 230 + 100 / 60 * 365 * 86_400 * 530) / GB * (0.25 + 0.20)
    archive = S / 60 / M * 5.00 + readings * 36 / GB * 0.023
    alert = readings * 0.01 * ALERT
    made = bill(Inputs(devices=100, interval=1, intake="kinesis", resolution="0,1m", row_days=7, rollup_days=365))
    assert made.total == near(stream + TASK + ENDPOINTS + writes + kept + archive + alert + FIXED)


def test_rollups_of_an_hour_at_a_reading_a_minute() -> None:
    """60,000 devices; an archive object lasts ten minutes, so a window has six and meets a seventh: instead of sixty
    writes an hour and device seven."""
    writes = (60_000 * 7 / 3600 + 60_000 / 900) * S / M * 0.625
    kept = 60_000 / 3600 * 30 * 86_400 * 530 / GB * 0.45
    made = bill(Inputs(devices=60_000, resolution="1h", object_seconds=600, object_records=400_000))
    assert made.services()["DynamoDB"] == near(writes + kept)


def test_tasks_on_x86_and_on_spot() -> None:
    """10,000 readings a second take three tasks of 0.5 vCPU and 1 GB."""
    x86 = bill(Inputs(devices=600_000, processor="x86")).services()["Fargate"]
    spot = bill(Inputs(devices=600_000, spot="yes")).services()["Fargate"]
    assert x86 == near(3 * H * (0.5 * 0.04048 + 0.004445))
    assert spot == near(0.4 * 3 * TASK)


def test_lambda_and_firehose() -> None:
    """The function: 2 calls a second of 500 records, 180 us of CPU and 400 us of waiting for a reading, with 1,769 MB.
    Firehose counts each record as 5 KB and writes an object for each 128 MB, at least every five minutes."""
    readings = 1000 * S
    iot = (1000 * 1.00 + (2628 - 1000) * 0.80) + 2628 * 0.60 + 60_000 * H * 60 / M * 0.08
    stream = 2 * H * 0.035 + readings / M * 0.014
    function = 2 * S / M * 0.20 + readings * 580e-6 * 1769 / 1024 * 0.0000133334
    firehose = readings * 5 * 1024 / GB * 0.029
    table = readings / M * 0.625 + 1000 * 30 * 86_400 * 230 / GB * 0.45
    made = bill(Inputs(devices=60_000, design="lambda"))
    assert made.services()["Lambda"] == near(function)
    assert made.services()["Firehose"] == near(firehose)
    assert made.total == near(iot + stream + function + firehose + table + readings * 0.01 * ALERT + FIXED)


def test_iot_rules_that_write_rows_and_objects() -> None:
    """A rule with two actions, and that of the alerts; an object for each message at 5.00 a million."""
    readings = 100 * S
    iot = readings / M * (1.00 + 2 * 0.15 + 3 * 0.15) + 6000 * H * 60 / M * 0.08
    table = readings / M * 0.625 + 100 * 30 * 86_400 * 230 / GB * 0.45
    archive = readings / M * 5.00 + readings * 200 / GB * 0.023
    made = bill(Inputs(devices=6000, design="rules"))
    assert made.total == near(iot + table + archive + readings * 0.01 * ALERT + FIXED)


def test_another_region_is_a_multiple_of_all_prices() -> None:
    assert bill(Inputs(region="eu-central-1")).total == pytest.approx(1.2 * bill(Inputs()).total)
