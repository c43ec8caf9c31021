"""IoT rules put messages into a stream as the service does; what fails goes to the error action."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conftest import Running, eventually, make_role, records

SHARD = "shardId-000000000000"
BIG = b'{"v": 0.12345678901234567890123456789012345678}'


@contextmanager
def rule(aws: Running, name: str, action: dict[str, Any], failures: str = "") -> Iterator[None]:
    """A rule for the device `name`; `failures` is a queue's address."""
    payload: dict[str, Any] = {"sql": f"SELECT * FROM 'device/{name}/up'", "actions": [action]}  # noqa: S608
    if failures:
        payload["errorAction"] = {"sqs": {"queueUrl": failures, "roleArn": "unused"}}
    iot, rule_name = aws.client("iot"), name.replace("-", "_")
    iot.create_topic_rule(ruleName=rule_name, topicRulePayload=payload)
    yield
    iot.delete_topic_rule(ruleName=rule_name)


def publish(aws: Running, name: str, payload: bytes) -> None:
    aws.client("iot-data").publish(topic=f"device/{name}/up", qos=1, payload=payload)


def into(stream: str, role: str = "unused") -> dict[str, Any]:
    return {"kinesis": {"streamName": stream, "partitionKey": "${topic(2)}", "roleArn": role}}


@pytest.mark.parametrize(
    ("payload", "data"),
    [
        (b'{"name":"x","humidity":41}', b'{"name":"x","humidity":41}'),
        (b'{\n  "name": "M\xc3\xbchle",\n  "humidity": 40.0\n}', b'{"name":"M\xc3\xbchle","humidity":40}'),
        (b'{"humidity": 40.25, "far": 1e400}', b'{"humidity":40.25,"far":1E+400}'),
        (b'{"humidity": 40.25, "far": 1e1000}', b'{"humidity": 40.25, "far": 1e1000}'),
        (b'{"v": 41.10000000000000012345}', b'{"v":41.10000000000000012345}'),
        (BIG, b'{"v":0.1234567890123456789012345678901235}'),
        (b'{"a":1}\n{"a":2}', b'{"a":1}\n{"a":2}'),
        (b'"text"', b'"text"'),
        (b"\xff\xfe\x00", b"\xff\xfe\x00"),
        (b"[" * 5000, b"[" * 5000),
        (b"9" * 5000, b"9" * 5000),
        (b'{"lone":"\\ud800"}', b'{"lone":"\\ud800"}'),
    ],
    ids=[
        *("object", "rewritten", "far", "infinite", "exact", "rounded"),
        *("lines", "text", "bytes", "deep", "long", "surrogate"),
    ],
)
def test_a_payload_is_put_under_the_devices_name(
    aws: Running, stream: str, name: str, payload: bytes, data: bytes
) -> None:
    with rule(aws, name, into(stream)):
        publish(aws, name, payload)
        [record] = eventually(lambda: records(aws, stream, SHARD)[0])
    assert (record["PartitionKey"], record["Data"]) == (name, data)


def failure(aws: Running, queue: str) -> Any:
    [message] = eventually(lambda: aws.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"))
    return json.loads(message["Body"])


def test_what_cannot_be_put_goes_to_the_error_action(aws: Running, name: str) -> None:
    queue = aws.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    with rule(aws, name, into("gone"), queue):
        publish(aws, name, b'{"humidity":50}')
        found = failure(aws, queue)
    assert base64.b64decode(found["base64OriginalPayload"]) == b'{"humidity":50}'
    assert (found["failures"][0]["failedAction"], found["failures"][0]["failedResource"]) == ("KinesisAction", "gone")


@pytest.mark.parametrize(
    ("service", "action", "put"),
    [
        ("iot.amazonaws.com", "kinesis:PutRecord", True),
        ("iot.amazonaws.com", "kinesis:PutRecords", False),
        ("lambda.amazonaws.com", "kinesis:PutRecord", False),
    ],
    ids=["allowed", "without permission", "untrusted"],
)
def test_a_rule_puts_what_its_role_may(strict: Running, name: str, service: str, action: str, put: bool) -> None:
    strict.client("kinesis").create_stream(StreamName=name, ShardCount=1)
    role = make_role(strict, name, service, {"Effect": "Allow", "Action": action, "Resource": "*"})
    with rule(strict, name, into(name, role)):
        publish(strict, name, b"{}")
        publish(strict, name, b"{}")
        if put:
            eventually(lambda: len(records(strict, name, SHARD)[0]) == 2)
    assert bool(records(strict, name, SHARD)[0]) == put
