"""The archive: archive objects and dead letters in S3, committed through the fence. The only file that knows S3."""

import asyncio
import logging
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from consumer.archive.fence import Verdict, decide, taking_place_of
from consumer.archive.format import (
    DEAD_LETTERS,
    READINGS,
    ArchiveObject,
    Gzip,
    ObjectMetadata,
    undeliverable_key,
    undeliverable_line,
)
from consumer.aws.retry import code, delay, until_done
from consumer.kcl.protocol import Position
from consumer.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

log = logging.getLogger(__name__)

_CHANGED: Final = frozenset({"PreconditionFailed", "412"})
_GONE: Final = frozenset({"NoSuchKey", "404", "NotFound"})


class Fenced(Exception):
    """A newer owner of the shard has written here: this one must write nothing more."""


class Adopt(Exception):
    """The object holds records after the archive object's last: take them too, up to `last`, then commit again."""

    def __init__(self, last: Position) -> None:
        super().__init__(last)
        self.last = last


class ForeignObject(Exception):
    """An object stands where an archive object belongs, but says nothing of itself as ours do."""


class Archive:
    """Archive objects in one bucket."""

    def __init__(self, client: "S3Client", bucket: str, metrics: Metrics) -> None:
        self._client = client
        self._bucket = bucket
        self._metrics = metrics

    async def commit(self, archive_object: ArchiveObject, guard: Callable[[], None]) -> None:
        """Makes an archive object and its dead letters durable, each in exactly one object.

        The archive object's PUT decides about the dead letters, too (archive object.ObjectMetadata.dead), so they come
        after it, even none where an earlier owner of the key had some. Returns when both are durable. Raises Fenced or
        Adopt (see archive object.Verdict), ForeignObject, and what `guard` raises.
        """
        stands = await self._commit(READINGS + archive_object.key, archive_object.body, archive_object.metadata, guard)
        if stands.dead is not None:
            await self._commit(DEAD_LETTERS + archive_object.key, archive_object.dead_letters, stands, guard)
            self._metrics.dead_letters.inc(stands.dead)
        self._metrics.archive_objects.inc()
        self._metrics.archive_records.inc(archive_object.metadata.records)
        self._metrics.archive_bytes.inc(len(archive_object.body))

    async def put_undeliverable(self, data: bytes, guard: Callable[[], None]) -> None:
        """Keeps a record that the KCL could not de-aggregate; the same bytes always give the same object."""
        body = Gzip(0)
        body.write(undeliverable_line(data))

        async def put() -> None:
            await self._client.put_object(Bucket=self._bucket, Key=undeliverable_key(data), Body=body.read())

        await until_done("archive", put, self._metrics, guard)
        self._metrics.dead_letters.inc()

    async def _commit(self, key: str, body: bytes, mine: ObjectMetadata, guard: Callable[[], None]) -> ObjectMetadata:
        """Brings one object into its place; returns the metadata that it has there."""
        replaces: str | None = None  # the ETag of the object that ours takes the place of
        for changes in count():
            if changes > 1:  # once is what a replay meets; more often, others write and delete here as we do
                await self._changed_again(key, changes, guard)
            if await self._put(key, body, mine, replaces, guard):
                outcome = Verdict.REPLACE.value if replaces else "new"
                break
            found = await self._head(key, guard)
            if found is None:
                replaces = None
                continue
            stored, etag = found
            verdict = decide(mine, stored)
            if verdict is Verdict.REPLACE:
                replaces, mine = etag, taking_place_of(mine, stored)
                continue
            outcome = verdict.value
            if verdict is Verdict.COMMITTED:
                mine = stored
            break
        self._metrics.fence.labels(outcome).inc()
        if outcome not in ("new", Verdict.COMMITTED.value):
            log.warning("fence: %s is %s", key, outcome, extra={"epoch": mine.epoch})
        if outcome == Verdict.FENCED.value:
            raise Fenced(f"{key}: epoch {stored.epoch} is newer than ours, {mine.epoch}")
        if outcome == Verdict.ADOPT.value:
            raise Adopt(stored.last)
        return mine

    async def _changed_again(self, key: str, changes: int, guard: Callable[[], None]) -> None:
        guard()
        self._metrics.retries.labels("archive", "changed").inc()
        if changes % 10 == 0:
            log.warning("fence: %s was changed by others %d times while we wrote it", key, changes)
        await asyncio.sleep(delay(changes - 2))

    async def _put(
        self, key: str, body: bytes, mine: ObjectMetadata, replaces: str | None, guard: Callable[[], None]
    ) -> bool:
        """One conditional PUT; False when the object is not (or no longer) as the condition says.

        A 409 says that another write was under way at that moment, not how it ended: like any failure it is tried
        again after a wait, and then gives the one answer or the other.
        """

        async def put() -> bool:
            try:
                if replaces:
                    await self._client.put_object(
                        Bucket=self._bucket, Key=key, Body=body, Metadata=mine.metadata(), IfMatch=replaces
                    )
                else:
                    await self._client.put_object(
                        Bucket=self._bucket, Key=key, Body=body, Metadata=mine.metadata(), IfNoneMatch="*"
                    )
            except ClientError as error:
                if code(error) in _CHANGED | _GONE:
                    return False
                raise
            return True

        return await until_done("archive", put, self._metrics, guard)

    async def _head(self, key: str, guard: Callable[[], None]) -> tuple[ObjectMetadata, str] | None:
        """The stamp and ETag of an object; None when it is not there."""

        async def head() -> tuple[ObjectMetadata, str] | None:
            try:
                answer = await self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if code(error) in _GONE:
                    return None
                raise
            try:
                return ObjectMetadata.parse(answer["Metadata"]), answer["ETag"]
            except (KeyError, ValueError) as error:
                raise ForeignObject(f"{key}: another program has written this object; move it away") from error

        return await until_done("archive", head, self._metrics, guard)
