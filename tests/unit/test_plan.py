"""The planner around its bills: inputs, sizes, alternatives, quotas, sources, and the command."""

import json
import re
from dataclasses import fields, replace
from decimal import Decimal

import pytest

from consumer.setting_types import resolution
from consumer.settings import Settings
from consumer.sinks.device_list import MAX_NAMES
from consumer.sinks.rollup_rows import Counted, Length, Row, place, put_body
from consumer.sinks.windows import Summary, Window
from infra.deploy.templates import INFRA
from producer.cli import main
from producer.plan.alternatives import alternatives, sensitivity
from producer.plan.bill import bill
from producer.plan.inputs import CHOICES, RANGES, Inputs, parse
from producer.plan.planner import plan
from producer.plan.prices import DATA, FIGURES, PRICES, seen
from producer.plan.quotas import quotas
from producer.plan.size import LISTED_NAMES, LISTED_SECONDS, ROLLUP_BYTES, size
from tests.unit.fakes import item_bytes

RESULTS = INFRA.parent / "tests" / "bench" / "results"


def test_every_price_has_a_source_with_an_address_and_a_day() -> None:
    for source in DATA["sources"].values():
        assert re.fullmatch(r"https://\S+", source["address"])
        assert re.fullmatch(r"2026-\d\d-\d\d", source["read"])
        assert source["seen"] in ("aws", "others", "no")
    assert {seen(price) for price in PRICES} == {"aws", "others", "no"}
    assert {price["source"] for price in DATA["prices"].values()} == DATA["sources"].keys()


