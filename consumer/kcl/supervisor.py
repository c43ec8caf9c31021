"""Keeps a KCL daemon running, and ends it: in place and with the same worker id a restart takes seconds.

What must not be survived (a failure that retries cannot cure, a batch that may have been skipped, a dead connector)
ends the daemon by SIGKILL: nothing unanswered is checkpointed, so all of it is delivered again.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from consumer import descriptors
from consumer.kcl.daemon import Daemon
from consumer.pipeline.shards import Shards
from consumer.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

MINIMUM_UPTIME: Final = 60.0
"""Seconds a daemon must have run for its end not to count towards MAX_STARTUP_FAILURES."""
MAX_STARTUP_FAILURES: Final = 6
"""Daemons in a row that died young: then the service ends, so that whoever supervises it can see that."""

FIRST_PAUSE: Final = 0.25
MAX_PAUSE: Final = 30.0
"""Seconds between two lives, doubling while daemons die young."""


class FatalError(Exception):
    """The service cannot run; the message is one line that names the fix."""


class Supervisor:
    """One daemon at a time, until `stop` is set."""

    def __init__(
        self,
        metrics: Metrics,
        shutdown_seconds: float,
        between_lives: Callable[[], Awaitable[None]],
        outage: Callable[[], bool] = lambda: False,
    ) -> None:
        """`between_lives` is called before each start and after the last end: no daemon of ours runs then. `outage`
        says whether stream or lease table are out of reach: then a daemon that dies young proves nothing."""
        self._metrics = metrics
        self._shutdown_seconds = shutdown_seconds
        self._between_lives = between_lives
        self._outage = outage
        self._failed: asyncio.Future[BaseException] | None = None
        self.stop = asyncio.Event()

    def fail(self, error: BaseException) -> None:
        """Ends this life of the daemon."""
        if self._failed and not self._failed.done():
            self._failed.set_result(error)

    def restart(self, error: BaseException) -> None:
        """Ends this life of a daemon that does not work; not one that was asked to stop: it reads no more, and its last
        shards may still be writing."""
        if not self.stop.is_set():
            self.fail(error)

    async def run(self, daemon: Daemon, shards: Shards) -> None:
        """Returns after a stop that was asked for. Raises FatalError when daemons keep dying."""
        startup_failures = 0
        while not self.stop.is_set():
            began = time.monotonic()
            reason = await self._life(daemon, shards)
            if reason is None:
                await self._between_lives()
                return
            startup_failures = 0 if time.monotonic() - began > MINIMUM_UPTIME else startup_failures + 1
            if startup_failures >= MAX_STARTUP_FAILURES and not self._outage():
                raise FatalError(
                    f"the KCL daemon died {startup_failures} times in a row ({reason}); the log above tells why"
                )
            self._metrics.restarts.labels(reason).inc()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(MAX_PAUSE, FIRST_PAUSE * 2.0 ** min(startup_failures, 16))):
                    await self.stop.wait()

    async def _life(self, daemon: Daemon, shards: Shards) -> str | None:
        """From start to end; returns a short reason, None after a stop that was asked for."""
        await self._between_lives()
        self._failed = asyncio.get_running_loop().create_future()
        try:
            await daemon.start()
        except OSError as error:
            if descriptors.reached(error):
                raise descriptors.of_shards(0) from error
            raise FatalError(f"RUN_DIR: the daemon cannot be started: {error}") from error
        self._metrics.daemon_up.set(1)
        ended = asyncio.create_task(daemon.wait())
        stopping = asyncio.create_task(self.stop.wait())
        waiting: set[asyncio.Future[Any]] = {ended, stopping, self._failed}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                failure = self._failed.result()
                if isinstance(failure, descriptors.TooFewDescriptors):
                    raise failure
                log.error("starting the daemon again from the checkpoint: %s", failure, exc_info=failure)
                return type(failure).__name__
            if ended.done():
                log.error("the daemon ended by itself", extra={"code": ended.result()})
                return "exit"
            await self._commit(daemon, shards, ended)
            return None
        finally:
            stopping.cancel()
            daemon.kill()
            await ended
            self._metrics.daemon_up.set(0)
            await shards.end()

    async def _commit(self, daemon: Daemon, shards: Shards, ended: "asyncio.Task[int]") -> None:
        """A graceful end: every shard is asked to commit; once the last has, there is nothing left to wait for."""
        assert self._failed  # noqa: S101
        log.info("stopping: %d shards commit", len(shards.live))
        daemon.terminate()
        deadline = time.monotonic() + self._shutdown_seconds
        while (left := deadline - time.monotonic()) > 0 and shards.conversations:
            waiting: set[asyncio.Future[Any]] = {ended, self._failed, *shards.conversations}
            await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if ended.done() or self._failed.done():
                break
        if live := shards.live:
            log.warning("stopped; %d shards could not commit and will be read again", len(live))
        else:
            log.info("stopped; every shard committed")
