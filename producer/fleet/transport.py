"""What the two ways to publish have in common."""

from collections.abc import Callable
from typing import Protocol

from producer.fleet.message import Message

# Called from any thread when the fate of a message is known: message, time of the first publish (ms),
# acknowledged, attempts.
Done = Callable[[Message, int, bool, int], None]


class Transport(Protocol):
    """A way into the stream: over MQTT through the IoT rules, or straight into Kinesis."""

    def publish(self, message: Message) -> None:
        """Hands the message over; waits only while too many are unacknowledged."""

    def close(self, seconds: float) -> None:
        """Waits up to `seconds` for the acknowledgements; what is still open then is reported as
        uncertain."""

    @property
    def pending(self) -> int:
        """Messages handed over whose fate is not known yet."""
