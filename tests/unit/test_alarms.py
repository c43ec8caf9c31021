"""The service's alarms in CloudWatch and its scaling: what each calls, on which metrics, when it fires and when not."""

import json
import re
from typing import Any

import pytest

from consumer.sinks.cloudwatch import ServiceMetric
from infra.deploy.templates import INFRA
from producer.compact.metric import METRIC
from tests.unit.alarms import Point, expression, metrics, state
from tests.unit.policies import TEMPLATES, Resource, label, of

ROOT = INFRA.parent
SERVICE = TEMPLATES["service"]
ALARMS = of("AWS::CloudWatch::Alarm")
FOR_SCALING = {"LagForScaling": "ScaleOutByLag", "IdleForScaling": "ScaleInWhenIdle"}
FOR_PEOPLE = [alarm for alarm in ALARMS if alarm.name not in FOR_SCALING]
NAMED = {alarm.name: alarm for alarm in ALARMS}
OURS = {"Ref": "CloudWatchNamespace"}


@pytest.mark.parametrize("alarm", FOR_PEOPLE, ids=label)
def test_an_alarm_calls_people_and_names_its_section_of_the_operations(alarm: Resource) -> None:
    properties = alarm.properties
    assert properties["AlarmActions"] == [{"Ref": "AlertTopicArn"}]
    assert properties["AlarmName"] == {"Fn::Sub": f"${{DataStack}}-{alarm.name}"}, "the topic's policy goes by it"
    assert properties["TreatMissingData"] in ("breaching", "notBreaching", "ignore")
    page, _, anchor = properties["AlarmDescription"]["Fn::Sub"].split()[-1].partition("#")
    assert page == "${Runbook}"
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("alarm", FOR_PEOPLE, ids=label)
def test_the_operations_page_lists_every_alarm(alarm: Resource) -> None:
    assert f"`{alarm.name}`" in (ROOT / "docs/operations.md").read_text()


@pytest.mark.parametrize("alarm", ALARMS, ids=label)
def test_an_alarm_on_the_service_goes_by_a_counter_that_it_sends(alarm: Resource) -> None:
    sent = (ROOT / "consumer/service.py").read_text()
    for metric in metrics(alarm):
        if metric.get("Namespace") == OURS and metric["MetricName"] != METRIC:
            assert f"ServiceMetric.{ServiceMetric(metric['MetricName']).name}: " in sent
            assert metric["Dimensions"] == [{"Name": "Application", "Value": {"Ref": "ApplicationName"}}]


@pytest.mark.parametrize("alarm", ALARMS, ids=label)
def test_no_alarm_goes_by_what_other_readers_of_the_stream_do(alarm: Resource) -> None:
    """GetRecords.IteratorAgeMilliseconds counts every reader: an audit would page people and add tasks."""
    assert "AWS/Kinesis" not in {str(metric.get("Namespace")) for metric in metrics(alarm)}


@pytest.mark.parametrize("rule", ["ReadingsRule", "HumidityRule"])
def test_everything_that_a_rule_drops_has_an_alarm(rule: str) -> None:
    dimension = {"Name": "RuleName", "Value": {"Ref": rule}}
    watched = {
        metric["MetricName"]
        for alarm in ALARMS
        for metric in metrics(alarm)
        if metric.get("Namespace") == "AWS/IoT" and metric["Dimensions"] == [dimension]
    }
    queried = {
        found[1]
        for alarm in ALARMS
        if (found := re.search(rf"SUM\((\w+)\).*RuleName = '{rule}'", expression(alarm) or ""))
    }
    assert watched >= {"ParseError", "RuleMessageThrottled"}
    assert queried == {"Failure", "ErrorActionFailure"}


