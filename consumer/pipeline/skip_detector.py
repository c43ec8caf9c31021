"""Checks the daemon's log, before each checkpoint, for records that are never delivered."""

from consumer.archive.store import Archive
from consumer.aws.retry import unguarded
from consumer.kcl.daemon import Daemon
from consumer.telemetry.metrics import Metrics


class SkipDetector:
    """Reads the log of `daemon`."""

    def __init__(self, daemon: Daemon, archive: Archive, metrics: Metrics) -> None:
        self._daemon = daemon
        self._archive = archive
        self._metrics = metrics

    async def before_checkpoint(self) -> None:
        """Makes the records durable that the KCL could not de-aggregate; raises BatchSkipped when a batch may have been
        skipped."""
        self._daemon.drain_log()
        undeliverable = self._daemon.undeliverable
        while undeliverable:
            data = undeliverable[0]
            await self._archive.put_undeliverable(data, unguarded)
            if undeliverable and undeliverable[0] is data:  # not done meanwhile for another shard
                del undeliverable[0]
                self._metrics.rejected.labels("bad-aggregate").inc()
