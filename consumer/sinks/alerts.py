"""Alerts: the alert function is called for each reading that meets the condition, once its row is durable.

Lambda takes the event, repeats a call that fails, and keeps what it gives up in the queue of undelivered messages; so a
function that fails is not our concern here. What is: an Invoke that Lambda does not accept (unreachable, no permission,
no such function, throttled).

At least once for each reading: a checkpoint waits until the alerts of its records were accepted (`settle`), so that a
crash before it raises them again. But never in the way of the data: it waits WAIT seconds at most, and not at all any
more once that was in vain, until the queue has been empty. At most LIMIT alerts wait in memory, the oldest are dropped
first, and counted; of those that still wait when the process ends, nothing is left (decision 22).
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from consumer.aws.codes import code
from consumer.aws.retry import FAILURES, delay
from consumer.sinks.alert_condition import Alert, Condition
from consumer.sinks.rows import Arrived
from consumer.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

LIMIT: Final = 10_000
"""Alerts that wait; some hundred bytes each."""
AT_ONCE: Final = 20
"""Calls under way; with PAUSE they bound the rate to 200 a second."""
PAUSE: Final = 0.1
WAIT: Final = 5.0
"""Seconds that a checkpoint waits for alerts."""
CALL: Final = 10.0
"""Seconds of one call."""
REFUSED: Final = frozenset({"InvalidRequestContentException", "RequestTooLargeException"})
"""What the same event would get for ever."""


Numbered = tuple[int, Alert]


class Alerts:
    """The alerts of all shards, in the order in which their readings became durable."""

    def __init__(self, client: Any, function: str, condition: Condition, metrics: Metrics) -> None:
        self._client = client
        self._function = function
        self._condition = condition
        self._metrics = metrics
        self._waiting: deque[Numbered] = deque()
        self._called: list[Numbered] = []  # the first ones, while they are being called
        self._added = 0
        self._something, self._changed = asyncio.Event(), asyncio.Condition()
        self._late = False  # a checkpoint waited in vain, and the queue has not been empty since
        self._failures = 0  # rounds in a row in which a call failed
        metrics.alerts_waiting.set_function(lambda: self.waiting)

    def add(self, arrived: Iterable[Arrived]) -> None:
        """Takes the alerts of readings whose rows are durable."""
        alerts = [alert for each in arrived if (alert := self._condition.alert(*each))]
        self._metrics.alerts_raised.inc(len(alerts))
        self._waiting += enumerate(alerts, self._added)
        self._added += len(alerts)
        if (excess := self.waiting - LIMIT) > 0:
            dropped = [self._waiting.popleft() for _ in range(min(excess, len(self._waiting)))]
            self._metrics.alerts_dropped.labels("full").inc(len(dropped))
        if self._waiting:
            self._something.set()

    async def settle(self) -> None:
        """Returns when Lambda has accepted what was added until now, or when it may hold up the data no longer."""
        until = self._added
        if self._late or self._oldest >= until:
            return
        try:
            async with asyncio.timeout(WAIT), self._changed:
                await self._changed.wait_for(lambda: self._oldest >= until)
        except TimeoutError:
            self._late = True
            log.warning("alerts are not accepted; checkpoints no longer wait for them", extra={"alerts": self.waiting})

    async def run(self) -> None:
        """Calls the function until cancelled; a `flush` should follow."""
        while True:
            await self._something.wait()
            await self._round()

    async def flush(self, seconds: float = 5.0) -> None:
        """Sends what waits; takes at most so long. What is left is lost, and counted."""
        try:
            async with asyncio.timeout(seconds):
                while self._waiting:
                    await self._round()
        except TimeoutError:
            log.warning("alerts are lost: they were not accepted before the end", extra={"alerts": self.waiting})
            self._metrics.alerts_dropped.labels("end").inc(self.waiting)
            self._waiting.clear()

    @property
    def waiting(self) -> int:
        """Alerts not yet accepted."""
        return len(self._called) + len(self._waiting)

    @property
    def _oldest(self) -> int:
        """Number of the oldest alert not yet accepted, or of the next one."""
        first = self._called or self._waiting
        return first[0][0] if first else self._added

    async def _round(self) -> None:
        """One round of calls; what fails stays in front."""
        started = time.monotonic()
        self._called = again = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        try:
            outcomes = await asyncio.gather(*(self._call(alert) for _, alert in again))
            again = [each for each, failed in zip(again, outcomes, strict=True) if failed]
        finally:  # all of them, when cancelled: whether they were accepted is not known
            self._called = []
            self._waiting.extendleft(reversed(again))
        if not self._waiting:
            self._something.clear()
            self._late = False
        async with self._changed:
            self._changed.notify_all()
        self._failures = self._failures + 1 if again else 0
        await asyncio.sleep(delay(self._failures) if again else max(0.0, PAUSE - (time.monotonic() - started)))

    async def _call(self, alert: Alert) -> bool:
        """Whether the call has to be made again."""
        try:
            async with asyncio.timeout(CALL):
                await self._client.invoke(
                    FunctionName=self._function, InvocationType="Event", Payload=msgspec.json.encode(alert)
                )
        except FAILURES as error:
            self._metrics.alert_errors.labels(code(error)).inc()
            if code(error) in REFUSED:
                self._metrics.alerts_dropped.labels("refused").inc()
                return False
            if self._failures in (0, 5) or self._failures % 50 == 0:
                log.warning("the alert function cannot be called, trying again: %s", error or type(error).__name__)
            return True
        self._metrics.alerts_sent.inc()
        return False
