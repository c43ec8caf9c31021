"""What rules and the alert function could not deliver: counted, and delivered once and no more."""

import base64
import io
import json
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from producer.aws.put_records import Sender, connect
from producer.cli import main
from producer.ops import undelivered_queue
from producer.ops.undelivered_queue import Queue
from tests.component.recovery import Site
from tests.component.recovery import site as new_site
from tests.component.things import certificate, connected, received
from tests.conftest import Deployed

EXACT = '{"name":"a","humidity":20.00000000000000000000000000000000000001}'
FAILS = b"def handle(event, context):\n    raise RuntimeError('no')\n"


@dataclass
class Place:
    """A site whose queue of undelivered messages is its own; `alerts` gets what is published to the topic."""

    site: Site
    queue: str
    alerts: str

    @property
    def sqs(self) -> Any:
        return self.site.session.client("sqs")

    def arn(self, url: str) -> str:
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(found["Attributes"]["QueueArn"])

    def say(self, *bodies: str) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.queue, MessageBody=body)

    def left(self) -> list[str]:
        """The bodies that are in the queue and visible."""
        found = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [each["Body"] for each in found.get("Messages", [])]

    def hidden(self) -> int:
        name = "ApproximateNumberOfMessagesNotVisible"
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=[name])
        return int(found["Attributes"][name])


@pytest.fixture
def place(stack: Deployed) -> Iterator[Place]:
    with new_site(stack) as site:
        sqs, sns = site.session.client("sqs"), site.session.client("sns")
        names = [f"{site.stack.name}-{kind}" for kind in ("undelivered", "alerts")]
        queue, alerts = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in names)
        site.session.client("ssm").put_parameter(
            Name=f"/sensorstream/{site.stack.name}/UndeliveredQueue", Value=names[0], Type="String", Overwrite=True
        )
        made = Place(site, queue, alerts)
        topic = stack.outputs["AlertTopicArn"]
        subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=made.arn(alerts))
        yield made
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
        for url in (queue, alerts):
            sqs.delete_queue(QueueUrl=url)


def rule_error(payload: bytes, action: str = "KinesisAction", name: str = "a") -> str:
    return json.dumps(
        {
            "ruleName": "any",
            "topic": f"device/{name}/devicePayload",
            "cloudwatchTraceId": "7e146a2c-95b5-6caf-98b9-50e3969734c7",
            "clientId": name,
            "base64OriginalPayload": base64.b64encode(payload).decode(),
            "failures": [{"failedAction": action, "failedResource": "x", "errorMessage": "ThrottlingException: slow"}],
        }
    )


def invocation_record(payload: str) -> str:
    """As Lambda's developer guide shows it."""
    return (
        '{"version":"1.0","timestamp":"2026-11-25T10:00:00.000Z","requestContext":{"requestId":"r","functionArn":"f",'
        f'"condition":"RetriesExhausted","approximateInvokeCount":3}},"requestPayload":{payload},'
        '"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},'
        '"responsePayload":{"errorMessage":"no","errorType":"ClientError"}}'
    )


