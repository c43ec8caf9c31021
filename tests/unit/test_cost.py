"""What docs say of money follows from the planner and its prices."""

import re

import pytest

from infra.deploy.templates import DATA, INFRA, read
from infra.docs import cost
from infra.docs.prices import filled, written
from producer.plan.inputs import Inputs
from producer.plan.prices import PRICES
from producer.plan.quantities import ALARM_METRICS, METRICS, rules
from producer.plan.size import size

ROOT = INFRA.parent
KNOWS = {"producer/plan/prices.json", "tests/unit/test_plan_bills.py", "tests/unit/test_cost.py"}
"""Files that may have a price in them: the one that knows them, and the tests that work bills by hand."""


def test_each_message_pays_for_every_rule_that_it_meets() -> None:
    found = [each for each in read(DATA)["Resources"].values() if each["Type"] == "AWS::IoT::TopicRule"]
    assert sum("Condition" not in each for each in found) == rules(Inputs())


def test_alarms_and_metrics_are_as_many_as_are_counted() -> None:
    from consumer.sinks.cloudwatch import ServiceMetric

    assert len(ServiceMetric) + 1 == METRICS
    resources = read(INFRA / "service.yaml")["Resources"].values()
    alarms = [
        each["Properties"]
        for each in resources
        if each["Type"] == "AWS::CloudWatch::Alarm" and each.get("Condition") not in ("Compacts", "HasAlertSchedule")
    ]
    assert (
        sum(sum("MetricStat" in metric for metric in each.get("Metrics", [])) or 1 for each in alarms) == ALARM_METRICS
    )


def test_it_says_which_archive_objects_are_too_small_for_tiering() -> None:
    """60 s of one shard, or 10,000 records."""
    sizes = [round(cost.object_kb(size(cost.fleet_of(rate)))) for rate in (10, 100, 1_000)]
    assert sizes == [21, 212, 353]
    assert "60 readings" in cost.notes()
    assert cost.object_kb(size(cost.fleet_of(60))) < cost.TIERED_KB < cost.object_kb(size(cost.fleet_of(61)))


def test_the_estimate_has_every_item_and_their_sum() -> None:
    lines = [line.split(" | ") for line in cost.table()]
    together = next(line for line in lines if "**together**" in line[0])
    columns = [sum(float(line[i].strip("| ").replace(",", "")) for line in lines if ": " in line[0]) for i in (2, 3, 4)]
    sums = [float(each.strip("*| ").replace(",", "")) for each in together[2:5]]
    assert columns == pytest.approx(sums, rel=0.01)


def test_no_code_but_the_planners_file_knows_a_price() -> None:
    """A price is a number below 1 with three or more digits that the file has, such as 0.625."""
    prices = {written(each) for each in PRICES.values()}
    telling = {each for each in prices if each < "1" and len(each.replace(".", "").strip("0")) >= 3}
    found = {
        (path.relative_to(ROOT).as_posix(), number)
        for folder in ("consumer", "producer", "infra", "config", "tests")
        for path in (ROOT / folder).rglob("*.py")
        for number in re.findall(r"(?<![\w.])\d+\.\d+(?![\w.])", path.read_text())
        if number in telling
    }
    assert {(path, number) for path, number in found if path not in KNOWS} == set()


def test_prices_are_written_as_people_write_them() -> None:
    assert [written(value) for value in (1, 0.6, 0.023, 0.0000133334)] == ["1.00", "0.60", "0.023", "0.0000133334"]
    assert filled("{s3_gb_month} a GB, about {task_month} a task") == "0.023 a GB, about 14 a task"
    with pytest.raises(KeyError):
        filled("{unknown}")
