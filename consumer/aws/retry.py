"""Retries: which failures may pass with time, and how long to wait between tries."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiohttp import ClientError as HttpError
from botocore.exceptions import BotoCoreError, ClientError

from consumer.aws.codes import NON_RETRYABLE, THROTTLED, code
from consumer.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
T = TypeVar("T")

Guard = Callable[[], None]
"""Called before every try of a write; raises to give up."""

FIRST_DELAY: Final = 0.05
FAILURES: Final = (TimeoutError, ClientError, BotoCoreError, HttpError, OSError)
"""What a request to AWS may raise."""

MAX_DELAY: Final = 5.0
"""Seconds. Low, since the stream is the buffer and work should go on soon after a sink has recovered."""


def unguarded() -> None:
    """The guard for writes that need no ownership of a shard."""


def delay(attempt: int) -> float:
    """Seconds to wait after the given failed attempt (from 0): exponential, with full jitter."""
    return random.uniform(0, min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(attempt, 16)))  # noqa: S311 (no secret)


async def until_done(sink: str, attempt: Callable[[], Awaitable[T]], metrics: Metrics, guard: Guard) -> T:
    """Calls `attempt` until it succeeds; calls `guard` before each try, and waits between them.

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
