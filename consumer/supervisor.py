"""Starts the KCL daemon, restarts it after a failure and stops it. A restart in place, with the same worker id, takes
seconds.

A failure that ends a run (one that retries cannot cure, a batch that may have been skipped, a dead connector) is raised
in one of the run's tasks. The daemon is then killed by SIGKILL; nothing unanswered has been checkpointed, so all of it
is delivered again.
"""

import asyncio
import contextlib
import logging
import time
from typing import Final

from consumer import descriptors
from consumer.aws.retry import FAILURES
from consumer.kcl.daemon import Daemon
from consumer.kcl.lease_table import Leases
from consumer.pipeline.health import Health
from consumer.pipeline.listener import Listener
from consumer.pipeline.stall_detector import StallDetector
from consumer.pipeline.watchdog import Watchdog
from consumer.restarts import Reason, RunFailed, reason
from consumer.tasks import background
from consumer.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

MINIMUM_UPTIME: Final = 60.0
"""Seconds a daemon must have run for its end not to count towards MAX_STARTUP_FAILURES."""
MAX_STARTUP_FAILURES: Final = 6
"""Consecutive shorter runs after which the service exits, so that its own supervisor notices."""

FIRST_PAUSE: Final = 0.25
MAX_PAUSE: Final = 30.0
"""Seconds between two runs, doubling while they fail at the start."""
RELEASE_SECONDS: Final = 5.0


class FatalError(Exception):
    """The service cannot run; the message is one line that names the fix."""


class DaemonExited(RunFailed):
    """The daemon exited unexpectedly."""

    reason = Reason.EXIT


class Supervisor:
    """One daemon at a time, until `stop` is set."""

    def __init__(
        self,
        daemon: Daemon,
        listener: Listener,
        stall_detector: StallDetector,
        watchdog: Watchdog,
        health: Health,
        leases: Leases,
        metrics: Metrics,
        shutdown_seconds: float,
    ) -> None:
        self._daemon = daemon
        self._listener = listener
        self._stall_detector = stall_detector
        self._watchdog = watchdog
        self._health = health
        self._leases = leases
        self._metrics = metrics
        self._shutdown_seconds = shutdown_seconds
        self.stop = asyncio.Event()

    async def run(self) -> None:
        """Returns after a requested stop. Raises FatalError when daemons keep failing at their start, and
        TooFewDescriptors."""
        startup_failures = 0
        while not self.stop.is_set():
            began = time.monotonic()
            failure = await self._run_once()
            if failure is None:
                return
            startup_failures = 0 if time.monotonic() - began > MINIMUM_UPTIME else startup_failures + 1
            if startup_failures >= MAX_STARTUP_FAILURES and not self._health.outage:
                raise FatalError(
                    f"the KCL daemon died {startup_failures} times in a row ({reason(failure)}); see the log above"
                )
            self._metrics.restarts.labels(reason(failure)).inc()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(MAX_PAUSE, FIRST_PAUSE * 2.0 ** min(startup_failures, 16))):
                    await self.stop.wait()

    async def _run_once(self) -> Exception | None:
        """One run of the daemon, from start to end. Returns the error that ended it; None after a requested stop."""
        await self._release_leadership()
        self._stall_detector.reset()
        await self._start()
        failure: Exception | None = None
        terminated = asyncio.Event()
        try:
            async with background(self._exit(), self._watch(), self._stall_detector.run(), self._terminate(terminated)):
                await self._listener.serve(until=terminated)
        except descriptors.TooFewDescriptors:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, the daemon starts again from the checkpoint)
            failure = error
        finally:
            self._daemon.kill()
            await self._daemon.wait()
            self._metrics.daemon_up.set(0)
        if not self.stop.is_set():
            log.error("restarting the daemon from the checkpoint: %s", failure, exc_info=failure)
            return failure
        if failure:
            log.warning("stopped; not every shard committed, the others will be read again: %s", failure)
        else:
            log.info("stopped; every shard committed")
        await self._release_leadership()
        return None

    async def _start(self) -> None:
        try:
            await self._daemon.start()
        except OSError as error:
            if descriptors.limit_reached(error):
                raise descriptors.too_many_shards(0) from error
            raise FatalError(f"RUN_DIR: the daemon cannot be started: {error}") from error
        self._metrics.daemon_up.set(1)

    async def _exit(self) -> None:
        """Raises DaemonExited when the daemon exits."""
        raise DaemonExited(f"the daemon exited with code {await self._daemon.wait()}")

    async def _watch(self) -> None:
        """Runs the watchdog until a stop: from then on shards that were handed over are no longer read."""
        async with background(self._watchdog.run()):
            await self.stop.wait()

    async def _terminate(self, terminated: asyncio.Event) -> None:
        """Waits for a stop, then asks the daemon to end; it asks every shard to commit. Raises TimeoutError if that
        takes too long."""
        await self.stop.wait()
        log.info("stopping: every shard commits")
        self._daemon.terminate()
        terminated.set()
        await asyncio.sleep(self._shutdown_seconds)
        raise TimeoutError(f"it took more than {self._shutdown_seconds:.0f} s")

    async def _release_leadership(self) -> None:
        """To be called only while no daemon of this worker runs."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._leases.release_leadership()
        except FAILURES as error:
            log.warning("the leader's lock was not released, and will expire: %s", error or type(error).__name__)