def reported(place: Place, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    assert main(["redrive", "--undelivered", *arguments, "--json", "--stack", place.site.stack.name]) == code
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def run(place: Place, *arguments: str) -> int:
    return main(["redrive", "--undelivered", *arguments, "--stack", place.site.stack.name])


def in_stream(place: Place) -> list[tuple[str, bytes]]:
    return sorted((record["PartitionKey"], record["Data"]) for record in place.site.stream())


def test_they_are_counted_by_reason_and_nothing_is_sent(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    bodies = [rule_error(b"1"), rule_error(b"2"), invocation_record(EXACT), "malformed"]
    place.say(*bodies)
    assert run(place) == 1, "one of them cannot be delivered"
    out = capsys.readouterr().out.splitlines()
    assert [line.rsplit(maxsplit=3)[:3] for line in out[1:4]] == [
        ["KinesisAction: ThrottlingException", "2", "stream"],
        ["alert function: RetriesExhausted: ClientError", "1", "function"],
        ["malformed: not a JSON object", "1", "nowhere"],
    ]
    assert out[-1].startswith("--send would deliver 3 messages")
    assert (in_stream(place), sorted(place.left())) == ([], sorted(bodies))


def test_an_empty_queue_is_said_to_be_empty(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place) == 0
    assert capsys.readouterr().out.splitlines()[0] == "no undelivered messages"
    assert reported(place, capsys, "--send")["messages"] == 0


def test_each_goes_where_it_should_have_gone(place: Place, stack: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    place.say(
        rule_error(b"\xff\xfe\x00", name="b"), rule_error(EXACT.encode()), rule_error(EXACT.encode(), "LambdaAction")
    )
    place.say(invocation_record(EXACT.replace('"a"', '"c"')), "malformed")
    answer = reported(place, capsys, "--send", code=1)
    assert (answer["to_stream"], answer["to_function"]) == (2, 2)
    assert answer["left"] == {"malformed: not a JSON object": 1}
    assert in_stream(place) == [("a", EXACT.encode()), ("b", b"\xff\xfe\x00")]
    messages = {alert["Message"] for alert in received(stack, place.alerts, 2)}
    assert messages == {f"Humidity 20.0 under threshold for device name {name}" for name in "ac"}
    assert place.left() == ["malformed"], "what is malformed stays, and at once"
    assert reported(place, capsys, "--send", code=1)["to_stream"] == 0


def test_more_than_a_request_holds(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.say(*(rule_error(b"%d" % n, name=f"d{n % 3}") for n in range(45)))
    answer = reported(place, capsys, "--send")
    assert (answer["to_stream"], answer["messages"], answer["ok"]) == (45, 45, True)
    assert sorted(int(data) for _, data in in_stream(place)) == list(range(45))
    assert (place.left(), place.hidden()) == ([], 0)


class Throttled:
    """A client of Kinesis whose first PutRecords takes all but one record, as with a busy shard."""

    def __init__(self, session: boto3.Session) -> None:
        self._client = connect(session)
        self._first = True

    def put_records(self, StreamName: str, Records: list[Any]) -> Any:
        skipped, self._first = int(self._first), False
        taken = self._client.put_records(StreamName=StreamName, Records=Records[skipped:])["Records"]
        return {"Records": [*[{"ErrorCode": "ProvisionedThroughputExceededException"}] * skipped, *taken]}


def test_a_record_that_the_stream_refuses_at_first_is_put_again(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.say(*(rule_error(b"%d" % n, name=f"d{n}") for n in range(5)))
    with mock.patch("producer.aws.put_records.connect", Throttled):
        answer = reported(place, capsys, "--send")
    assert (answer["to_stream"], answer["ok"]) == (5, True)
    assert sorted(data for _, data in in_stream(place)) == [b"%d" % n for n in range(5)]
    assert place.left() == []


def test_nothing_is_deleted_when_the_stream_takes_nothing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.say(rule_error(b"1"))
    refused = ClientError(
        {"Error": {"Code": "AccessDeniedException", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 400}},  # type: ignore[typeddict-item]
        "PutRecords",
    )
    with mock.patch.object(Sender, "_put", side_effect=refused):
        answer = reported(place, capsys, "--send", code=1)
    assert (answer["to_stream"], answer["ok"]) == (0, False)
    assert answer["stopped"].startswith("PutRecords: AccessDeniedException")
    assert place.left() == [rule_error(b"1")], "visible again at once"


def test_a_run_that_dies_after_the_put_delivers_once_more(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """At least once: the row is the same, the archive holds both."""
    place.say(rule_error(b"1"))
    lost = EndpointConnectionError(endpoint_url="x")
    with (
        mock.patch.object(Queue, "delete", side_effect=lost),
        mock.patch.object(undelivered_queue, "HIDDEN_SECONDS", 1),
    ):
        answer = reported(place, capsys, "--send", code=1)
    assert (answer["to_stream"], bool(answer["stopped"])) == (1, True)
    until_there(place)
    assert reported(place, capsys, "--send")["to_stream"] == 1
    assert in_stream(place) == [("a", b"1")] * 2
    assert place.left() == []


def test_what_comes_meanwhile_is_left(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.say(rule_error(b"1"))
    real = Queue.__init__

    def earlier(self: Any, *given: Any) -> None:
        real(self, *given)
        self.opened_ms -= 3_600_000

    with mock.patch.object(Queue, "__init__", earlier):
        answer = reported(place, capsys, "--send")
    assert (answer["newer"], answer["messages"]) == (1, 0)
    assert place.left() == [rule_error(b"1")]


def test_options_about_dead_letters_are_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "--reason", "not-json", "--again") == 2
    assert capsys.readouterr().err.startswith("sensorstream: --reason, --again: of dead letters only")


def test_a_device_is_heard_although_the_stream_was_gone(
    place: Place, stack: Deployed, iot_ca: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rules engine's own message, from a real publish."""
    name = f"soil-{uuid.uuid4().hex[:8]}"
    iot = place.site.session.client("iot")
    rule: Any = {
        "sql": f"SELECT * FROM 'device/{name}/devicePayload'",  # noqa: S608
        "actions": [{"kinesis": {"streamName": "gone", "partitionKey": "${topic(2)}", "roleArn": "unused"}}],
        "errorAction": {"sqs": {"queueUrl": place.queue, "roleArn": "unused"}},
    }
    iot.create_topic_rule(ruleName=name.replace("-", "_"), topicRulePayload=rule)
    try:
        with connected(stack, iot_ca, certificate(stack, name), name) as device:
            device.publish(name, b'{"humidity": 50.0}')
        until_there(place)
    finally:
        iot.delete_topic_rule(ruleName=name.replace("-", "_"))
    assert reported(place, capsys, "--send")["to_stream"] == 1
    assert in_stream(place) == [(name, b'{"humidity": 50.0}')], "byte for byte as the device sent it"


def test_an_event_that_lambda_gave_up_goes_to_the_alert_function(
    place: Place, stack: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lambda's own record, of a function that fails."""
    functions, name = place.site.session.client("lambda"), f"fails-{uuid.uuid4().hex[:8]}"
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("fails.py", FAILS)
    functions.create_function(
        FunctionName=name,
        Role=functions.get_function(FunctionName=place.site.stack.alert_function)["Configuration"]["Role"],
        Runtime="python3.13",
        Handler="fails.handle",
        Code={"ZipFile": code.getvalue()},
    )
    functions.put_function_event_invoke_config(
        FunctionName=name,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": place.arn(place.queue)}},
    )
    asked = functions.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"name":"late","humidity":7}')
    assert asked["Payload"].read() == b""
    until_there(place)
    assert reported(place, capsys, "--send")["to_function"] == 1
    [alert] = received(stack, place.alerts, 1)
    assert alert["Message"] == "Humidity 7 under threshold for device name late"


def until_there(place: Place) -> None:
    """A message is in the queue."""
    for _ in range(20):
        found = place.sqs.receive_message(QueueUrl=place.queue, WaitTimeSeconds=1, VisibilityTimeout=0)
        if found.get("Messages"):
            return
    raise AssertionError("no message came")