def test_the_measured_figures_are_those_of_the_bench() -> None:
    """They are copied, since a wheel has no tests: within what two runs of the bench differ by."""
    bench = json.loads((RESULTS / "performance.json").read_text())
    measured = {
        "service_us": bench["live_us"],
        "daemon_us": bench["task"]["ours"]["java"]["median"],
        "service_mb": bench["drain"]["1"]["service_mb"],
        "daemon_mb": bench["drain"]["1"]["daemon_mb"],
        "shard_mb": bench["summary"]["mb_per_extra_shard"],
        "archive_bytes": bench["archive_bytes"],
        "plain_us": bench["python"]["sample_like"]["500"]["median"],
    }
    assert {name: FIGURES[name] for name in measured} == pytest.approx(measured, rel=0.25)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"devices": "0"}, "devices must be a whole number from 1 to 10,000,000"),
        ({"devices": "1.5"}, "devices must be a whole number"),
        ({"devices": "many"}, "devices must be a number"),
        ({"interval": "nan"}, "interval must be a number from 0.01 to 86,400"),
        ({"alerts": "1.1"}, "alerts must be a number from 0 to 1"),
        ({"stream": "kafka"}, "stream must be one of provisioned, on-demand, advantage"),
        ({"region": "mars-1"}, "region must be one of us-east-1"),
        ({"table": "reserved", "table_class": "infrequent"}, "cannot have reserved capacity"),
        ({"design": "rules", "intake": "kinesis"}, "need messages of IoT Core"),
        ({"design": "lambda", "resolution": "1m"}, "written by this system alone"),
        ({"colour": "red"}, "colour is no input of a plan"),
    ],
)
def test_what_cannot_be_planned_is_said(given: dict[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        parse(given)


def test_every_choice_alone_has_a_bill_of_known_prices() -> None:
    for name, (choices, _) in CHOICES.items():
        for choice in choices:
            made = bill(parse({name: choice}))
            assert made.total > 0
            assert all(item.usd > 0 for item in made.items)


def test_a_fleet_takes_shards_by_records_or_by_bytes_and_tasks_by_the_bench() -> None:
    assert size(Inputs(devices=60 * 800)).shards == 1
    assert size(Inputs(devices=60 * 801)).shards == 2
    assert size(Inputs(devices=60 * 100, payload=16_000)).shards == 2
    assert size(Inputs(devices=60 * 100, stream="on-demand")).shards == 4
    us = FIGURES["service_us"] + FIGURES["daemon_us"]
    assert size(Inputs(devices=600_000)).tasks == -(-10_000 * us // 250_000)
    batches = size(Inputs(devices=600_000, per_record=100))
    assert (batches.shards, batches.tasks) == (3, 2), "two megabytes a second; the daemon unpacks a hundredth"
    assert size(Inputs(design="rules")).shards == size(Inputs(design="lambda")).tasks == 0


def test_devices_that_no_worker_remembers_are_listed_at_each_reading() -> None:
    """A worker remembers three million (consumer/sinks/device_list.py)."""
    assert size(Inputs(devices=3_000_000, interval=3000)).listed == pytest.approx(3_000_000 / 3000)
    assert size(Inputs(devices=3_300_000, interval=1000)).listed == pytest.approx(3_000_000 / 1000 + 300_000 / 1000)


def test_the_defaults_that_it_reckons_with_are_the_consumers() -> None:
    defaults = {field.name: field.default for field in fields(Settings)}
    reckoned = (LISTED_SECONDS, Inputs().object_seconds, Inputs().object_records)
    assert reckoned == tuple(
        defaults[name] for name in ("devices_seconds", "archive_max_seconds", "archive_max_records")
    )
    assert LISTED_NAMES == MAX_NAMES


def test_rollups_are_planned_as_the_consumer_writes_them() -> None:
    """Its setting takes every choice; a row that has counted a second archive object, with what it held before, has the
    bytes that are planned, with the 100 that DynamoDB adds to what it keeps."""
    for choice in CHOICES["resolution"][0]:
        assert resolution(choice).seconds == (Inputs(resolution=choice).window or 0)
        assert resolution(choice).readings == Inputs(resolution=choice).every_reading
    start = 1_795_305_600_000
    value = Summary(Decimal("21.57"), start + 59_000, Decimal("20.1"), Decimal("23.4"), Decimal("1294.2"), 60)
    window = Window(start, start + 59_000, 60, {"": value})
    where = place(("soilSensor1", start), Length(60), "shardId-000000000000")
    row = Row(Counted((int("49" + 54 * "0"), 0), 1_795_305_600_000), window, window)
    item = json.loads(put_body("rollups", where, row, None))["Item"]
    assert item_bytes({"M": item}) + 100 == pytest.approx(ROLLUP_BYTES, rel=0.1)


def test_alternatives_differ_from_what_is_planned_and_from_each_other() -> None:
    for inputs in (Inputs(), Inputs(table="reserved", stream="advantage", resolution="1m"), Inputs(design="lambda")):
        planned = bill(inputs)
        found = {each.name: each.bill for each in alternatives(inputs)}
        assert len(found) > 8
        assert all(made != planned for made in found.values())
    assert "reserved table" not in {each.name for each in alternatives(Inputs(table="reserved"))}
    assert "Standard-IA table" not in {each.name for each in alternatives(Inputs(table="reserved"))}
    assert "IoT rules alone" not in {each.name for each in alternatives(Inputs(intake="kinesis"))}


def test_what_moves_the_bill_most_comes_first() -> None:
    inputs = Inputs(devices=60_000)
    changes = sensitivity(inputs)
    assert changes.keys() == RANGES.keys()
    assert next(iter(changes)) == "devices"
    assert changes["devices"] == pytest.approx(bill(replace(inputs, devices=120_000)).total / bill(inputs).total - 1)
    assert sorted(map(abs, changes.values()), reverse=True) == list(map(abs, changes.values()))
    assert "devices" not in sensitivity(Inputs(devices=6_000_000)), "there is no room to double it"


@pytest.mark.parametrize(
    ("inputs", "name"),
    [
        (Inputs(devices=660_000), "iot_rules"),
        (Inputs(devices=1_300_000), "iot_messages"),
        (Inputs(devices=600_000, interval=600), "iot_connections"),
        (Inputs(devices=1, payload=100_000, per_record=2), "iot_message_bytes"),
        (Inputs(devices=1, payload=100_000, per_record=20, intake="kinesis"), "kinesis_record_bytes"),
        (Inputs(devices=3_000_000, intake="kinesis"), "dynamodb_writes"),
        (Inputs(devices=270_000), "dynamodb_new_writes"),
        (Inputs(devices=600_000, payload=2000, stream="on-demand"), "kinesis_on_demand_start_mb"),
        (Inputs(devices=10_000_000, payload=3000, intake="kinesis"), "kinesis_template_shards"),
        (Inputs(devices=240_000, design="rules"), "s3_prefix_puts"),
        (Inputs(devices=9_000_000, alerts=1), "lambda_concurrency"),
        (Inputs(devices=1_500_000, intake="kinesis"), "fargate_vcpus"),
    ],
)
def test_quotas_that_would_be_hit_are_named(inputs: Inputs, name: str) -> None:
    hit = {quota.name for quota in quotas(inputs, size(inputs)) if quota.used > 1}
    assert name in hit


def test_the_quotas_are_those_of_the_documents() -> None:
    limits = (INFRA.parent / "docs" / "limits.md").read_text()
    for name, quota in DATA["quotas"].items():
        if "bytes" not in name and quota["source"].startswith("https"):
            assert re.search(rf"\b{quota['limit']:,}\b", limits), name
            assert quota["source"] in limits, name


def test_the_command_prints_the_plan_or_its_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--devices", "700000", "--interval", "1m", "--region", "eu-central-1"]) == 0
    text = capsys.readouterr().out
    for word in ("shards 15", "together", "Basic Ingest", "what moves the bill most", "HIT", "rule evaluations"):
        assert word in text
    assert "eu-central-1 is taken as 1.2 times these, NOT VERIFIED" in text
    assert re.search(r"NOT VERIFIED: \d+% of the bill, IoT Core \(messages\)", text)
    assert main(["plan", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == plan(Inputs()).as_json()


def test_the_command_refuses_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--table", "reserved", "--table-class", "infrequent"]) == 2
    assert main(["plan", "--devices", "0"]) == 2
    assert main(["plan", "--devices", "1.5"]) == 2
    assert capsys.readouterr().err.count("\n") == 3


def test_the_command_says_that_it_is_not_make_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--help"]) == 0
    assert "make plan" in capsys.readouterr().out
    assert "sensorstream plan" in (INFRA.parent / "Makefile").read_text()
