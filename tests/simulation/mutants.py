"""The product, broken on purpose in one place each: the simulation must catch every one.

They are subclasses and replaced functions that exist here only; the product has no switches for them.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from consumer import service
from consumer.archive import store as archive
from consumer.archive.fence import Verdict, decide
from consumer.archive.format import DEAD_LETTERS, READINGS, ArchiveObject, ObjectMetadata
from consumer.archive.store import Archive, Fenced
from consumer.archive.writer import ObjectWriter, RotationPolicy
from consumer.aws import retry
from consumer.aws.retry import until_done
from consumer.kcl import lease_takeover as takeover
from consumer.kcl.lease_table import START, Claim, Leases, ListShards
from consumer.kcl.lease_takeover import Holder, Rows
from consumer.kcl.protocol import Action, CheckpointRefused, Conversation, Position, ProcessRecords, Record
from consumer.payload.reading import Decoded, decode
from consumer.pipeline import shard, shards, watch
from consumer.pipeline.shard import Components, Shard
from consumer.pipeline.shard_end import Ends
from consumer.sinks.table import Arrived, Table
from tests.simulation import ledger
from tests.simulation.clock import Time
from tests.simulation.variant import Variant

Guard = Callable[[], None]


class PlainPut(Archive):
    async def _put(self, key: str, body: bytes, mine: ObjectMetadata, replaces: str | None, guard: Guard) -> bool:
        async def put() -> None:
            await self._client.put_object(Bucket=self._bucket, Key=key, Body=body, Metadata=mine.metadata())

        await until_done("archive", put, self._metrics, guard)
        return True


class NoDeadLetters(Archive):
    async def commit(self, archive_object: ArchiveObject, guard: Guard) -> None:
        await super().commit(replace(archive_object, metadata=replace(archive_object.metadata, dead=None)), guard)


class DeadLettersAlone(Archive):
    """Dead letters are fenced by themselves, and none is never written. It was so once."""

    async def commit(self, archive_object: ArchiveObject, guard: Guard) -> None:
        await self._commit(READINGS + archive_object.key, archive_object.body, archive_object.metadata, guard)
        if archive_object.metadata.dead:
            await self._commit(
                DEAD_LETTERS + archive_object.key, archive_object.dead_letters, archive_object.metadata, guard
            )


class DeadLettersFirst(Archive):
    async def commit(self, archive_object: ArchiveObject, guard: Guard) -> None:
        if archive_object.metadata.dead:
            await self._commit(
                DEAD_LETTERS + archive_object.key, archive_object.dead_letters, archive_object.metadata, guard
            )
        await super().commit(archive_object, guard)


class FencedGoesOn(Archive):
    async def commit(self, archive_object: ArchiveObject, guard: Guard) -> None:
        for prefix, body in ((READINGS, archive_object.body), (DEAD_LETTERS, archive_object.dead_letters)):
            if prefix == READINGS or archive_object.metadata.dead is not None:
                with contextlib.suppress(Fenced):
                    await self._commit(prefix + archive_object.key, body, archive_object.metadata, guard)


class CheckpointBeforeRow(Shard):
    async def _process(self, delivery: ProcessRecords) -> None:
        if not self.live:
            return
        self.behind = delivery.millis_behind_latest
        fresh = [record for record in delivery.records if record.position > self.last]
        decoded = [decode(record.data, self._components.fields) for record in fresh]
        for record, found in zip(fresh, decoded, strict=True):
            await self._pack(record, found)
        if fresh:
            await self._rows(fresh, decoded)
        elif self._idle():
            await self._commit()


class CheckpointBeforeArchiveObject(Shard):
    async def _commit(self, within: float | None = None) -> None:
        assert self._writer
        await self._checkpoint(self._writer.last)
        await super()._commit(within)


class CheckpointOfTheDelivery(Shard):
    async def _checkpoint(self, position: Position | None) -> None:
        await super()._checkpoint(None)


class CheckpointWithoutSub(Shard):
    async def _checkpoint(self, position: Position | None) -> None:
        await super()._checkpoint((position[0], 0) if position else None)


class RowsInTheBackground(Shard):
    async def _rows(self, records: list[Record], decoded: list[Decoded]) -> None:
        self.background = asyncio.create_task(super()._rows(records, decoded))


class AnswerFirst(Shard):
    async def _handle(self, action: Action) -> None:
        if isinstance(action, ProcessRecords):
            self._conversation.answer(action)
        await super()._handle(action)


class Swallow(Shard):
    async def _handle(self, action: Action) -> None:
        with contextlib.suppress(Exception):
            await super()._handle(action)


class NoShardEnd(Shard):
    async def _finish(self) -> None:
        if self.live and self._writer:
            await self._commit()
        self._give_up("ended")


class BelieveTheDaemon(Shard):
    """Where the daemon starts to deliver is taken for the checkpoint."""

    async def _claim(self) -> Claim | None:
        claim = await super()._claim()
        return claim and Claim(claim.epoch, START)


class NoSkipping(Shard):
    async def _process(self, delivery: ProcessRecords) -> None:
        if delivery.records:
            self.last = START
        await super()._process(delivery)


class ShutdownIgnored(Shard):
    async def _checkpoint(self, position: Position | None) -> None:
        with contextlib.suppress(CheckpointRefused):
            await self._conversation.checkpoint(position)


class LogReadLate(Shard):
    """The daemon's log is read before the checkpoint, but not before the archive object. It was so once."""

    def __init__(self, conversation: Conversation, components: Components) -> None:
        super().__init__(conversation, replace(components, before_checkpoint=nothing))
        self._read_log = components.before_checkpoint

    async def _checkpoint(self, position: Position | None) -> None:
        await self._read_log()
        await super()._checkpoint(position)


