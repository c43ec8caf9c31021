"""The components that all shards of a worker share, and the interfaces that shards call."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from consumer.archive.store import Archive
from consumer.archive.writer import RotationPolicy
from consumer.kcl.claims import Claims
from consumer.payload.contracts import Contracts
from consumer.pipeline.reads import Reads
from consumer.pipeline.shard_end import Ends
from consumer.sinks.alerts import Alerts
from consumer.sinks.rollups import RollupTable
from consumer.sinks.rows import Arrived
from consumer.sinks.statistics import Sums
from consumer.sinks.table import Table
from consumer.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from consumer.pipeline.shard import Shard


class Ownership(Protocol):
    """Decides which conversations of this process may write."""

    def running(self) -> bool:
        """False when this process may have been suspended for longer than its leases last."""

    async def replace_older(self, shard: "Shard") -> None:
        """Ends an earlier conversation of the same shard in this process, before this one claims."""


class SkipDetection(Protocol):
    """Detects records that the daemon never delivers, by its log."""

    async def before_checkpoint(self) -> None:
        """Makes dropped records durable; raises when a delivery may have been skipped. Also called before an archive
        object is written."""


@dataclass(frozen=True)
class Components:
    """What all shards share."""

    contracts: Contracts
    rotation: RotationPolicy
    claims: Claims
    table: Table
    rollups: RollupTable | None
    archive: Archive
    ends: Ends
    sums: Sums | None
    alerts: Alerts | None
    metrics: Metrics
    reads: Reads
    ownership: Ownership
    skips: SkipDetection

    def written(self, arrived: Sequence[Arrived]) -> None:
        """Passes readings whose rows, if they have some, are durable to the metrics, the statistics and the alerts."""
        readings = [reading for reading, _ in arrived]
        self.metrics.written(readings)
        if self.sums:
            self.sums.add(readings)
        if self.alerts:
            self.alerts.add(arrived)
