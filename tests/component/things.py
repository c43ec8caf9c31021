"""Real devices for tests: a thing with its certificate, connected over MQTT 5 with mutual TLS; and who hears alerts."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from awscrt import mqtt5
from awsiot import mqtt5_client_builder

from tests.conftest import Deployed

SECONDS = 20


def certificate(stack: Deployed, name: str, policy: str = "DevicePolicy") -> dict[str, str]:
    """A new thing with a certificate under a policy of the stack; PEM of certificate and key."""
    iot = stack.session.client("iot")
    iot.create_thing(thingName=name)
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_policy(policyName=stack.outputs[policy], target=made["certificateArn"])
    iot.attach_thing_principal(thingName=name, principal=made["certificateArn"])
    return {"certificate": made["certificatePem"], "key": made["keyPair"]["PrivateKey"]}


class Device:
    """A connected client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def send(self, topic: str, payload: bytes) -> "Future[Any]":
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
        future: Future[Any] = self._client.publish(packet)
        return future

    def publish(self, name: str, payload: bytes) -> None:
        """Returns when the broker has acknowledged; PermissionError when it refused."""
        self.publish_on(f"device/{name}/devicePayload", payload)

    def publish_on(self, topic: str, payload: bytes) -> None:
        """The same on any topic."""
        answer = self.send(topic, payload).result(SECONDS).puback
        if answer.reason_code >= mqtt5.PubackReasonCode.UNSPECIFIED_ERROR:
            raise PermissionError(answer.reason_code.name)

    def subscribe(self, topic: str) -> None:
        """Returns when the broker has granted it; PermissionError when it refused."""
        packet = mqtt5.SubscribePacket([mqtt5.Subscription(topic, mqtt5.QoS.AT_LEAST_ONCE)])
        codes = self._client.subscribe(packet).result(SECONDS).reason_codes
        if any(code >= mqtt5.SubackReasonCode.UNSPECIFIED_ERROR for code in codes):
            raise PermissionError(codes[0].name)


@contextmanager
def connected(stack: Deployed, ca: Path, pem: dict[str, str], client_id: str) -> Iterator[Device]:
    """PermissionError when the broker refuses the connection."""
    host, port = stack.outputs["IotEndpoint"].split(":")
    answered, stopped = threading.Event(), threading.Event()
    refusals: list[str] = []

    def failed(data: mqtt5.LifecycleConnectFailureData) -> None:
        refusals.append(str(data.connack_packet.reason_code) if data.connack_packet else str(data.exception))
        answered.set()

    client = mqtt5_client_builder.mtls_from_bytes(
        endpoint=host,
        port=int(port),
        cert_bytes=pem["certificate"].encode(),
        pri_key_bytes=pem["key"].encode(),
        ca_filepath=str(ca),
        client_id=client_id,
        enable_metrics_collection=False,
        on_lifecycle_connection_success=lambda _: answered.set(),
        on_lifecycle_connection_failure=failed,
        on_lifecycle_stopped=lambda _: stopped.set(),
    )
    client.start()
    try:
        assert answered.wait(SECONDS), "no answer from the broker"
        if refusals:
            raise PermissionError(refusals[0])
        yield Device(client)
    finally:
        client.stop()
        assert stopped.wait(SECONDS)


def received(stack: Deployed, queue: str, count: int) -> list[Any]:
    """Bodies of so many messages of a queue, and of those that came with them."""
    sqs = stack.session.client("sqs")
    bodies: list[Any] = []
    deadline = time.monotonic() + SECONDS
    while len(bodies) < count and time.monotonic() < deadline:
        answer = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            bodies.append(json.loads(message["Body"]))
    return bodies


class Alerts:
    """A queue that is subscribed to a deployment's alert topic."""

    def __init__(self, stack: Deployed) -> None:
        self._stack = stack
        self._sqs, self._sns = stack.session.client("sqs"), stack.session.client("sns")
        self._url = self._sqs.create_queue(QueueName=f"alerts-{uuid.uuid4().hex[:8]}")["QueueUrl"]
        answer = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        made = self._sns.subscribe(
            TopicArn=stack.outputs["AlertTopicArn"], Protocol="sqs", Endpoint=answer["Attributes"]["QueueArn"]
        )
        self._subscription = made["SubscriptionArn"]

    def receive(self, count: int) -> list[Any]:
        """Bodies of so many messages, and of those that came with them."""
        return received(self._stack, self._url, count)

    def close(self) -> None:
        self._sns.unsubscribe(SubscriptionArn=self._subscription)
        self._sqs.delete_queue(QueueUrl=self._url)


@contextmanager
def subscribed(stack: Deployed) -> Iterator[Alerts]:
    """One who hears the alerts of the deployment."""
    alerts = Alerts(stack)
    try:
        yield alerts
    finally:
        alerts.close()
