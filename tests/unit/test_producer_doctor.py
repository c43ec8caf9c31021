"""What the doctor makes of answers that the emulator does not give."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.stub import Stubber

from producer.aws.errors import UserError
from producer.aws.stack import Stack
from producer.ops import checks, doctor, query_checks
from producer.ops import rule_probes as probes
from producer.ops.doctor import Check, Diagnosis

PLACE = {"region_name": "eu-central-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}


@pytest.fixture(autouse=True)
def _in_the_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


def answered(service: str, *answers: tuple[str, Any]) -> Stack:
    """A stack whose session has a client of the service that gives these answers."""
    client = boto3.session.Session(**cast(Any, PLACE)).client(cast(Any, service))
    stubber = Stubber(client)
    for operation, answer in answers:
        if isinstance(answer, str):
            stubber.add_client_error(operation, answer)
        else:
            stubber.add_response(operation, answer)
    stubber.activate()
    session = SimpleNamespace(client=lambda name: {service: client}[name])
    topic = "arn:aws:sns:eu-central-1:000000000000:t"
    return cast(Stack, SimpleNamespace(session=session, name="s", alert_topic=topic))


def test_an_endpoint_that_cannot_be_reached_is_a_finding() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        stack = cast(Stack, SimpleNamespace(iot_host="127.0.0.1", iot_port=port))
        assert [check.state for check in checks.endpoint(stack)] == ["ok"]
    [check] = checks.endpoint(stack)
    assert (check.state, check.detail) == (
        "finding",
        f"no connection from here to 127.0.0.1:{port}: Connection refused",
    )


@pytest.fixture
def door() -> Iterator[tuple[Stack, list[tuple[int, bytes]]]]:
    """A stack whose query API gives the answers of the list, the last of them again and again."""
    answers: list[tuple[int, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers[0]
            body = body.replace(b"DEVICE", parse_qs(urlsplit(self.path).query)["device"][0].encode())
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        session = boto3.session.Session(**cast(Any, PLACE))
        url = f"http://127.0.0.1:{server.server_port}"
        yield cast(Stack, SimpleNamespace(session=session, query_url=url)), answers
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "state", "detail", "remedy"),
    [
        (200, b'{"device": "DEVICE", "readings": []}', "ok", "answers", ""),
        (200, b'{"device": "another", "readings": []}', "finding", 'answers \'{"device": "another"', "deploy again"),
        (200, b"<html>", "finding", "answers '{}'", "deploy again"),
        (403, b'{"message": "Forbidden"}', "finding", "403: Forbidden", "execute-api:Invoke"),
        (404, b"", "finding", "404: no reason", "deploy again"),
    ],
)
def test_each_answer_of_the_query_api_has_its_line(
    door: tuple[Stack, list[tuple[int, bytes]]], status: int, body: bytes, state: str, detail: str, remedy: str
) -> None:
    stack, answers = door
    answers.append((status, body))
    [check] = query_checks.over_http(stack)
    assert (check.name, check.state) == ("query API", state)
    assert detail in check.detail
    assert remedy in check.remedy


def test_a_query_api_that_cannot_be_reached_is_a_finding() -> None:
    session = boto3.session.Session(**cast(Any, PLACE))
    stack = cast(Stack, SimpleNamespace(session=session, query_url="http://127.0.0.1:1"))
    [check] = query_checks.over_http(stack)
    assert check.state == "finding"
    assert "a way out" in check.remedy


def subscription(arn: str) -> dict[str, str]:
    return {"SubscriptionArn": arn, "Owner": "0", "Protocol": "email", "Endpoint": "a@b", "TopicArn": "t"}


def test_an_address_that_was_not_confirmed_is_a_finding() -> None:
    answer = {"Subscriptions": [subscription("PendingConfirmation"), subscription("arn:aws:sns:x")]}
    [check] = checks.subscriptions(answered("sns", ("list_subscriptions_by_topic", answer)))
    assert (check.state, check.detail) == ("finding", "a@b: not confirmed, hears nothing")


def alarm(name: str, missing: str, state: str = "OK") -> dict[str, Any]:
    metric = {"Namespace": "Sensor", "MetricName": name, "Dimensions": [{"Name": "Application", "Value": "s-consumer"}]}
    return {"AlarmName": f"s-{name}", "StateValue": state, "TreatMissingData": missing, **metric}


def test_an_alarm_whose_metric_never_had_data_is_a_finding() -> None:
    """But not one that is quiet without data."""
    alarms = {"MetricAlarms": [alarm("LagSeconds", "breaching"), alarm("RowsThrottled", "notBreaching")]}
    [check] = checks.alarms(answered("cloudwatch", ("describe_alarms", alarms), ("list_metrics", {"Metrics": []})))
    assert (check.name, check.state) == ("alarm metrics", "finding")
    assert check.detail == "no data: Sensor LagSeconds Application=s-consumer"


def test_alarms_that_ring_are_listed_by_name() -> None:
    alarms = {"MetricAlarms": [alarm("LagSeconds", "notBreaching", "ALARM")]}
    [check] = checks.alarms(answered("cloudwatch", ("describe_alarms", alarms)))
    assert check.detail == "ringing: s-LagSeconds"


def test_tasks_that_do_not_start_say_why() -> None:
    service: dict[str, Any] = {"runningCount": 0, "desiredCount": 1, "events": [{"message": "CannotPullContainer"}]}
    [check] = checks.tasks(answered("ecs", ("describe_services", {"services": [service]})))
    assert (check.state, check.detail) == ("finding", "0 of 1 tasks run: CannotPullContainer")


def test_quotas_that_may_not_be_asked_are_no_finding() -> None:
    limits = {"ShardLimit": 20, "OpenShardCount": 16, "OnDemandStreamCount": 0, "OnDemandStreamCountLimit": 9}
    assert next(checks.quotas(answered("kinesis", ("describe_limits", limits)))).state == "finding"
    assert next(checks.quotas(answered("kinesis", ("describe_limits", "AccessDeniedException")))).state == "skipped"


@pytest.mark.parametrize(("minutes", "state"), [(0, "ok"), (3, "finding"), (-3, "finding")])
def test_a_wrong_clock_is_a_finding(minutes: int, state: str) -> None:
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    headers = {"date": at.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    session = mock.Mock(region_name="eu-central-1")
    session.client.return_value.get_caller_identity.return_value = {
        "Arn": "arn:aws:iam::0:user/x",
        "ResponseMetadata": {"HTTPHeaders": headers},
    }
    session.get_credentials.return_value.method = "env"
    assert [check.state for check in checks.identity(session)] == ["ok", state]


@pytest.mark.parametrize(
    ("must", "came", "state", "word"),
    [
        (True, [b'{"a":10.0}'], "ok", "byte for byte"),
        (True, [b'{"a":10}'], "ok", 'is in the stream as {"a":10}'),
        (True, [], "finding", "not in the stream"),
        (False, [], "ok", "does not reach the stream"),
        (False, [b"1", b"2"], "ok", "2 times"),
    ],
)
def test_what_became_of_a_probe(must: bool, came: list[bytes], state: str, word: str) -> None:
    check = probes.judged(probes.Probe("x", b'{"a":10.0}', must), came)
    assert (check.state, word in check.detail) == (state, True)


def test_no_probe_raises_an_alert_and_each_names_its_device_or_none() -> None:
    found = probes.messages("s-probe", 1)
    assert not any(b"humidity" in probe.payload for probe in found[1:])
    assert b'"humidity":99.0' in found[0].payload


def test_the_report_is_for_people_and_programs() -> None:
    report = Diagnosis([Check("clock", "ok", "as AWS's"), Check("stream", "finding", "DELETING", "wait")])
    assert report.as_text().splitlines() == [
        "ok       clock   as AWS's",
        "FINDING  stream  DELETING",
        "                 -> wait",
        "",
        "1 finding",
    ]
    assert report.as_json()["checks"][1] == {
        "name": "stream",
        "state": "finding",
        "detail": "DELETING",
        "remedy": "wait",
    }


def test_an_error_is_a_finding_of_its_part() -> None:
    def ask() -> Iterator[Check]:
        yield from ()
        raise UserError("no queue")

    assert list(doctor.guarded("queue", "deploy", ask)) == [Check("queue", "finding", "no queue", "deploy")]