READ: Point = {"ReadAgeSeconds": 1.0, "OwnedShards": 1.0, "UnownedShards": 0.0, "LagSeconds": 55.0}
LATE: Point = {"LagSeconds": 60.0 + 301.0}
REJECTED: Point = {"ReadingsRejected": 600.0, "RowsWritten": 1000.0}
CASES: list[tuple[str, list[Point], str]] = [
    ("StreamUnreadable", [READ] * 5, "OK"),
    ("StreamUnreadable", [READ] * 4 + [{"ReadAgeSeconds": 500.0}], "OK"),
    ("StreamUnreadable", [{"ReadAgeSeconds": 121.0 + 60 * each} for each in range(5)], "ALARM"),
    ("StreamUnreadable", [{}] * 5, "ALARM"),  # no task sends anything
    ("StreamUnreadable", [READ, {}, READ, {}, READ], "OK"),  # two points in one minute, none in the next
    ("LagGrowing", [LATE] * 10, "ALARM"),
    ("LagGrowing", [READ] * 10, "OK"),
    ("LagGrowing", [LATE] * 9 + [READ], "OK"),
    ("RetentionRunsOut", [{"LagSeconds": 48 * 3600 / 4 + 1}] * 3, "ALARM"),
    ("RetentionRunsOut", [LATE] * 3, "OK"),
    ("CheckpointStale", [{"CheckpointAgeSeconds": 661.0}] * 5, "ALARM"),
    ("CheckpointStale", [{"CheckpointAgeSeconds": 600.0}] * 5, "OK"),
    ("ShardWithoutWorker", [{"UnownedShards": 1.0}] * 5, "ALARM"),
    ("ShardWithoutWorker", [{"UnownedShards": 4.0}] * 4 + [READ], "OK"),  # a hand-over
    ("NoShardOwned", [{"OwnedShards": 0.0}] * 5, "ALARM"),
    ("NoShardOwned", [{}] * 5, "ALARM"),
    ("NoShardOwned", [READ, {}, READ, {}, READ], "OK"),
    ("DeadLetters", [{"ReadingsRejected": 1.0, "RowsWritten": 3.0}], "OK"),  # a handful
    ("DeadLetters", [{"ReadingsRejected": 40.0, "RowsWritten": 4000.0}], "OK"),  # the usual malformed payloads
    ("DeadLetters", [{"ReadingsRejected": 400.0, "RowsWritten": 4000.0}], "ALARM"),
    ("DeadLetters", [{}], "OK"),
    ("DeadLetterRatio", [{"ReadingsRejected": 400.0, "RowsWritten": 4000.0}] * 2, "OK"),
    ("DeadLetterRatio", [REJECTED] * 2, "ALARM"),
    ("DeadLetterRatio", [{"ReadingsRejected": 600.0, "RowsWritten": 0.0}] * 2, "ALARM"),
    ("DeadLetterRatio", [{"ReadingsRejected": 0.0, "RowsWritten": 0.0}] * 2, "OK"),
    ("ReadingsRuleFails", [{"Failure": 1.0}], "ALARM"),
    ("ReadingsRuleFails", [{}], "OK"),
    ("HumidityRuleFails", [{"Failure": 1.0}], "ALARM"),
    ("HumidityRuleFails", [{}], "OK"),
    ("ReadingsRuleLoses", [{"ErrorActionFailure": 1.0}], "ALARM"),
    ("ReadingsRuleLoses", [{"Failure": 1.0}], "OK"),
    ("HumidityRuleLoses", [{"ErrorActionFailure": 1.0}], "ALARM"),
    ("HumidityRuleLoses", [{}], "OK"),
    ("ReadingsRuleThrottled", [{"RuleMessageThrottled": 1.0}], "ALARM"),
    ("ReadingsRuleThrottled", [{}], "OK"),
    ("HumidityRuleThrottled", [{"RuleMessageThrottled": 1.0}], "ALARM"),
    ("HumidityRuleThrottled", [{}], "OK"),
    ("ReadingsRuleParseErrors", [{"ParseError": 50.0, "TopicMatch": 500.0}], "ALARM"),
    ("ReadingsRuleParseErrors", [{"ParseError": 5.0, "TopicMatch": 500.0}], "OK"),
    ("HumidityRuleParseErrors", [{"ParseError": 50.0, "TopicMatch": 500.0}], "ALARM"),
    ("HumidityRuleParseErrors", [{"ParseError": 9.0, "TopicMatch": 9.0}], "OK"),
    ("HumidityRuleParseErrors", [{"TopicMatch": 500.0}], "OK"),
    ("NoRunningTask", [{"CPUUtilization": 2.0}] * 5, "OK"),
    ("NoRunningTask", [{}] * 5, "ALARM"),
    ("TableThrottled", [{"WriteThrottleEvents": 1.0}] * 5, "ALARM"),
    ("TableThrottled", [{}] * 5, "OK"),
    ("QueryApiFails", [{"5xx": 1.0}] * 2, "ALARM"),
    ("QueryApiFails", [{"5xx": 9.0}, {"5xx": 0.0}], "OK"),
    ("AlertFunctionFails", [{"Errors": 1.0}], "ALARM"),
    ("AlertFunctionFails", [{"Errors": 0.0}], "OK"),
    ("AlertScheduleMissing", [{"Invocations": 5.0}] * 2, "OK"),
    ("AlertScheduleMissing", [{}, {"Invocations": 1.0}], "OK"),  # metrics come late
    ("AlertScheduleMissing", [{}] * 2, "ALARM"),
    ("AlertScheduleMissing", [{"Invocations": 5.0, "FailedInvocations": 5.0}] * 2, "ALARM"),
    ("AlertsNotSent", [{"AlertsFailed": 11.0}], "ALARM"),
    ("AlertsNotSent", [{"AlertsFailed": 2.0}], "OK"),  # a call that was repeated
    ("AlertsNotSent", [{}], "OK"),
    ("Undelivered", [{"ApproximateNumberOfMessagesVisible": 1.0}], "ALARM"),
    ("Undelivered", [{"ApproximateNumberOfMessagesVisible": 0.0}], "OK"),
    ("UndeliveredAge", [{"ApproximateAgeOfOldestMessage": 86401.0}], "ALARM"),
    ("UndeliveredAge", [{"ApproximateAgeOfOldestMessage": 600.0}], "OK"),
    ("CompactionFails", [{METRIC: 1.0}], "ALARM"),
    ("CompactionFails", [{METRIC: 0.0}], "OK"),
    ("CompactionMissing", [{}] * 26, "ALARM"),
    ("CompactionMissing", [{METRIC: 0.0}, *[{}] * 25], "OK"),  # daily
    ("CompactionMissing", [{METRIC: 9.0}] * 26, "OK"),  # they run, and CompactionFails says that they fail
    ("LagForScaling", [{"LagSeconds": 121.0, "ReadAgeSeconds": 1.0}] * 3, "ALARM"),
    ("LagForScaling", [{"LagSeconds": 62.0, "ReadAgeSeconds": 1.0}] * 3, "OK"),  # an archive object that is nearly due
    ("LagForScaling", [{"LagSeconds": 3600.0, "ReadAgeSeconds": 3600.0}] * 3, "OK"),  # no task can read it
    ("IdleForScaling", [{"LagSeconds": 62.0, "CPUUtilization": 10.0}] * 15, "ALARM"),
    ("IdleForScaling", [{"LagSeconds": 400.0, "CPUUtilization": 10.0}] * 15, "OK"),  # it waits for the table
    ("IdleForScaling", [{"LagSeconds": 1.0, "CPUUtilization": 50.0}] * 15, "OK"),
    ("IdleForScaling", [{"CPUUtilization": 1.0}] * 15, "OK"),  # nothing is known of the lag
]