class EndsBelieved(Ends):
    """What the KCL says of an end is not doubted. It was so once."""

    async def confirm(self, shard: str, guard: Guard) -> None:
        pass


class ClosedIsEnded(Ends):
    """A closed shard is taken for one that has been read to its end, whatever the KCL was told."""

    def __init__(self, list_shards: ListShards, stream: str, gone: Any, *others: Any) -> None:
        super().__init__(list_shards, stream, lambda shard: False, *others)


class RevokeForgotten(Shard):
    """A claim under way makes a revoked conversation live again. It was so once."""

    async def revoke(self) -> None:
        self.live = False
        async with self._working:
            pass


class OwnershipLostButRead(Shard):
    """What is delivered to a conversation that lost its shard counts as read. It was so once."""

    async def _handle(self, action: Action) -> None:
        if isinstance(action, ProcessRecords) and not self.live:
            with self._components.reads.delivery(self.name, action.millis_behind_latest):
                return
        await super()._handle(action)


class NoRevoke(shards.Shards):
    async def replace_older(self, shard: Shard) -> None:
        self._shards[shard.name] = shard


class OlderWins(Table):
    async def put(self, readings: Iterable[Arrived], guard: Guard) -> None:
        await super().put(reversed(list(readings)), guard)


class UnprocessedIgnored(Table):
    async def _put_batch(self, requests: Sequence[Any], guard: Guard) -> None:
        async def write() -> None:
            guard()
            await self._client.batch_write_item(RequestItems={self._name: requests})

        await until_done("table", write, self._metrics, guard)


class GiveUpRows(Table):
    """Rows are written once, and an error is taken for a row that is there already."""

    async def _put_batch(self, requests: Sequence[Any], guard: Guard) -> None:
        with contextlib.suppress(*retry.FAILURES):
            await self._client.batch_write_item(RequestItems={self._name: requests})


class ClaimOfNobody(Leases):
    """Claims without asking whether the lease is ours."""

    async def claim(self, shard: str) -> Claim | None:
        class Client:
            exceptions = self._client.exceptions
            client = self._client

            async def update_item(self, ConditionExpression: str, **asked: Any) -> Any:
                return await self.client.update_item(**asked)

        return await Leases(Client(), self._table, self._worker_id).claim(shard)  # type: ignore[arg-type]


class EpochOfTheClock(Leases):
    """Takes the time for an epoch, and the checkpoint that stands in the row at some moment; claims nothing."""

    async def claim(self, shard: str) -> Claim | None:
        claim = await super().claim(shard)
        return claim and Claim(int(now().time() * 1000), claim.checkpoint)


def now() -> Time:
    """The clock that the product sees."""
    clock: Time = vars(shard)["time"]
    return clock


class OneEpoch(Leases):
    async def claim(self, shard: str) -> Claim | None:
        claim = await super().claim(shard)
        return claim and Claim(1, claim.checkpoint)


