"""The hot path, from top to bottom: a delivery -> decode -> rows -> archive object -> commit -> checkpoint -> answer.

One `Shard` lives as long as one conversation. Invariant 1: a checkpoint never passes a record whose row, archive line
or dead letter is not durable. What retries cannot cure leaves `run` as an exception and the delivery unanswered; the
service then kills the daemon, which starts again from the checkpoint. Invariant 5: the answer is the backpressure.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from consumer.archive.fence import Adopt, Committed, Fenced
from consumer.archive.store import Archive
from consumer.archive.writer import ObjectWriter, RotationPolicy
from consumer.aws.retry import delay, unguarded, until_done
from consumer.kcl.lease_table import Claim, Leases
from consumer.kcl.protocol import (
    Action,
    CheckpointRefused,
    Conversation,
    ConversationEnded,
    Initialize,
    LeaseLost,
    Position,
    ProcessRecords,
    ProtocolError,
    Record,
    ShardEnded,
    ShutdownRequested,
)
from consumer.payload.reading import Decoded, Fields, decode
from consumer.pipeline.reads import Reads
from consumer.pipeline.shard_end import Ends
from consumer.sinks.cloudwatch import Sums
from consumer.sinks.table import Table
from consumer.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

HAND_OFF: Final = 25.0
"""Seconds for the last archive object when a lease moves to another worker; the KCL moves it after 30 in any case."""
TRANSIENT: Final = frozenset({"ThrottlingException", "KinesisClientLibDependencyException", "InvalidStateException"})
"""Checkpoint errors that the next try may not meet (the lease table's, not ours)."""


class OwnershipLost(Exception):
    """This conversation has lost its shard (or may have): it must write nothing more."""


@dataclass(frozen=True)
class Components:
    """What all shards share."""

    fields: Fields
    cut: RotationPolicy
    leases: Leases
    table: Table
    archive: Archive
    ends: Ends
    sums: Sums | None
    metrics: Metrics
    reads: Reads
    awake: Callable[[], bool]
    """False when this process may have slept longer than its leases last."""
    before_checkpoint: Callable[[], Awaitable[None]]
    """Makes durable what the daemon's log tells of; raises when a delivery may have been skipped. Asked before an
    archive object is written, too."""
    replace_older: "Callable[[Shard], Awaitable[None]]"
    """Ends an earlier conversation of the same shard in this process, before this one claims."""


class Shard:
    """One shard's conversation and its open archive object."""

    def __init__(self, conversation: Conversation, components: Components) -> None:
        self._conversation = conversation
        self._components = components
        self._working = asyncio.Lock()
        self._writer: ObjectWriter | None = None
        self._opened = 0.0  # when the object writer was made
        self._in_hand: int | None = None  # arrival of the first record of the delivery that is worked on
        self._epoch = 0
        self.name = ""
        self.live = False
        """Claimed, and neither lost, fenced nor revoked since."""
        self._ownership_lost = False
        self.finished = False
        """The daemon said its last word: the end of the pipe is expected."""
        self.last: Position = (-1, -1)
        self.behind: int | None = None

    async def run(self) -> None:
        """Serves the conversation until the daemon ends it.

        Raises what must not be survived: the caller kills the daemon, so that it starts from the checkpoint.
        """
        try:
            while True:
                try:
                    action = await self._conversation.receive()
                except ConversationEnded:
                    if self.finished:
                        return
                    raise
                async with self._working:
                    await self._handle(action)
                self._conversation.answer(action)
        finally:
            self.live = False
            self._conversation.close()

    async def revoke(self) -> None:
        """Stops all writing for this shard, for good; returns when requests under way have ended."""
        self.live, self._ownership_lost = False, True
        async with self._working:
            pass

    def guard(self) -> None:
        """Asked before every write; raises OwnershipLost when the shard may be another's by now."""
        if not (self.live and self._components.awake()):
            raise OwnershipLost(self.name)

    async def _handle(self, action: Action) -> None:
        try:
            match action:
                case ProcessRecords() if self.live:
                    with self._components.reads.delivery(self.name, action.millis_behind_latest):
                        await self._process(action)
                case ProcessRecords():
                    pass  # not ours, or refused: the daemon will learn of it; until then the shard counts as unread
                case Initialize():
                    await self._initialize(action)
                case LeaseLost():
                    self._give_up("lease lost")
                    self.finished = True
                case ShutdownRequested():
                    await self._hand_off()
                    self.finished = True
                case ShardEnded():
                    await self._finish()
                    self.finished = True
        except OwnershipLost:
            self._give_up("ownership lost")

    async def _initialize(self, action: Initialize) -> None:
        if self.name:
            raise ProtocolError("a second initialize in one conversation")
        self.name = action.shard_id
        await self._components.replace_older(self)
        claim = await until_done("leases", self._claim, self._components.metrics, unguarded)
        if claim is None or self._ownership_lost:  # revoked while it claimed
            log.warning("%s: the lease is not ours any more", self.name)
            return
        self._epoch, self.last, self.live = claim.epoch, claim.checkpoint, True
        log.info("%s: claimed", self.name, extra={"epoch": claim.epoch, "checkpoint": claim.checkpoint[0]})

    async def _claim(self) -> Claim | None:
        return await self._components.leases.claim(self.name)

    async def _process(self, delivery: ProcessRecords) -> None:
        self.behind = delivery.millis_behind_latest
        fresh = [record for record in delivery.records if record.position > self.last]
        metrics = self._components.metrics
        metrics.redelivered.inc(len(delivery.records) - len(fresh))
        if not fresh:
            if self._idle():
                await self._commit()
            return
        self._in_hand = fresh[0].approximate_arrival_timestamp
        metrics.batches.inc()
        metrics.records.inc(len(fresh))
        with metrics.stage.labels("decode").time():
            decoded = [decode(record.data, self._components.fields) for record in fresh]
        with metrics.stage.labels("rows").time():
            await self._rows(fresh, decoded)
        with metrics.stage.labels("archive").time():
            for record, found in zip(fresh, decoded, strict=True):
                await self._pack(record, found)
        self._in_hand = None
        metrics.shard_records.labels(self.name).inc(len(fresh))
        metrics.shard_bytes.labels(self.name).inc(sum(len(record.data) for record in fresh))

    async def _rows(self, records: list[Record], decoded: list[Decoded]) -> None:
        arrived = [
            (reading, record.approximate_arrival_timestamp)
            for record, found in zip(records, decoded, strict=True)
            for reading in found.readings
        ]
        readings = [reading for reading, _ in arrived]
        metrics = self._components.metrics
        for found in decoded:
            for reason, count in found.reasons.items():
                metrics.rejected.labels(reason).inc(count)
        metrics.decoded.inc(len(readings))
        await self._components.table.put(arrived, self.guard)
        metrics.written(readings)
        if self._components.sums:
            self._components.sums.add(readings)

    async def _pack(self, record: Record, decoded: Decoded) -> None:
        if self._writer and not self._writer.fits(record):
            await self._commit()
        if self._writer is None:
            self.guard()
            self._writer, self._opened = (
                ObjectWriter(self.name, self._epoch, self._components.cut, record),
                time.monotonic(),
            )
        self._writer.take(record, decoded)
        self.last = record.position
        if self._writer.full:
            await self._commit()

    def _idle(self) -> bool:
        """Whether the clock may close the archive object: nothing came, nothing waits, and its window is past."""
        writer = self._writer
        return (
            writer is not None
            and writer.closable
            and self.behind == 0
            and time.time() * 1000 - writer.arrival >= self._components.cut.window_ms
        )

    async def _commit(self, within: float | None = None) -> None:
        """Puts the open archive object into the archive and checkpoints behind it; an adopted object keeps it open.

        Raises TimeoutError when the archive takes longer than `within` seconds.
        """
        assert self._writer  # noqa: S101
        async with asyncio.timeout(within):
            # An archive object that began behind a skipped batch would stay, under a key of its own: twice in the
            # archive.
            await self._components.before_checkpoint()
            outcome = await self._components.archive.commit(self._writer.close(), self.guard)
        match outcome:
            case Adopt(last):
                self._writer.want = last
            case Fenced(epoch):
                log.warning("%s: epoch %d is newer than ours, %d", self.name, epoch, self._epoch)
                raise OwnershipLost(self.name)
            case Committed():
                await self._checkpoint(self._writer.last)
                self._writer = None

    async def _checkpoint(self, position: Position | None) -> None:
        """Checkpoints; tries again as long as the lease table is the obstacle. Raises OwnershipLost when the lease is
        gone."""
        attempt = 0
        while True:
            await self._components.before_checkpoint()
            try:
                await self._conversation.checkpoint(position)
            except CheckpointRefused as refused:
                error = refused.error.rpartition(".")[2]
                self._components.metrics.checkpoint_errors.labels(error).inc()
                if error == "ShutdownException":
                    raise OwnershipLost(self.name) from refused
                if error not in TRANSIENT:
                    raise
                log.warning("%s: checkpoint refused, trying again: %s", self.name, error)
                await asyncio.sleep(delay(attempt))
                attempt += 1
            else:
                self._components.metrics.checkpoints.inc()
                return

    async def _hand_off(self) -> None:
        """The lease is about to move: whatever can be made durable in time is, the rest is read again elsewhere."""
        if self.live and self._writer and self._writer.closable:
            try:
                await self._commit(within=HAND_OFF)
            except TimeoutError:
                log.warning("%s: the open archive object could not be committed in time", self.name)
        self._give_up("handed over")

    async def _finish(self) -> None:
        """The shard is read to its end. Answering without this checkpoint would keep its children shut for ever."""
        if not (self.live and self._components.awake()):
            raise ProtocolError(f"{self.name} ended in a conversation that lost it")
        await self._components.ends.confirm(self.name, self.guard)
        with self._components.reads.work(self.name):
            if self._writer:
                await self._commit()
                if self._writer:
                    raise ProtocolError(f"{self.name} ended before record {self._writer.want}, which is archived")
            await self._checkpoint(None)
        self._give_up("read to its end")

    def _give_up(self, why: str) -> None:
        if self.live:
            log.info("%s: %s", self.name, why)
        self.live = False
        self._writer = self._in_hand = None

    def state(self) -> dict[str, Any]:
        """For /shards: position, lag and the open archive object."""
        return {
            "shard": self.name,
            "live": self.live,
            "epoch": self._epoch,
            "position": "%d.%d" % self.last if self.last[0] >= 0 else None,
            "millisBehindLatest": self.behind,
            "openRecords": self.open_records(),
            "oldestRecordAgeSeconds": self.oldest_age(),
        }

    def open_records(self) -> int:
        """Records in the open archive object."""
        return self._writer.records if self._writer else 0

    def archive_object_age(self) -> float:
        """Seconds that the open archive object is open; 0 without one."""
        return time.monotonic() - self._opened if self._writer else 0.0

    def oldest_age(self) -> float:
        """Seconds since the oldest record arrived that is not yet checkpointed; 0 without one. Since its archive object
        was opened where Kinesis did not say when it arrived."""
        oldest = self.oldest_arrival()
        return self.archive_object_age() if oldest is None else max(0.0, round(time.time() - oldest / 1000, 3))

    def oldest_arrival(self) -> int | None:
        """When the oldest record arrived that is not yet checkpointed, in ms since the epoch; None without one, or if
        that is not known."""
        return (self._writer.arrival or None) if self._writer else self._in_hand
