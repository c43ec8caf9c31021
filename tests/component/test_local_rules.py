"""The way of a reading from a device into the stream, and of an alert to a subscriber, over real MQTT."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.component.streams import wait_for
from tests.component.things import SECONDS, Device, certificate, connected, subscribed
from tests.conftest import Deployed


@pytest.fixture
def name() -> str:
    return f"soil-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def device(stack: Deployed, iot_ca: Path, name: str) -> Iterator[Device]:
    with connected(stack, iot_ca, certificate(stack, name), name) as found:
        yield found


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


def test_a_low_humidity_is_sent_to_the_subscribers_of_the_topic(stack: Deployed, device: Device, name: str) -> None:
    with subscribed(stack) as queue:
        for humidity in (35, 34.5, "20"):
            device.publish(name, json.dumps({"name": name, "humidity": humidity}).encode())
        reported = queue.receive(2)
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
