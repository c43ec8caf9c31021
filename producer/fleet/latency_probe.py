"""How long a reading takes from its publish until its row can be read: a prober beside the simulator.

The rows do not contain the time of their writing, so a sample of the readings is looked up again and again
(consistent reads) until it is there. A latency is too long by half a round on average, never too short.
"""

import logging
import math
import threading
import time
from typing import TYPE_CHECKING

from producer.aws.errors import AWS_ERRORS, explain
from producer.aws.stack import Stack
from producer.fleet.message import ARRIVAL, Message, iso_utc

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import KeysAndAttributesTypeDef

log = logging.getLogger(__name__)

ROUND = 0.05  # seconds between two looks
AT_ONCE = 20  # readings looked for at the same time
SPACING = 0.2  # seconds between two samples


class LatencyProbe:
    """`offer` it every published message; it takes a few of them. Times in ms."""

    def __init__(self, stack: Stack) -> None:
        self._dynamodb = stack.session.client("dynamodb")
        self._table = stack.table
        self._open: dict[tuple[str, str], int] = {}
        self._next_sample = 0.0
        self._latencies: list[int] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.first_seen: float | None = None  # time.monotonic() when the first row was seen
        self._thread = threading.Thread(target=self._run, name="latency_probe", daemon=True)
        self._thread.start()

    def offer(self, message: Message, at_ms: int) -> None:
        """Cheap; a reading whose key was used before, or is not known yet, says nothing and is not taken."""
        now = time.monotonic()
        if now < self._next_sample or message.repeats or not message.rows or message.rows[-1].time_ms == ARRIVAL:
            return
        with self._lock:
            if len(self._open) < AT_ONCE:
                self._open[message.rows[-1].device, iso_utc(message.rows[-1].time_ms)] = at_ms
                self._next_sample = now + SPACING

    def percentile(self, share: float) -> int | None:
        """The nearest-rank percentile of the latencies so far (share 0..1), None without any."""
        with self._lock:
            ordered = sorted(self._latencies)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None

    @property
    def open(self) -> int:
        """Samples not seen in the table yet."""
        return len(self._open)

    def close(self) -> None:
        """Ends the thread after the look it is in."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(ROUND):
            with self._lock:
                wanted = dict(self._open)
            if not wanted:
                continue
            try:
                self._seen(self._look(list(wanted)))
            except AWS_ERRORS as error:  # the next round looks again; the latency counts from the publish
                log.info("latency probe: %s", explain(error))

    def _look(self, keys: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Which of the rows are there."""
        request: KeysAndAttributesTypeDef = {
            "Keys": [{"SensorId": {"S": device}, "Timestamp": {"S": at}} for device, at in keys],
            "ConsistentRead": True,
            "ProjectionExpression": "SensorId, #t",
            "ExpressionAttributeNames": {"#t": "Timestamp"},
        }
        answer = self._dynamodb.batch_get_item(RequestItems={self._table: request})
        return [(i["SensorId"]["S"], i["Timestamp"]["S"]) for i in answer["Responses"][self._table]]

    def _seen(self, keys: list[tuple[str, str]]) -> None:
        now_ms = time.time_ns() // 1_000_000
        with self._lock:
            for key in keys:
                self._latencies.append(max(0, now_ms - self._open.pop(key)))
                self.first_seen = self.first_seen or time.monotonic()