@pytest.mark.parametrize(("name", "points", "expected"), CASES, ids=lambda each: each if isinstance(each, str) else "")
def test_when_it_fires_and_when_not(name: str, points: list[Point], expected: str) -> None:
    assert state(NAMED[name], points) == expected


def test_every_alarm_is_tested_both_ways() -> None:
    for alarm in ALARMS:
        assert {expected for name, _, expected in CASES if name == alarm.name} == {"OK", "ALARM"}, alarm.name


@pytest.mark.parametrize("name", ["LagGrowing", "RetentionRunsOut", "CheckpointStale", "ShardWithoutWorker"])
def test_without_metrics_nothing_has_become_better(name: str) -> None:
    assert state(NAMED[name], [{}] * 10, before="ALARM") == "ALARM"
    assert state(NAMED[name], [{}] * 10, before="OK") == "OK"


def test_a_failed_compaction_rings_until_a_run_leaves_nothing() -> None:
    assert state(NAMED["CompactionFails"], [{}], before="ALARM") == "ALARM"
    assert state(NAMED["CompactionFails"], [{METRIC: 0.0}], before="ALARM") == "OK"


def test_links_of_the_alarms_are_absolute_where_an_address_is_set_else_paths_of_this_repository() -> None:
    declared = SERVICE["Parameters"]["Runbook"]
    assert (ROOT / declared["Default"]).exists()
    for text in (declared["Default"], "https://wiki.example.com/sensorstream/operations"):
        assert re.search(declared["AllowedPattern"], text)
    assert not re.search(declared["AllowedPattern"], "wiki/operations")


