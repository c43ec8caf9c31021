"""What a message in the queue of undelivered messages is."""

import base64
import json
from typing import Any

import pytest

from producer.fleet.topics import patterns
from producer.ops import undelivered
from producer.ops.undelivered import MAX_RECORD, Task

NUMBER = b'{"name":"a","humidity":20.00000000000000000000000000000000000001}'
TOPICS = patterns("device/{device}/devicePayload,site/a/{device}")
EVENT = NUMBER[:-1] + b',"sensorstreamDevice":"a"}'
DENIED = (
    "Failed to put. The error received was: no. (Service: Kinesis, Status Code: 400; Error Code: AccessDeniedException)"
)


def rule_error(payload: bytes = NUMBER, topic: Any = "device/a/devicePayload", **changed: Any) -> str:
    """As AWS IoT's developer guide shows it."""
    reported = {
        "ruleName": "stack_ReadingsRule_x",
        "topic": topic,
        "cloudwatchTraceId": "7e146a2c-95b5-6caf-98b9-50e3969734c7",
        "clientId": "a",
        "base64OriginalPayload": base64.b64encode(payload).decode(),
        "failures": [{"failedAction": "KinesisAction", "failedResource": "stream", "errorMessage": DENIED}],
    }
    return json.dumps(reported | changed)


def task_of(body: str) -> Task:
    return undelivered.task_of(body, TOPICS)


def failures(*actions: str) -> list[dict[str, str]]:
    return [{"failedAction": name, "failedResource": "x", "errorMessage": "it broke"} for name in actions]


def test_a_reading_goes_into_the_stream_under_its_devices_name() -> None:
    assert task_of(rule_error()) == Task("KinesisAction: AccessDeniedException", ("a", NUMBER))


@pytest.mark.parametrize("payload", [b"", b"\xff\xfe\x00", b"[" * 5000])
def test_a_reading_is_whatever_bytes_the_device_sent(payload: bytes) -> None:
    assert task_of(rule_error(payload)).record == ("a", payload)


def test_what_the_humidity_rule_could_not_send_goes_to_the_function_only_with_its_topics_device() -> None:
    assert task_of(rule_error(failures=failures("LambdaAction"))) == Task("LambdaAction: other", None, EVENT)


def test_a_rule_with_both_actions_gets_both() -> None:
    found = task_of(rule_error(failures=failures("KinesisAction", "LambdaAction")))
    assert (found.record, found.event, found.goes_to) == (("a", NUMBER), EVENT, "stream+function")


def test_the_functions_event_keeps_every_digit() -> None:
    body = (
        '{"version":"1.0","timestamp":"2026-11-25T10:00:00.000Z","requestContext":{"requestId":"r","functionArn":"f",'
        '"condition":"RetriesExhausted","approximateInvokeCount":3},"requestPayload":' + NUMBER.decode() + ","
        '"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},'
        '"responsePayload":{"errorMessage":"name","errorType":"KeyError"}}'
    )
    assert task_of(body) == Task("alert function: RetriesExhausted: KeyError", None, NUMBER)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ("[" * 100_000, "not a JSON object"),
        ('"' + "\ud800" + '"', "not a JSON object"),
        ("{}", "neither"),
        (rule_error(base64OriginalPayload="*"), "not base64"),
        (rule_error(base64OriginalPayload=7), "malformed"),
        (rule_error(topic=7), "malformed"),
        (rule_error(topic="device"), "no partition key"),
        (rule_error(topic="device//devicePayload"), "no partition key"),
        (rule_error(topic=f"device/{'x' * 257}/devicePayload"), "no partition key"),
        (rule_error(failures=[]), "no failed action"),
        (rule_error(failures=failures("S3Action")), "S3Action"),
        (rule_error(b"malformed", failures=failures("LambdaAction")), "not a JSON object"),
        (rule_error(b"x" * MAX_RECORD), "too large"),
        ('{"requestContext":{"condition":"EventAgeExceeded"}}', "not a JSON object"),
        ('{"requestContext":{},"requestPayload":{}}', "condition"),
    ],
)
def test_what_cannot_be_delivered_says_why(body: str, word: str) -> None:
    task = task_of(body)
    assert not task.sendable
    assert word in task.reason


@pytest.mark.parametrize(("topic", "key"), [("device/a b/devicePayload", "a b"), ("site/a/probe", "probe")])
def test_the_key_is_the_devices_level_of_its_topic(topic: str, key: str) -> None:
    assert task_of(rule_error(topic=topic)).record == (key, NUMBER)


def test_a_topic_of_no_pattern_names_no_device() -> None:
    assert "no partition key" in task_of(rule_error(topic="site/b/probe")).reason


def test_an_alert_of_a_topic_that_is_no_longer_ours_is_told_all_the_same() -> None:
    body = rule_error(topic="gone/a", failures=failures("LambdaAction"))
    assert task_of(body).event == NUMBER
