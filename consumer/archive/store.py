"""The archive: archive objects and dead letters in S3, committed through the fence. The only file that knows S3."""

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from consumer.archive.compression import Body
from consumer.archive.fence import Committed, Outcome, Replace, decide
from consumer.archive.format import (
    DEAD_LETTERS,
    READINGS,
    ArchiveObject,
    ObjectMetadata,
    undeliverable_key,
    undeliverable_line,
)
from consumer.aws.codes import CHANGED, NO_SUCH_OBJECT, code
from consumer.aws.retry import Guard, delay, until_done
from consumer.restarts import Reason, RunFailed
from consumer.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import PutObjectRequestTypeDef

log = logging.getLogger(__name__)


class ForeignObject(RunFailed):
    """The key of an archive object is taken by an object without our metadata."""

    reason = Reason.FOREIGN_OBJECT


class Archive:
    """Archive objects in one bucket."""

    def __init__(self, client: "S3Client", bucket: str, metrics: Metrics) -> None:
        self._client = client
        self._bucket = bucket
        self._metrics = metrics

    async def commit(self, closed: ArchiveObject, guard: Guard) -> Outcome:
        """Makes an archive object and its dead letters durable, each in exactly one object; they are if the outcome is
        Committed.

        The archive object's PUT also decides about the dead letters (ObjectMetadata.dead), so they are written after
        it, as an empty object where only an earlier owner of the key had some. Raises ForeignObject, and what `guard`
        raises.
        """
        outcome = await self._place(READINGS + closed.key, closed.body, closed.metadata, guard)
        if isinstance(outcome, Committed) and (letters := outcome.stored).dead is not None:
            outcome = await self._place(DEAD_LETTERS + closed.key, closed.dead_letters, letters, guard)
            if isinstance(outcome, Committed):
                self._metrics.dead_letters.inc(outcome.stored.dead or 0)
        if isinstance(outcome, Committed):
            self._metrics.archive_objects.inc()
            self._metrics.archive_records.inc(closed.metadata.records)
            self._metrics.archive_bytes.inc(len(closed.body))
        return outcome

    async def put_undeliverable(self, data: bytes, guard: Guard) -> None:
        """Keeps a record that the KCL could not de-aggregate; the same bytes always give the same object."""
        body = Body("gzip", 0)
        body.write([undeliverable_line(data)])
        put = partial(self._client.put_object, Bucket=self._bucket, Key=undeliverable_key(data), Body=body.read())
        await until_done("archive", put, self._metrics, guard)
        self._metrics.dead_letters.inc()

    async def _place(self, key: str, body: bytes, mine: ObjectMetadata, guard: Guard) -> Outcome:
        """Writes one object: a PUT, and where an object exists already, what the fence decides."""
        etag = None  # of the object that ours replaces
        refused = 0
        while not await until_done("archive", partial(self._put, key, body, mine, etag), self._metrics, guard):
            refused += 1
            if refused > 1:  # a replay is refused once; more often means that others write or delete this key
                await self._changed_again(key, refused, guard)
            found = await until_done("archive", partial(self._head, key), self._metrics, guard)
            if found is None:
                etag = None
                continue
            stored, etag = found
            decision = decide(mine, stored)
            if not isinstance(decision, Replace):
                self._count(decision.name, key, mine)
                return decision
            mine = decision.metadata
        self._count(Replace.name if etag else "new", key, mine)
        return Committed(mine)

    def _count(self, outcome: str, key: str, mine: ObjectMetadata) -> None:
        self._metrics.fence.labels(outcome).inc()
        if outcome not in ("new", Committed.name):
            log.warning("fence: %s is %s", key, outcome, extra={"epoch": mine.epoch})

    async def _changed_again(self, key: str, times: int, guard: Guard) -> None:
        guard()
        self._metrics.retries.labels("archive", "changed").inc()
        if times % 10 == 0:
            log.warning("fence: %s was changed by other writers %d times during this commit", key, times)
        await asyncio.sleep(delay(times - 2))

    async def _put(self, key: str, body: bytes, mine: ObjectMetadata, etag: str | None) -> bool:
        """One conditional PUT: of a new object, or replacing the one with this ETag. False when the condition is not
        met (any more).

        A 409 says that another write was in progress, not how it ended: like any failure it is tried again after a
        wait.
        """
        request: PutObjectRequestTypeDef = {
            "Bucket": self._bucket,
            "Key": key,
            "Body": body,
            "Metadata": mine.metadata(),
        }
        if etag:
            request["IfMatch"] = etag
        else:
            request["IfNoneMatch"] = "*"
        try:
            await self._client.put_object(**request)
        except ClientError as error:
            if code(error) in CHANGED | NO_SUCH_OBJECT:
                return False
            raise
        return True

    async def _head(self, key: str) -> tuple[ObjectMetadata, str] | None:
        """The metadata and ETag of an object; None when it does not exist."""
        try:
            answer = await self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if code(error) in NO_SUCH_OBJECT:
                return None
            raise
        try:
            return ObjectMetadata.parse(answer["Metadata"]), answer["ETag"]
        except (KeyError, ValueError) as error:
            raise ForeignObject(f"{key}: another program has written this object; move it away") from error
