"""The hot path, from top to bottom: a delivery -> decode -> rows -> parcel -> settle -> checkpoint -> answer.

One `Shard` lives as long as one conversation. Law 1: a checkpoint never passes a record whose row, archive line or dead
letter is not durable. What retries cannot cure leaves `run` as an exception and the delivery unanswered; the service
then kills the daemon, which starts again from the checkpoint. Law 5: the answer is the backpressure.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from consumer.archive import Adopt, Archive, Fenced
from consumer.cloudwatch import Sums
from consumer.ending import Ends
from consumer.lease import Claim, Leases
from consumer.metrics import Metrics
from consumer.parcel import Cut, Packer
from consumer.protocol import (
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
from consumer.reading import Decoded, Fields, decode
from consumer.reads import Reads
from consumer.retry import delay, until_done
from consumer.table import Table

log = logging.getLogger(__name__)

HAND_OFF: Final = 25.0
"""Seconds for the last parcel when a lease moves to another worker; the KCL moves it after 30 in any case."""
TRANSIENT: Final = frozenset({"ThrottlingException", "KinesisClientLibDependencyException", "InvalidStateException"})
"""Checkpoint errors that the next try may not meet (the lease table's, not ours)."""


class Muted(Exception):
    """This conversation has lost its shard (or may have): it must write nothing more."""


@dataclass(frozen=True)
class Rooms:
    """What all shards share."""

    fields: Fields
    cut: Cut
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
    """Makes durable what the daemon's log tells of; raises when a delivery may have been skipped. Asked before a parcel
    is written, too."""
    supersede: "Callable[[Shard], Awaitable[None]]"
    """Ends an earlier conversation of the same shard in this process, before this one claims."""


class Shard:
    """One shard's conversation and its open parcel."""

    def __init__(self, conversation: Conversation, rooms: Rooms) -> None:
        self._conversation = conversation
        self._rooms = rooms
        self._working = asyncio.Lock()
        self._packer: Packer | None = None
        self._opened = 0.0  # when the packer was made
        self._in_hand: int | None = None  # arrival of the first record of the delivery that is worked on
        self._epoch = 0
        self.name = ""
        self.live = False
        """Claimed, and neither lost, fenced nor muted since."""
        self._muted = False
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

    async def mute(self) -> None:
        """Stops all writing for this shard, for good; returns when requests under way have ended."""
        self.live, self._muted = False, True
        async with self._working:
            pass

    def guard(self) -> None:
        """Asked before every write; raises Muted when the shard may be another's by now."""
        if not (self.live and self._rooms.awake()):
            raise Muted(self.name)

    async def _handle(self, action: Action) -> None:
        try:
            match action:
                case ProcessRecords() if self.live:
                    with self._rooms.reads.delivery(self.name, action.millis_behind_latest):
                        await self._process(action)
                case ProcessRecords():
                    pass  # fenced, muted or refused: the daemon will learn of it; until then the shard counts as unread
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
        except Muted:
            self._give_up("muted")

    async def _initialize(self, action: Initialize) -> None:
        if self.name:
            raise ProtocolError("a second initialize in one conversation")
        self.name = action.shard_id
        await self._rooms.supersede(self)
        claim = await until_done("leases", self._claim, self._rooms.metrics, lambda: None)
        if claim is None or self._muted:  # muted while it claimed
            log.warning("%s: the lease is not ours any more", self.name)
            return
        self._epoch, self.last, self.live = claim.epoch, claim.checkpoint, True
        log.info("%s: claimed", self.name, extra={"epoch": claim.epoch, "checkpoint": claim.checkpoint[0]})

    async def _claim(self) -> Claim | None:
        return await self._rooms.leases.claim(self.name)

    async def _process(self, delivery: ProcessRecords) -> None:
        self.behind = delivery.millis_behind_latest
        fresh = [record for record in delivery.records if record.position > self.last]
        metrics = self._rooms.metrics
        metrics.redelivered.inc(len(delivery.records) - len(fresh))
        if not fresh:
            if self._idle():
                await self._settle()
            return
        self._in_hand = fresh[0].approximate_arrival_timestamp
        metrics.batches.inc()
        metrics.records.inc(len(fresh))
        with metrics.stage.labels("decode").time():
            decoded = [decode(record.data, self._rooms.fields) for record in fresh]
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
        metrics = self._rooms.metrics
        for found in decoded:
            for reason, count in found.reasons.items():
                metrics.rejected.labels(reason).inc(count)
        metrics.decoded.inc(len(readings))
        await self._rooms.table.put(arrived, self.guard)
        metrics.written(readings)
        if self._rooms.sums:
            self._rooms.sums.add(readings)

    async def _pack(self, record: Record, decoded: Decoded) -> None:
        if self._packer and not self._packer.fits(record):
            await self._settle()
        if self._packer is None:
            self.guard()
            self._packer, self._opened = Packer(self.name, self._epoch, self._rooms.cut, record), time.monotonic()
        self._packer.take(record, decoded)
        self.last = record.position
        if self._packer.full:
            await self._settle()

    def _idle(self) -> bool:
        """Whether the clock may close the parcel: nothing came, nothing waits, and its window is past."""
        packer = self._packer
        return (
            packer is not None
            and packer.closable
            and self.behind == 0
            and time.time() * 1000 - packer.arrival >= self._rooms.cut.window_ms
        )

    async def _settle(self, within: float | None = None) -> None:
        """Puts the open parcel into the archive and checkpoints behind it; an adopted object keeps it open.

        Raises TimeoutError when the archive takes longer than `within` seconds.
        """
        assert self._packer  # noqa: S101
        try:
            async with asyncio.timeout(within):
                # A parcel that began behind a skipped batch would stay, under a key of its own: twice in the archive.
                await self._rooms.before_checkpoint()
                await self._rooms.archive.settle(self._packer.close(), self.guard)
        except Adopt as adopt:
            self._packer.want = adopt.last
            return
        except Fenced as fenced:
            log.warning("%s: %s", self.name, fenced)
            raise Muted(self.name) from fenced
        await self._checkpoint(self._packer.last)
        self._packer = None

    async def _checkpoint(self, position: Position | None) -> None:
        """Checkpoints; tries again as long as the lease table is the obstacle. Raises Muted when the lease is gone."""
        attempt = 0
        while True:
            await self._rooms.before_checkpoint()
            try:
                await self._conversation.checkpoint(position)
            except CheckpointRefused as refused:
                error = refused.error.rpartition(".")[2]
                self._rooms.metrics.checkpoint_errors.labels(error).inc()
                if error == "ShutdownException":
                    raise Muted(self.name) from refused
                if error not in TRANSIENT:
                    raise
                log.warning("%s: checkpoint refused, trying again: %s", self.name, error)
                await asyncio.sleep(delay(attempt))
                attempt += 1
            else:
                self._rooms.metrics.checkpoints.inc()
                return

    async def _hand_off(self) -> None:
        """The lease is about to move: whatever can be made durable in time is, the rest is read again elsewhere."""
        if self.live and self._packer and self._packer.closable:
            try:
                await self._settle(within=HAND_OFF)
            except TimeoutError:
                log.warning("%s: the open parcel could not be settled in time", self.name)
        self._give_up("handed over")

    async def _finish(self) -> None:
        """The shard is read to its end. Answering without this checkpoint would keep its children shut for ever."""
        if not (self.live and self._rooms.awake()):
            raise ProtocolError(f"{self.name} ended in a conversation that lost it")
        await self._rooms.ends.confirm(self.name, self.guard)
        with self._rooms.reads.work(self.name):
            if self._packer:
                await self._settle()
                if self._packer:
                    raise ProtocolError(f"{self.name} ended before record {self._packer.want}, which is archived")
            await self._checkpoint(None)
        self._give_up("read to its end")

    def _give_up(self, why: str) -> None:
        if self.live:
            log.info("%s: %s", self.name, why)
        self.live = False
        self._packer = self._in_hand = None

    def state(self) -> dict[str, Any]:
        """For /shards: position, lag and the open parcel."""
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
        """Records in the open parcel."""
        return self._packer.records if self._packer else 0

    def parcel_age(self) -> float:
        """Seconds that the open parcel is open; 0 without one."""
        return time.monotonic() - self._opened if self._packer else 0.0

    def oldest_age(self) -> float:
        """Seconds since the oldest record arrived that is not yet checkpointed; 0 without one. Since its archive object
        was opened where Kinesis did not say when it arrived."""
        oldest = self.oldest_arrival()
        return self.parcel_age() if oldest is None else max(0.0, round(time.time() - oldest / 1000, 3))

    def oldest_arrival(self) -> int | None:
        """When the oldest record arrived that is not yet checkpointed, in ms since the epoch; None without one, or if
        that is not known."""
        return (self._packer.arrival or None) if self._packer else self._in_hand
