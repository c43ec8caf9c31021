"""The way of a reading from a device into the stream, and of an alert to a subscriber, over real MQTT."""

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.component.streams import wait_for
from tests.component.things import SECONDS, Device, certificate, connected
from tests.conftest import Deployed


@pytest.fixture
def name() -> str:
    return f"soil-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def device(stack: Deployed, iot_ca: Path, name: str) -> Iterator[Device]:
    with connected(stack, iot_ca, certificate(stack, name), name) as found:
        yield found


def received(stack: Deployed, queue: str, count: int = 1) -> list[Any]:
    """Bodies of so many messages."""
    sqs = stack.session.client("sqs")
    bodies: list[Any] = []
    deadline = time.monotonic() + SECONDS
    while len(bodies) < count and time.monotonic() < deadline:
        answer = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            bodies.append(json.loads(message["Body"]))
    return bodies


@pytest.fixture
def alerts(stack: Deployed) -> Iterator[str]:
    """Address of a queue that is subscribed to the alert topic."""
    sqs, sns = stack.session.client("sqs"), stack.session.client("sns")
    queue = sqs.create_queue(QueueName=f"alerts-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    subscription = sns.subscribe(TopicArn=stack.outputs["AlertTopicArn"], Protocol="sqs", Endpoint=arn)
    yield queue
    sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    sqs.delete_queue(QueueUrl=queue)


@pytest.mark.parametrize(
    ("payload", "data"),
    [
        (b'{"name":"x","humidity":41}', b'{"name":"x","humidity":41}'),
        (b'{"a":1}\n{"a":2}', b'{"a":1}\n{"a":2}'),
        (b"\xff\xfe\x00", b"\xff\xfe\x00"),
    ],
    ids=["object", "lines", "bytes"],
)
def test_a_payload_reaches_the_stream_under_the_devices_name(
    stack: Deployed, device: Device, name: str, payload: bytes, data: bytes
) -> None:
    device.publish(name, payload)
    [record] = wait_for(stack.session, stack.outputs["StreamName"], name, 1)
    assert record["Data"] == data


def test_readings_of_a_device_keep_their_order_in_one_shard(stack: Deployed, device: Device, name: str) -> None:
    sent = [device.send(f"device/{name}/devicePayload", str(n).encode()) for n in range(100)]
    for future in sent:
        future.result(SECONDS)
    records = wait_for(stack.session, stack.outputs["StreamName"], name, 100)
    assert [int(r["Data"]) for r in records] == list(range(100))


def test_a_device_may_not_publish_under_another_name(stack: Deployed, device: Device, name: str) -> None:
    device.publish(name, b"1")
    with pytest.raises(PermissionError, match="NOT_AUTHORIZED"):
        device.publish(f"{name}-other", b"2")
    device.publish(name, b"3")
    records = wait_for(stack.session, stack.outputs["StreamName"], name, 2)
    assert [r["Data"] for r in records] == [b"1", b"3"]


def test_a_device_may_not_connect_under_another_name(stack: Deployed, iot_ca: Path, name: str) -> None:
    pem = certificate(stack, name)
    with pytest.raises(PermissionError), connected(stack, iot_ca, pem, f"{name}-other"):
        pass


def test_a_low_humidity_is_sent_to_the_subscribers_of_the_topic(
    stack: Deployed, device: Device, name: str, alerts: str
) -> None:
    for humidity in (35, 34.5, "20"):
        device.publish(name, json.dumps({"name": name, "humidity": humidity}).encode())
    reported = received(stack, alerts, 2)
    assert {t["Subject"] for t in reported} == {"Attention:Humidity Under Threshold"}
    assert sorted(t["Message"] for t in reported) == [
        f"Humidity 20 under threshold for device name {name}",
        f"Humidity 34.5 under threshold for device name {name}",
    ]
    given = [{key: each["Value"] for key, each in t["MessageAttributes"].items()} for t in reported]
    assert sorted(given, key=lambda each: each["value"]) == [
        {"device": name, "value": "20"},
        {"device": name, "value": "34.5"},
    ]
