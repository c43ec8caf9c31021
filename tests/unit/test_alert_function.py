"""What the alert function tells: for which messages, in which words, and what nothing may stop."""

import importlib
import time
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest

from infra.deploy.templates import DATA, INFRA, read
from infra.functions.alert.fleet import iso

NOW = 1_767_268_800_000
ENVIRONMENT = read(DATA)["Resources"]["AlertFunction"]["Properties"]["Environment"]["Variables"]
DEFAULTS = {name: str(each.get("Default", "")) for name, each in read(DATA)["Parameters"].items()}


class Topic:
    """In SNS's place."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def publish(self, **message: Any) -> None:
        self.told.append(message)


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The handler's module with the environment that the template gives it by default."""
    monkeypatch.syspath_prepend(str(INFRA / "functions"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    module = importlib.import_module("alert.handler")
    monkeypatch.setattr(module, "sns", Topic())
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, DEFAULTS.get(value["Ref"], "arn:topic"))
    return module


def told(function: ModuleType, event: dict[str, Any]) -> list[tuple[str, str, dict[str, str]]]:
    """Subject, text and attributes of what this event makes the function tell."""
    function.handle(event, None)
    return [
        (t["Subject"], t["Message"], {k: v["StringValue"] for k, v in t["MessageAttributes"].items()})
        for t in function.sns.told
    ]


SUBJECT = "Attention:Humidity Under Threshold"


class Readings:
    """In the place of what follows from readings under a policy."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Decimal, str, int]] = []

    def reading(self, device: str, value: Decimal, sent: str, at: int) -> None:
        self.seen.append((device, value, sent, at))


@pytest.mark.parametrize(
    ("value", "sent", "shown"),
    [
        ("20", NOW, "20"),
        ("-1e125", NOW, "-1e125"),
        ("-1e126", NOW, None),
        ("-1e9999999", NOW, None),
        ("0" * 100_000 + "20", NOW, "20"),
        ("20." + "3" * 100_000, NOW, "20.333333333333333333"),
        ("20", "9999-12-31T23:59:59-12:00", "20"),
    ],
)
def test_under_a_policy_no_value_and_no_time_is_too_much(
    function: ModuleType, monkeypatch: pytest.MonkeyPatch, value: str, sent: Any, shown: str | None
) -> None:
    readings = Readings()
    monkeypatch.setattr(function, "alerts", lambda: readings)
    function.observe("a", value, sent, time.time_ns() // 1_000_000)
    assert [each[2] for each in readings.seen] == ([] if shown is None else [shown])
    assert all(iso(each[3]) for each in readings.seen)


@pytest.mark.parametrize("event", [{}, {"humidity": 20, "timeStampEpoch": 1, "sensorstreamArrival": NOW}])
def test_what_is_not_reported_is_logged_whatever_the_device_is_called(
    function: ModuleType, event: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(function, {"name": "a\ud800\n", **event}) == []
    log = capsys.readouterr().out
    assert log.encode().startswith(b"not reported: ")
    assert log.count("\n") == 1


def test_by_default_the_texts_are_the_references_own(function: ModuleType) -> None:
    assert told(function, {"name": "a", "humidity": 20.5, "timeStampEpoch": NOW, "sensorstreamArrival": NOW + 50}) == [
        (SUBJECT, "Humidity 20.5 under threshold for device name a", {"device": "a", "value": "20.5", "time": str(NOW)})
    ]


@pytest.mark.parametrize("value", ["20", "20.000000000000000000000000000000000000001", " 7 "])
def test_a_text_with_a_number_is_told_as_it_was_sent(function: ModuleType, value: str) -> None:
    [(_, text, _)] = told(function, {"name": "a", "humidity": value})
    assert text == f"Humidity {value} under threshold for device name a"


@pytest.mark.parametrize(
    ("changed", "subject", "text"),
    [
        ({"ALERT_FIELD": "soil.moisture"}, "Attention:soil.moisture Under Threshold",
         "soil.moisture 12 under threshold for device name kitchen"),
        ({"ALERT_FIELD": "soil.moisture", "ALERT_WHEN": "above"}, "Attention:soil.moisture Over Threshold",
         "soil.moisture 12 over threshold for device name kitchen"),
        ({"ALERT_FIELD": "battery", "ALERT_UNIT": "%"}, "Attention:battery Under Threshold",
         "battery 3 % under threshold for device name kitchen"),
        ({"ALERT_FIELD": "battery", "ALERT_DEVICE_FIELD": "info.id"}, "Attention:battery Under Threshold",
         "battery 3 under threshold for device name 77"),
    ],
)  # fmt: skip
def test_another_field_is_told_by_its_name(
    function: ModuleType, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], subject: str, text: str
) -> None:
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    event = {"soil": {"moisture": 12}, "battery": 3, "info": {"id": 77}, "sensorstreamDevice": "kitchen"}
    [(found, said, attributes)] = told(function, event)
    assert (found, said) == (subject, text)
    assert attributes["field"] == changed["ALERT_FIELD"]


@pytest.mark.parametrize(
    ("event", "device"),
    [
        ({"name": "x", "sensorstreamDevice": "y"}, "x"),
        ({"name": "", "sensorstreamDevice": "y"}, "y"),
        ({"name": {"first": "x"}, "sensorstreamDevice": "y"}, "y"),
        ({"name": 7}, "7"),
        ({}, "unknown"),
    ],
)
def test_a_devices_name_is_the_payloads_or_the_topics(function: ModuleType, event: dict[str, Any], device: str) -> None:
    [(_, text, _)] = told(function, {**event, "humidity": 1})
    assert text.endswith(f" for device name {device}")


def test_a_reading_of_the_consumer_needs_no_message(function: ModuleType) -> None:
    event = {"sensorstreamDevice": "a", "sensorstreamValue": "20.10", "sensorstreamTime": NOW}
    assert told(function, {**event, "sensorstreamArrival": NOW}) == [
        (
            SUBJECT,
            "Humidity 20.10 under threshold for device name a",
            {"device": "a", "value": "20.10", "time": str(NOW)},
        )
    ]


@pytest.mark.parametrize(
    ("time", "tells"),
    [
        (NOW, True),
        (NOW - 86_400_000, True),
        (NOW - 86_401_000, False),
        (NOW // 1000 - 90_000, False),
        (str(NOW - 90_000_000), False),
        ("2025-12-01T12:00:00Z", False),
        ("2026-01-01T11:59:00", True),
        ((NOW - 90_000_000) * 1000, False),
        ((NOW - 90_000_000) * 1_000_000, False),
        (NOW + 10**9, True),
        ("yesterday", True),
        (None, True),
        ([1], True),
        (10**400, True),
        ("nan", True),
    ],
)
def test_a_reading_that_was_old_when_it_arrived_is_not_told_as_if_it_were_now(
    function: ModuleType, time: Any, tells: bool
) -> None:
    """By default that is a day; where the time is not known there is nothing to go by."""
    event = {"name": "a", "humidity": 1, "timeStampEpoch": time, "sensorstreamArrival": NOW}
    assert len(told(function, event)) == int(tells)


def test_what_waited_for_us_is_told_however_late(function: ModuleType) -> None:
    """From the queue of what could not be delivered: nobody knows any more when it arrived."""
    assert told(function, {"name": "a", "humidity": 1, "timeStampEpoch": 1_000_000_000_000})


def test_any_age_is_told_where_there_is_no_bound(function: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_MAX_AGE", "0")
    event = {"name": "a", "humidity": 1, "timeStampEpoch": 1_000_000_000_000, "sensorstreamArrival": NOW}
    assert told(function, event)


@pytest.mark.parametrize("event", [{}, {"humidity": None}, {"soil": []}, {"sensorstreamDevice": "a"}])
def test_a_message_without_the_field_fails_nothing_and_tells_nothing(
    function: ModuleType, event: dict[str, Any]
) -> None:
    assert told(function, event) == []