def policy(name: str) -> dict[str, Any]:
    found: dict[str, Any] = SERVICE["Resources"][name]["Properties"]
    return found


def test_each_alarm_for_scaling_calls_its_policy_and_nothing_else_takes_tasks_away() -> None:
    for alarm, called in FOR_SCALING.items():
        assert NAMED[alarm].properties["AlarmActions"] == [{"Ref": called}]
    assert policy("ScaleByCpu")["TargetTrackingScalingPolicyConfiguration"]["DisableScaleIn"] is True
    steps = {
        each.name: [
            step["ScalingAdjustment"] for step in each.properties["StepScalingPolicyConfiguration"]["StepAdjustments"]
        ]
        for each in of("AWS::ApplicationAutoScaling::ScalingPolicy")
        if each.properties["PolicyType"] == "StepScaling"
    }
    assert steps == {"ScaleOutByLag": [1, 2], "ScaleInWhenIdle": [-1]}


def test_a_task_that_was_taken_away_is_not_added_again_at_once() -> None:
    """Of two tasks one is left with twice the CPU, which must stay below what adds a task."""
    [idle] = re.findall(r"cpu < (\d+)", expression(NAMED["IdleForScaling"]) or "")
    target = policy("ScaleByCpu")["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
    assert 2 * int(idle) <= target


def test_the_dashboard_is_a_document_that_shows_every_alarm_and_leads_with_the_lag() -> None:
    template, more = SERVICE["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    for name, condition in (("Compaction", "Compacts"), ("Schedule", "HasAlertSchedule")):
        found, shown_then, nothing = more[name]["Fn::If"]
        assert (found, nothing) == (condition, "")
        template = template.replace(f"${{{name}}}", shown_then["Fn::Sub"])
    body = json.loads(re.sub(r"\$\{[\w.:]+\}", "x", template))
    assert len(body["widgets"]) == 8
    assert body["widgets"][1]["properties"]["title"] == "Oldest record not written"
    assert set(re.findall(r"\$\{(\w+)\.Arn\}", template)) == {alarm.name for alarm in FOR_PEOPLE}
    shown = [each for widget in body["widgets"] for each in widget["properties"].get("metrics", ())]
    assert "LagSeconds" in [each[1] for each in shown if len(each) > 1]
    assert not [each for each in shown if "Age" in str(each) and "AWS/Kinesis" in each]
