"""Over MQTT 5 with mutual TLS, one connection per device. The only file that knows the AWS IoT device
SDK."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from awscrt import exceptions, io, mqtt5
from awsiot import mqtt5_client_builder

from producer.aws.errors import UserError
from producer.fleet.credentials import Credentials
from producer.fleet.message import Message
from producer.fleet.transport import Done

log = logging.getLogger(__name__)

ACK_SECONDS = 20  # then the publish is tried again
ATTEMPTS = 3
CONNECT_SECONDS = 15.0  # also for a refused device: a new policy takes a moment to reach every server
CONNECTIONS_AT_ONCE = 20  # handshakes in flight; a broker's accept queue is short
MAX_PENDING = 10_000
PER_CONNECTION = 100  # publishes a second that IoT Core takes from one connection


class _Connection:
    """One device's client. It reconnects automatically and then repeats what was not acknowledged."""

    def __init__(
        self,
        host: str,
        port: int,
        ca: Path | None,
        device: Credentials,
        bootstrap: io.ClientBootstrap,
        heard: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self.name = device.name
        self.connected = threading.Event()
        self.stopped = threading.Event()
        self.problem = ""
        self._client = mqtt5_client_builder.mtls_from_path(
            endpoint=host,
            port=port,
            cert_filepath=str(device.certificate),
            pri_key_filepath=str(device.key),
            ca_filepath=str(ca) if ca else None,
            client_id=device.name,
            client_bootstrap=bootstrap,
            keep_alive_interval_sec=30,
            ack_timeout_sec=ACK_SECONDS,
            min_reconnect_delay_ms=200,
            max_reconnect_delay_ms=10_000,
            enable_metrics_collection=False,
            session_behavior=mqtt5.ClientSessionBehaviorType.CLEAN,
            on_lifecycle_connection_success=self._on_success,
            on_lifecycle_connection_failure=self._on_failure,
            on_lifecycle_disconnection=self._on_disconnection,
            on_lifecycle_stopped=lambda _: self.stopped.set(),
            on_publish_received=None if heard is None else lambda data: _hear(data, heard),
        )

    def start(self) -> None:
        self._client.start()

    def stop(self) -> None:
        self._client.stop()

    def publish(self, topic: str, payload: bytes) -> "Future[mqtt5.PublishCompletionData]":
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
        future: Future[mqtt5.PublishCompletionData] = self._client.publish(packet)
        return future

    def subscribe(self, topic_filter: str) -> "Future[mqtt5.SubackPacket]":
        subscription = mqtt5.Subscription(topic_filter=topic_filter, qos=mqtt5.QoS.AT_MOST_ONCE)
        future: Future[mqtt5.SubackPacket] = self._client.subscribe(mqtt5.SubscribePacket([subscription]))
        return future

    def _on_success(self, _: mqtt5.LifecycleConnectSuccessData) -> None:
        self.connected.set()

    def _on_failure(self, data: mqtt5.LifecycleConnectFailureData) -> None:
        refused = data.connack_packet.reason_code.name if data.connack_packet else str(data.exception)
        self.problem = refused
        log.info("%s: no connection: %s", self.name, refused)

    def _on_disconnection(self, data: mqtt5.LifecycleDisconnectData) -> None:
        log.info("%s: connection lost: %s", self.name, data.exception)


def _hear(data: mqtt5.PublishReceivedData, heard: Callable[[str, bytes], None]) -> None:
    packet = data.publish_packet
    heard(str(packet.topic), bytes(packet.payload or b""))


def listen(
    host: str, port: int, ca: Path | None, device: Credentials, filters: list[str], heard: Callable[[str, bytes], None]
) -> Callable[[], None]:
    """Subscribes to the filters; `heard` gets topic and payload of each message, on a thread of the SDK. Returns what
    ends it. Raises UserError when the broker refuses the connection or a filter."""
    group = io.EventLoopGroup(1)
    bootstrap = io.ClientBootstrap(group, io.DefaultHostResolver(group))
    connection = _Connection(host, port, ca, device, bootstrap, heard)
    connection.start()
    try:
        if not connection.connected.wait(CONNECT_SECONDS):
            raise UserError(f"no connection to {host}:{port}: {connection.problem or 'no answer'}")
        for each in filters:
            try:
                codes = connection.subscribe(each).result(ACK_SECONDS).reason_codes
            except (exceptions.AwsCrtError, TimeoutError) as error:
                raise UserError(f"no subscription to {each}: {error or 'no answer'}") from None
            if any(code >= mqtt5.SubackReasonCode.UNSPECIFIED_ERROR for code in codes):
                raise UserError(f"the broker refuses {each}: a filter begins as the topics of the deployment do")
    except BaseException:
        connection.stop()
        raise
    return connection.stop


def _made(host: str, port: int, ca: Path | None, device: Credentials, bootstrap: io.ClientBootstrap) -> _Connection:
    try:
        return _Connection(host, port, ca, device, bootstrap)
    except (exceptions.AwsCrtError, RuntimeError) as error:  # the second is what its C library raises
        authority = f", or IOT_CA_FILE={ca} holds no certificate" if ca else ""
        raise UserError(
            f"device {device.name}: certificate or key in {device.folder} are damaged (delete the folder "
            f"and provision anew){authority}: {error}"
        ) from None


class MqttTransport:
    """The connections of a fleet on one event loop thread. A publish counts when its PUBACK says
    success. `topic` gives what a message is published on."""

    def __init__(
        self,
        host: str,
        port: int,
        ca: Path | None,
        devices: list[Credentials],
        topic: Callable[[Message], str],
        done: Done,
    ) -> None:
        self._topic = topic
        self._done = done
        self._change = threading.Condition()
        self._pending = 0
        self._given_up = False
        self._open: dict[int, tuple[Message, int, int]] = {}
        # The group's threads live as long as this object.
        self._group = io.EventLoopGroup(1)
        bootstrap = io.ClientBootstrap(self._group, io.DefaultHostResolver(self._group))
        self._connections = {d.name: _made(host, port, ca, d, bootstrap) for d in devices}
        self._connect(f"{host}:{port}")

    @property
    def pending(self) -> int:
        return self._pending

    def publish(self, message: Message) -> None:
        with self._change:
            self._change.wait_for(lambda: self._pending < MAX_PENDING)
            self._pending += 1
        self._attempt(message, time.time_ns() // 1_000_000, 1)

    def close(self, seconds: float) -> None:
        with self._change:
            self._change.wait_for(lambda: self._pending == 0, timeout=seconds)
            self._given_up = True
            left = list(self._open.values())
            self._open.clear()
        for message, at, attempts in left:
            self._commit(message, at, attempts, acknowledged=False)
        self._stop()

    def _connect(self, endpoint: str) -> None:
        """Connects all devices, a few at a time; raises UserError when one is not connected in time."""
        deadline = time.monotonic() + CONNECT_SECONDS
        connections = list(self._connections.values())
        for start in range(0, len(connections), CONNECTIONS_AT_ONCE):
            group = connections[start : start + CONNECTIONS_AT_ONCE]
            for connection in group:
                connection.start()
            for connection in group:
                if not connection.connected.wait(max(0.0, deadline - time.monotonic())):
                    self._stop()
                    raise UserError(
                        f"device {connection.name} gets no connection to {endpoint}: "
                        f"{connection.problem or 'no answer'}; is the stack up, and were the devices made for it "
                        "(.venv/bin/sensorstream provision)?"
                    )
            deadline = time.monotonic() + CONNECT_SECONDS

    def _stop(self) -> None:
        for connection in self._connections.values():
            connection.stop()
        for connection in self._connections.values():
            connection.stopped.wait(2)

    def _attempt(self, message: Message, at: int, attempt: int) -> None:
        with self._change:
            self._open[message.number] = (message, at, attempt)
        future = self._connections[message.device].publish(self._topic(message), message.payload)
        future.add_done_callback(lambda f: self._answered(f, message, at, attempt))

    def _answered(self, future: "Future[mqtt5.PublishCompletionData]", message: Message, at: int, attempt: int) -> None:
        """Runs on the event loop's thread."""
        with self._change:
            if self._open.pop(message.number, None) is None:
                return  # `close` has given it up
            again = attempt < ATTEMPTS and not self._given_up
        error = future.exception()
        if error is None and future.result().puback.reason_code < mqtt5.PubackReasonCode.UNSPECIFIED_ERROR:
            self._commit(message, at, attempt, acknowledged=True)
        elif again and isinstance(error, exceptions.AwsCrtError):
            log.info("%s: message %d: %s; trying again", message.device, message.number, error)
            self._attempt(message, at, attempt + 1)
        else:
            log.warning("%s: gave message %d up: %s", message.device, message.number, error or "refused")
            self._commit(message, at, attempt, acknowledged=False)

    def _commit(self, message: Message, at: int, attempts: int, *, acknowledged: bool) -> None:
        self._done(message, at, acknowledged, attempts)
        with self._change:
            self._pending -= 1
            self._change.notify_all()
