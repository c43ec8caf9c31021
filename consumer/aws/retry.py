"""Trying again: which failures time may cure, and how long to wait between tries."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiohttp import ClientError as HttpError
from botocore.exceptions import BotoCoreError, ClientError

from consumer.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
T = TypeVar("T")

FIRST: Final = 0.05
FAILURES: Final = (TimeoutError, ClientError, BotoCoreError, HttpError, OSError)
"""What a request to AWS may raise."""

LONGEST: Final = 5.0
"""Seconds. Capped low: the stream is the buffer, and recovery must be seen soon after a sink is back."""

NON_RETRYABLE: Final = frozenset({"ValidationException", "SerializationException", "InvalidRequest", "MalformedXML"})
"""What the same request gets for ever. All else (throttling, 5xx, a missing table, a role under repair) may pass."""

THROTTLED: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
    }
)


def delay(attempt: int) -> float:
    """Seconds to wait after the given failed attempt (from 0): exponential, with full jitter."""
    return random.uniform(0, min(LONGEST, FIRST * 2.0 ** min(attempt, 16)))  # noqa: S311 (no secret)


def code(error: Exception) -> str:
    """A short, bounded name of a failure for a metric's label."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code", "Unknown")
    return type(error).__name__


async def until_done(sink: str, attempt: Callable[[], Awaitable[T]], metrics: Metrics, guard: Callable[[], None]) -> T:
    """Calls `attempt` until it succeeds; between the tries it waits and asks `guard`, which raises to give up.

    Raises what `guard` raises, and the failures that no retry can cure.
    """
    failures = 0
    while True:
        guard()
        try:
            result = await attempt()
        except FAILURES as error:
            name = code(error)
            if name in NON_RETRYABLE:
                raise
            metrics.retries.labels(sink, name).inc()
            if name in THROTTLED:
                metrics.throttles.labels(sink).inc()
            if failures in (0, 5) or failures % 50 == 0:
                log.warning("%s fails, trying again: %s", sink, error, extra={"attempt": failures + 1})
            await asyncio.sleep(delay(failures))
            failures += 1
        else:
            if failures:
                log.info("%s works again", sink, extra={"attempts": failures + 1})
            return result
