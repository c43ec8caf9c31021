"""Detects that this process was suspended (SIGSTOP, a sleeping machine), by a clock that includes such times."""

import asyncio
import time

from consumer.restarts import Reason, RunFailed


class Stalled(RunFailed):
    """This process was suspended for longer than its leases last."""

    reason = Reason.TIMEOUT


class StallDetector:
    """After a gap longer than a lease lasts, other workers may own the shards: nothing is written until the daemon has
    been restarted and every shard claimed again."""

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._last = self._now()
        self._stalled = False

    @staticmethod
    def _now() -> float:
        # macOS has no such name: its CLOCK_MONOTONIC goes on while the machine sleeps (clock_gettime(3) there).
        return time.clock_gettime(time.CLOCK_BOOTTIME if hasattr(time, "CLOCK_BOOTTIME") else time.CLOCK_MONOTONIC)

    def running(self) -> bool:
        """Whether the process has been running all the time since `reset`."""
        if self._now() - self._last > self._lease_seconds:
            self._stalled = True
        return not self._stalled

    def reset(self) -> None:
        """To be called before a new run of the daemon, which claims all shards again."""
        self._last, self._stalled = self._now(), False

    async def run(self) -> None:
        """Looks at the clock until cancelled; raises Stalled after a gap."""
        while self.running():
            self._last = self._now()
            await asyncio.sleep(min(1.0, self._lease_seconds / 4))
        raise Stalled(f"this process was suspended for more than {self._lease_seconds} s")