class CutByClock(ObjectWriter):
    """Closed two seconds after it was opened, whatever the records say."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._opened = now().monotonic()

    @property
    def full(self) -> bool:
        return self.closable and now().monotonic() - self._opened > 2


class NeverFull(ObjectWriter):
    @property
    def full(self) -> bool:
        return self.want is not None and self.last >= self.want


class NamedByClock(ObjectWriter):
    def __init__(self, name: str, epoch: int, cut: RotationPolicy, first: Record) -> None:
        super().__init__(name, epoch, cut, first)
        self.arrival = int(now().time() * 1000)

    def close(self) -> ArchiveObject:
        minute = (self.arrival // 60_000) % 60
        closed = super().close()
        return replace(closed, key=closed.key.replace("hour=", f"minute={minute:02d}/hour="))


def owner_of_hand_overs(rows: Rows) -> dict[Holder, list[str]]:
    """A lease that is being handed over is judged by all leases of its old owner. It was so once."""
    held: dict[Holder, list[str]] = {}
    for shard_, row in rows.items():
        owner = row.get("checkpointOwner") or row.get("leaseOwner")
        if owner and row["checkpoint"]["S"] != "SHARD_END":
            held.setdefault((owner["S"], ""), []).append(shard_)
    return held


WITHOUT_END = (takeover, "MAX_HAND_OVER", float("inf"))


def instead(verdict: Verdict, other: Verdict) -> Callable[[ObjectMetadata, ObjectMetadata], Verdict]:
    """`decide` with one of its answers turned into another."""
    return lambda mine, stored: other if (found := decide(mine, stored)) is verdict else found


def believe_equal(mine: ObjectMetadata, stored: ObjectMetadata) -> Verdict:
    return Verdict.COMMITTED if stored.last == mine.last and stored.epoch <= mine.epoch else decide(mine, stored)


def forgotten_after_one(mine: ObjectMetadata, replaced: ObjectMetadata) -> ObjectMetadata:
    """An empty dead-letter object is due right after one with lines only, not if that owner stopped before it."""
    return replace(mine, dead=0) if mine.dead is None and replaced.dead else mine


async def nothing(*_: object) -> None:
    pass


def _shard(name: str, broken: type[Shard], rare: bool = False) -> Variant:
    return Variant(name, ((shards, "Shard", broken),), rare)


def _decide(name: str, broken: Callable[[ObjectMetadata, ObjectMetadata], Verdict], rare: bool = False) -> Variant:
    return Variant(name, ((archive, "decide", broken),), rare)


MUTANTS = (
    Variant("plain PUT", ((service, "Archive", PlainPut),)),
    Variant("dead letter not written", ((service, "Archive", NoDeadLetters),)),
    Variant("dead letters fenced alone", ((service, "Archive", DeadLettersAlone),)),
    Variant("dead letters before their object", ((service, "Archive", DeadLettersFirst),)),
    Variant(
        "earlier dead letters forgotten by the next but one",
        ((archive, "taking_place_of", forgotten_after_one),),
    ),
    Variant("dead letters read without asking their object", ((ledger, "belongs", lambda *_: True),)),
    Variant("fenced owner goes on", ((service, "Archive", FencedGoesOn),)),
    _shard("checkpoint before row", CheckpointBeforeRow),
    _shard("checkpoint before archive object", CheckpointBeforeArchiveObject),
    _shard("checkpoint of the whole delivery", CheckpointOfTheDelivery),
    _shard("checkpoint without sub-sequence number", CheckpointWithoutSub),
    _shard("rows in the background", RowsInTheBackground),
    _shard("answer before durable", AnswerFirst),
    _shard("swallow an exception", Swallow, rare=True),
    _shard("missing shard-end checkpoint", NoShardEnd),
    _shard("stale checkpoint believed", BelieveTheDaemon),
    _shard("redelivered records not skipped", NoSkipping),
    _shard("refused checkpoint taken for done", ShutdownIgnored),
    _shard("daemon's log read after the archive object", LogReadLate, rare=True),
    _shard("mute forgotten by a claim under way", RevokeForgotten, rare=True),
    _shard("revoked conversation counts as reading", OwnershipLostButRead, rare=True),
    Variant("first conversation not revoked", ((service, "Shards", NoRevoke),)),
    Variant("end of a shard not doubted", ((service, "Ends", EndsBelieved),)),
    Variant("closed taken for read to its end", ((service, "Ends", ClosedIsEnded),)),
    Variant("older of equal keys wins", ((service, "Table", OlderWins),)),
    Variant("UnprocessedItems ignored", ((service, "Table", UnprocessedIgnored),)),
    Variant("failed rows given up", ((service, "Table", GiveUpRows),)),
    Variant("claim without owning the lease", ((service, "Leases", ClaimOfNobody),), rare=True),
    Variant("epoch from the clock", ((service, "Leases", EpochOfTheClock),)),
    Variant("no epoch", ((service, "Leases", OneEpoch),), rare=True),
    Variant("cut by clock", ((shard, "ObjectWriter", CutByClock),)),
    Variant("archive object never full", ((shard, "ObjectWriter", NeverFull),)),
    Variant("named by clock", ((shard, "ObjectWriter", NamedByClock),)),
    _decide("no epoch check", instead(Verdict.FENCED, Verdict.REPLACE)),
    _decide("shorter object believed", instead(Verdict.REPLACE, Verdict.COMMITTED)),
    _decide("equal object not replaced", believe_equal, rare=True),
    _decide("no adopt", instead(Verdict.ADOPT, Verdict.REPLACE)),
    Variant("daemon's log not read", ((service.Service, "_before_checkpoint", nothing),)),
    Variant("standing hand-over left alone", ((takeover, "_held", owner_of_hand_overs), WITHOUT_END)),
    Variant("hand-over without end left alone", (WITHOUT_END,)),
    Variant("long pause not noticed", ((watch.StallDetector, "awake", lambda self: True),)),
)
