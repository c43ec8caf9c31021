"""The hot path: a delivery -> decode -> rows -> archive object -> commit -> checkpoint -> answer.

A `Shard` lives as long as one conversation. Invariant 1: a checkpoint never passes a record whose row, archive line or
dead letter is not durable. A failure that retries cannot cure leaves `run` as an exception and the delivery unanswered;
the service then restarts the daemon from the checkpoint. Invariant 5: the answer is the backpressure.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from consumer.archive.fence import Adopt, Committed, Fenced
from consumer.archive.writer import Item, ObjectWriter
from consumer.aws.retry import unguarded, until_done
from consumer.kcl.claims import Form
from consumer.kcl.lease_table import START
from consumer.kcl.protocol import (
    Action,
    Conversation,
    ConversationEnded,
    Initialize,
    LeaseLost,
    ProcessRecords,
    ProtocolError,
    ShardEnded,
    ShutdownRequested,
)
from consumer.pipeline.checkpoint import checkpoint, next_form
from consumer.pipeline.components import Components
from consumer.pipeline.decoding import decode_all, readings
from consumer.pipeline.ownership import Event, OwnershipLost, OwnershipState
from consumer.pipeline.pieces import Taken, pieces
from consumer.record import Position
from consumer.sinks.rollups import ShardRollups
from consumer.telemetry.log import bind

log = logging.getLogger(__name__)

HAND_OFF_SECONDS: Final = 25.0
"""Seconds for the last archive object when a lease moves to another worker; the KCL waits at most 30 s."""


class Shard:
    """One shard's conversation and its open archive object."""

    def __init__(self, conversation: Conversation, components: Components) -> None:
        self._conversation = conversation
        self._components = components
        self._working = asyncio.Lock()
        self.ownership = OwnershipState(components.ownership.running, components.metrics)
        self.epoch = 0
        self._form = Form("gzip", 0)  # of the next archive object
        self._writer: ObjectWriter | None = None
        self._rollups = ShardRollups(components.rollups) if components.rollups else None
        self._opened = 0.0  # when the object writer was created
        self._in_hand: int | None = None  # arrival of the first record of the delivery in progress
        self.name = ""
        self.last: Position = START  # of the last record that is in the open archive object, or was
        self.behind: int | None = None
        self.records, self.bytes = 0, 0  # stream records done with, and their bytes

    async def run(self) -> None:
        """Serves the conversation until the daemon ends it. When it raises, the daemon must be ended."""
        try:
            while True:
                try:
                    action = await self._conversation.receive()
                except ConversationEnded:
                    if self.ownership.finished:
                        return
                    raise
                async with self._working:
                    await self._handle(action)
                self._conversation.answer(action)
                del action  # its records, while the next one is waited for
        finally:
            self.ownership.on(Event.CONVERSATION_ENDED)
            self._conversation.close()

    async def revoke(self) -> None:
        """Stops all writing for this shard permanently; returns when requests in progress have ended."""
        self.ownership.on(Event.REPLACED)
        async with self._working:
            pass

    async def _handle(self, action: Action) -> None:
        try:
            match action:
                case Initialize():
                    await self._initialize(action)
                case ProcessRecords() if self.ownership.live:
                    with self._components.reads.delivery(self.name, action.millis_behind_latest):
                        await self._process(action)
                case ProcessRecords():
                    pass  # not ours, or refused: the daemon will learn of it; until then the shard counts as unread
                case LeaseLost():
                    self.ownership.on(Event.LEASE_LOST)
                case ShutdownRequested():
                    await self._hand_off()
                case ShardEnded():
                    await self._finish()
        except OwnershipLost as lost:
            self.ownership.on(lost.event)
        if not self.ownership.live:
            self._writer = self._in_hand = None

    async def _initialize(self, action: Initialize) -> None:
        if self.name:
            raise ProtocolError("a second initialize in one conversation")
        self.ownership.on(Event.INITIALIZE)
        self.name = action.shard_id
        bind(shard=self.name)
        await self._components.ownership.replace_older(self)
        claims, metrics = self._components.claims, self._components.metrics
        claim = await until_done("leases", partial(claims.claim, self.name), metrics, unguarded)
        if claim is None:
            self.ownership.on(Event.CLAIM_REFUSED)
            return
        self.epoch, self._form, self.last = claim.epoch, claim.form, claim.checkpoint
        self.ownership.on(Event.CLAIMED)
        if self.ownership.live:  # not replaced meanwhile
            log.info("claimed", extra={"epoch": claim.epoch, "checkpoint": claim.checkpoint[0]})

    async def _process(self, delivery: ProcessRecords) -> None:
        self.behind = delivery.millis_behind_latest
        taken = [(position, record) for record in delivery.records if (position := record.position) > self.last]
        self._components.metrics.delivered(len(delivery.records), len(taken))
        if not taken:
            if self._writer and self.behind == 0 and self._writer.expired(time.time() * 1000):
                await self._commit()
            return
        self._in_hand = taken[0][1].approximate_arrival_timestamp
        for place, piece in enumerate(pieces(taken)):
            if place:
                await asyncio.sleep(0)  # also where nothing had to be waited for
            await self._store(piece)
        self._in_hand = None

    async def _store(self, taken: Sequence[Taken]) -> None:
        """Makes rows of records, and puts them into the archive object."""
        components, guard = self._components, self.ownership.guard
        metrics = components.metrics
        with metrics.stage["decode"].time():
            decoded = await decode_all([record for _, record in taken], components.contracts, metrics)
        records = [(*item, found) for item, found in zip(taken, decoded, strict=True)]
        with metrics.stage["rows"].time():
            await components.table.put(arrived := readings(records), guard)
            components.written(arrived)
        with metrics.stage["archive"].time():
            await self._archive(records)
        self.records += len(taken)
        self.bytes += sum(len(record.data) for _, record in taken)

    async def _archive(self, records: list[Item]) -> None:
        while records:
            if self._writer is None:
                self.ownership.guard()
                rotation, first, form = self._components.rotation, records[0][:2], self._form
                self._writer = ObjectWriter(self.name, self.epoch, form.compression, rotation, *first, form.seconds)
                self._opened = time.monotonic()
            taken = self._writer.take(records)
            if self._rollups and self._form.seconds:
                self._rollups.add((reading for reading, _ in readings(records[:taken])), self._form.seconds)
            records = records[taken:]
            self.last = self._writer.last
            if records or self._writer.full:
                await self._commit()

    async def _commit(self, within: float | None = None) -> None:
        """Commits the open archive object, each step when the one before is done:

        1. The rows of its records are durable: `_process` packs a record only after its row was written. Their alerts
           were accepted, unless that would hold up the data (consumer/sinks/alerts.py).
        2. What the daemon's log shows as dropped is durable, and no batch was skipped: an archive object that began
           behind a skipped batch would stay, under a key of its own, so that its records stood in the archive twice.
        3. The object and its dead letters are written through the fence. If another owner has stored a longer object,
           ours stays open until it holds that one's last record; an object of a newer owner ends our ownership.
        4. The rollups have counted it (consumer/sinks/rollups.py).
        5. Its last record is checkpointed; only then the next archive object may begin.
        6. The daemon gets its answer (`run`).

        Raises OwnershipLost; TimeoutError when steps 1 to 4 take longer than `within` seconds.
        """
        assert self._writer  # noqa: S101
        async with asyncio.timeout(within):
            if self._components.alerts:
                await self._components.alerts.settle()
            await self._components.skips.before_checkpoint()
            outcome = await self._components.archive.commit(self._writer.close(), self.ownership.guard)
            if self._rollups and isinstance(outcome, Committed):
                with self._components.metrics.stage["rollups"].time():
                    await self._rollups.commit(self.name, self._writer.first, self.epoch, self.ownership.guard)
        match outcome:
            case Adopt(last):
                self._writer.want = last
            case Fenced():
                raise OwnershipLost(Event.FENCED)
            case Committed():
                await checkpoint(self._conversation, self._writer.last, self._components)
                self._writer = None
                guard = self.ownership.guard
                self._form = await next_form(self.name, self.epoch, self._form, self._components, guard)

    async def _hand_off(self) -> None:
        """The lease is about to move: commits what it can in time; the next owner reads the rest again."""
        if self.ownership.live and self._writer and self._writer.closable:
            try:
                await self._commit(within=HAND_OFF_SECONDS)
            except TimeoutError:
                log.warning("the open archive object could not be committed in time")
        self.ownership.on(Event.HANDED_OVER)

    async def _finish(self) -> None:
        """The shard is read to its end. Without this checkpoint the KCL would never start to read its children."""
        if not (self.ownership.live and self._components.ownership.running()):
            raise ProtocolError(f"{self.name} ended in a conversation that lost it")
        await self._components.ends.confirm(self.name, self.ownership.guard)
        with self._components.reads.work(self.name):
            if self._writer:
                await self._commit()
                if self._writer:
                    raise ProtocolError(f"{self.name} ended before record {self._writer.want}, which is archived")
            await checkpoint(self._conversation, None, self._components)
        self.ownership.on(Event.SHARD_END)

    def open_records(self) -> int:
        """Records in the open archive object."""
        return self._writer.records if self._writer else 0

    def archive_object_age(self) -> float:
        """Seconds since the open archive object was opened; 0 without one."""
        return time.monotonic() - self._opened if self._writer else 0.0

    def oldest_age(self) -> float:
        """Seconds since the arrival of the oldest record not yet checkpointed (if unknown, since its archive object was
        opened); 0 without one."""
        oldest = self.oldest_arrival()
        return self.archive_object_age() if oldest is None else max(0.0, round(time.time() - oldest / 1000, 3))

    def oldest_arrival(self) -> int | None:
        """Arrival of the oldest record not yet checkpointed, in ms since the epoch; None without one, or if unknown."""
        return (self._writer.arrival or None) if self._writer else self._in_hand
