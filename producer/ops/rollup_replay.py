"""Rollups once more, from the archive: each archive object is counted in the windows that it names.

By the consumer's own code and rules: a row that has counted an object, or a later one, stays as it is. So nothing is
counted twice, into whatever table and however often, and also while consumers run. In a table without rows all of them
are made again.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import NamedTuple

from consumer.archive.format import READINGS, ObjectMetadata, UnreadableLine, parse_line
from consumer.aws.clients import Clients
from consumer.payload.decode import decode
from consumer.payload.reading import Reading
from consumer.settings import Settings
from consumer.sinks.rollup_rows import DAY
from consumer.sinks.rollups import ForeignRow, RollupTable, ShardRollups
from consumer.telemetry.metrics import Metrics, total
from producer.aws.errors import UserError
from producer.aws.pace import Pace
from producer.aws.stack import Stack
from producer.ops.archive_index import ArchiveIndex, Item, Span
from producer.ops.archive_reader import Bucket, Opened, parsed
from producer.ops.replay import Replayed
from producer.terminal import StatusLine


class Counting(NamedTuple):
    """An archive object, what it says of itself, and its readings."""

    item: Item
    metadata: ObjectMetadata
    readings: list[Reading]


def to_rollups(stack: Stack, settings: Settings, pace: Pace) -> Replayed:
    """Counts the whole archive, decoded by these settings of the consumer, in the table that they name. Raises
    UserError, and ClientError when there is no such table."""
    table = str(settings.rollup_table)
    report = Replayed(f"rollups {table}")
    stack.session.client("dynamodb").describe_table(TableName=table)
    try:
        asyncio.run(_write(_Source(stack, settings, report), settings, table, pace, report))
    except ForeignRow as error:
        raise UserError(str(error)) from error
    return report


async def _write(source: "_Source", settings: Settings, table: str, pace: Pace, report: Replayed) -> None:
    metrics, shard, objects = Metrics(), "", source.objects()
    async with Clients(settings, only_rows=True) as clients:
        made = RollupTable(clients.put_item.send, table, settings.rollup_ttl_days, settings.table_concurrency, metrics)
        coming = asyncio.create_task(asyncio.to_thread(next, objects, None))
        while (found := await coming) is not None:
            coming = asyncio.create_task(asyncio.to_thread(next, objects, None))
            if found.item.shard != shard:
                shard, rollups = found.item.shard, ShardRollups(made)
            rollups.add(found.readings, found.metadata.rollup_seconds)
            await asyncio.sleep(pace.delay(rollups.size))
            await rollups.commit(shard, found.metadata.first, found.metadata.epoch, lambda: None)
            report.rows = int(total(metrics.rollups))


class _Source:
    """The archive's objects, shard by shard in the order of their positions. Keeps the report's counts."""

    def __init__(self, stack: Stack, settings: Settings, report: Replayed) -> None:
        self._bucket = Bucket(stack.session, stack.bucket)
        self._settings = settings
        self._report = report
        self._now = time.time()

    def objects(self) -> Iterator[Counting]:
        """Those that are counted in rollups. Raises UserError where the archive has none at all."""
        with StatusLine() as line, ArchiveIndex(self._bucket, READINGS, Span()) as index:
            if not index.objects:
                raise UserError("the archive holds no archive object")
            for key in index.unexpected_keys():
                self._report.findings.add("archive_object_wrong", f"{key}: is not named as an archive object")
            for item, opened in self._bucket.open_each(index.by_shard()):
                line.say(lambda: f"{self._report.archive_objects} of {index.objects} archive objects")
                if found := self._object(item, opened):
                    yield found

    def _object(self, item: Item, opened: Opened) -> Counting | None:
        """None for one that is not counted, or that cannot be read to its end, which is reported."""
        report = self._report
        try:
            metadata = ObjectMetadata.parse(opened.metadata)
            if not metadata.rollup_seconds:
                report.not_counted += 1
                return None
            readings = list(self._readings(opened, metadata.rollup_seconds))
        except (UnreadableLine, KeyError, ValueError) as error:
            report.findings.add("archive_object_wrong", f"{item.key}: unreadable: {error}")
            return None
        report.archive_objects += 1
        return Counting(item, metadata, readings)

    def _readings(self, opened: Opened, seconds: int) -> Iterator[Reading]:
        """Without those of records that are read otherwise than they were archived: the audit expects none of them."""
        report, days = self._report, self._settings.rollup_ttl_days
        for line, data in parsed(opened.lines, parse_line):
            decoded = decode(data, self._settings.reading_contracts, line.partition_key or "", line.arrival)
            report.records += 1
            report.readings += len(decoded.readings)
            report.rejected += decoded.rejected
            if decoded.rejected != line.rejected:
                report.otherwise += 1
                continue
            for reading in decoded.readings:
                at = reading.time_ms // 1000
                if days and at - at % seconds + seconds + days * DAY <= self._now:
                    report.expired += 1
                else:
                    yield reading
