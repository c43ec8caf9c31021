"""The estimate of docs/deploy.md counts what is paid for."""

import pytest

from infra.deploy.templates import DATA, read
from infra.docs import cost
from infra.prices import DATA as PRICE_DATA
from infra.prices import filled, written

MILLION_A_MONTH = 1 / cost.millions(1)


def test_each_message_pays_for_every_rule_that_it_meets() -> None:
    rules = [each for each in read(DATA)["Resources"].values() if each["Type"] == "AWS::IoT::TopicRule"]
    assert sum("Condition" not in each for each in rules) == cost.RULES
    messages = next(item for item in cost.ITEMS if item.name.startswith("IoT Core: messages"))
    assert messages.dollars(MILLION_A_MONTH) == pytest.approx(1.00 + 2 * (0.15 + 0.15))


def test_an_alert_pays_for_its_call_its_time_its_message_and_its_log() -> None:
    """At 128 MB a function has 1/14 of a vCPU: Lambda bills 14 times the CPU time, and the wait for SNS."""
    assert cost.alert_seconds() == pytest.approx(2.2e-3 * 1769 / 128 + 0.010)
    seconds = cost.alert_seconds() * 1e6 * 0.125
    assert seconds == pytest.approx(5_050, abs=5), "as the table's formula says"
    assert cost.million_alerts() == pytest.approx(0.20 + seconds * 0.0000133334 + 0.50 + 0.2)
    assert "10,000 devices" in cost.fleet()


def test_it_says_which_archive_objects_are_too_small_for_tiering() -> None:
    """60 s of one shard, or 10,000 records."""
    assert [round(cost.object_kb(rate)) for rate in (10, 100, 1_000)] == [12, 117, 195]
    assert cost.object_kb(109) < cost.TIERED_KB < cost.object_kb(110)
    (line,) = [line for line in cost.table() if "tiered from 128" in line]
    assert "*117* | *195* | *195*" in line


def test_every_price_has_a_known_source_and_a_day() -> None:
    assert {price["source"] for price in PRICE_DATA["prices"].values()} <= PRICE_DATA["sources"].keys()
    assert PRICE_DATA["as_of"] > "2026"


def test_prices_are_written_as_people_write_them() -> None:
    assert [written(value) for value in (1, 0.6, 0.023, 0.0000133334)] == ["1.00", "0.60", "0.023", "0.0000133334"]
    assert filled("{s3_gb_month} a GB, about {task_month} a task") == "0.023 a GB, about 14 a task"
    with pytest.raises(KeyError):
        filled("{unknown}")
