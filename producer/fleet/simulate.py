"""The simulator: schedule -> fleet -> transport -> ledger."""

import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from consumer import descriptors
from producer.aws.errors import UserError
from producer.aws.stack import Stack, ca_file, devices_dir
from producer.fleet.credentials import names, saved
from producer.fleet.kinesis import KinesisTransport
from producer.fleet.ledger import Ledger, entry
from producer.fleet.message import Message
from producer.fleet.mqtt import PER_CONNECTION, MqttTransport
from producer.fleet.order import Fleet, Mix, Speaking
from producer.fleet.schedule import due_times
from producer.fleet.transport import Transport

Via = Literal["mqtt", "kinesis"]
BASIC_INGEST = "$aws/rules/"
"""Before a rule's name: this rule alone gets the message, with what follows the name as its topic."""
TICK = 0.005  # shortest sleep in seconds; what is due within it goes out together
ACK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Workload:
    """What to publish. `rate` counts readings per second of the whole fleet."""

    devices: int
    rate: float
    prefix: str = "soilSensor"
    jitter: float = 0.0  # seconds
    seconds: float | None = None  # None: until stopped
    via: Via = "mqtt"
    aggregate: int = 1  # most messages in a record of the stream, past IoT Core
    basic_ingest: bool = False  # to the readings rule itself
    seed: int | None = None
    threshold: float | None = None  # of alerts; None: the stack's
    mix: Mix = field(default_factory=Mix)

    @property
    def messages_per_second(self) -> float:
        return self.rate / self.mix.batch

    def check(self) -> None:
        """Raises UserError when the workload cannot be kept."""
        if self.via == "mqtt" and self.messages_per_second / self.devices > PER_CONNECTION:
            raise UserError(
                f"IoT Core takes {PER_CONNECTION} publishes a second from one device; "
                "take more devices, several readings a message (batch), or go past it (via kinesis)"
            )


def first_number() -> int:
    """The number of a run's first message: microseconds, so that a later run cannot reach back into the numbers of an
    earlier one."""
    return time.time_ns() // 1000


class Simulator:
    """Connects on creation (raises UserError when it cannot), publishes in `run`. The ledger keeps the sums. `environ`
    says where the devices' keys and the MQTT endpoint's CA are; `fleet` is one of the workload's devices that speaks
    otherwise than its mix says."""

    def __init__(
        self,
        stack: Stack,
        workload: Workload,
        ledger: Ledger,
        on_publish: Callable[[Message, int], None] = lambda message, at_ms: None,
        environ: Mapping[str, str] = os.environ,
        fleet: Speaking | None = None,
    ) -> None:
        workload.check()
        self._workload = workload
        self._ledger = ledger
        self._on_publish = on_publish
        self._fleet = fleet or Fleet(
            names(workload.prefix, workload.devices),
            workload.mix,
            first_number=first_number(),
            seed=workload.seed,
        )
        given = workload.threshold
        condition = stack.alerts if given is None else stack.alerts._replace(threshold=Decimal(str(given)))
        unseen = workload.basic_ingest and condition.source == "rule"
        self._condition = None if unseen else condition
        self._transport = self._open(stack, environ)

    @property
    def pending(self) -> int:
        """Messages published and not yet acknowledged."""
        return self._transport.pending

    def run(self, stop: threading.Event) -> None:
        """Publishes until `stop` or until the workload's time is over, then waits for the acknowledgements."""
        workload, start = self._workload, time.monotonic()
        try:
            for due in due_times(workload.messages_per_second, workload.jitter, random.Random(workload.seed)):
                if workload.seconds is not None and due >= workload.seconds:
                    break
                delay = start + due - time.monotonic()
                if stop.wait(max(delay, TICK)) if delay > 0 else stop.is_set():
                    break
                now_ms = time.time_ns() // 1_000_000
                self._publish(self._fleet.next_message(now_ms), now_ms)
            for message in self._fleet.remaining():
                self._publish(message, time.time_ns() // 1_000_000)
        finally:
            self._transport.close(ACK_SECONDS)
            self._ledger.flush()

    def _publish(self, message: Message, now_ms: int) -> None:
        self._transport.publish(message)
        self._on_publish(message, now_ms)

    def _open(self, stack: Stack, environ: Mapping[str, str]) -> Transport:
        if self._workload.via == "kinesis":
            return KinesisTransport(stack.session, stack.stream, self._done, self._workload.aggregate)
        room = descriptors.raise_limit() - descriptors.OTHER_DESCRIPTORS
        if self._workload.devices > room:
            raise UserError(
                f"each device is a connection, and the limit of {descriptors.limit()} open files has room for {room}; "
                "raise it (ulimit -n), use fewer --devices, or --via kinesis"
            )
        devices = saved(devices_dir(environ), self._workload.prefix, self._workload.devices, stack.name)
        return MqttTransport(stack.iot_host, stack.iot_port, ca_file(environ), devices, self._topics(stack), self._done)

    def _topics(self, stack: Stack) -> Callable[[Message], str]:
        """What a message is published on. Raises UserError when it may not."""
        if not self._workload.basic_ingest:
            known, last = stack.topics, len(stack.topics) - 1
            return lambda message: known[min(message.pattern, last)].topic(message.device)
        if not stack.basic_ingest:
            raise UserError(
                f"devices of {stack.name} may not publish by Basic Ingest; deploy it with PARAMS=BasicIngest=true"
            )
        return lambda message: f"{BASIC_INGEST}{stack.readings_rule}/{stack.topics[0].topic(message.device)}"

    def _done(self, message: Message, at: int, acknowledged: bool, attempts: int) -> None:
        through_rules = self._workload.via == "mqtt"
        line = entry(
            message, at, ack=acknowledged, attempts=attempts, condition=self._condition, through_rules=through_rules
        )
        self._ledger.record(line)
