"""A small stack of its own, and a consumer in one function: the real decoding, rows, archive objects and fence, without
KCL."""

import asyncio
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import boto3

from consumer.archive.store import Archive
from consumer.archive.writer import ObjectWriter, RotationPolicy
from consumer.aws.clients import Clients
from consumer.payload.reading import Decoded, Reading
from consumer.pipeline.decoding import decode_all
from consumer.record import Record
from consumer.settings import Settings
from consumer.sinks.rollups import RollupTable, ShardRollups
from consumer.sinks.table import Table
from consumer.telemetry.metrics import Metrics
from producer.aws.aggregation import unpacked
from producer.aws.stack import Stack
from tests.component.streams import read_shard, shards
from tests.conftest import Deployed

Row = dict[str, Any]


@dataclass
class Site:
    """Stream, table and bucket that no other test uses; `consume` makes of the stream what the consumer would."""

    stack: Stack
    session: boto3.Session
    variables: dict[str, str]
    settings: dict[str, str] = field(default_factory=dict)
    cut: RotationPolicy = field(default_factory=lambda: RotationPolicy(records=3, size=1 << 20, window_ms=60_000))
    taken: dict[str, int] = field(default_factory=dict)  # shard -> records consumed
    epoch: int = 7

    def put(self, key: str, *payloads: bytes) -> list[dict[str, Any]]:
        """One record after the other; the service's answers."""
        kinesis = self.session.client("kinesis")
        return [kinesis.put_record(StreamName=self.stack.stream, PartitionKey=key, Data=data) for data in payloads]

    def split(self) -> None:
        """Shard 0 in two halves."""
        self.session.client("kinesis").split_shard(
            StreamName=self.stack.stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127)
        )

    def consume(self) -> None:
        """Takes what is new in the stream: rows and archive objects."""
        environ = self.variables | self.settings
        names = {
            "STREAM_NAME": self.stack.stream,
            "SENSOR_TABLE": self.stack.table,
            "ROLLUP_TABLE": self.stack.rollup_table,
            "ARCHIVE_BUCKET": self.stack.bucket,
        }
        with mock.patch.dict(os.environ, self.variables):
            asyncio.run(self._consume(Settings.load(environ | names)))

    async def _consume(self, settings: Settings) -> None:
        async with Clients(settings) as clients:
            archive = Archive(clients.s3, self.stack.bucket, Metrics())
            table = Table(clients.batch_write.send, self.stack.table, settings.row_ttl_days, 4, Metrics())
            for shard in sorted(shards(self.session, self.stack.stream)):
                found = read_shard(self.session, self.stack.stream, shard)[0]
                fresh = [each for r in found[self.taken.get(shard, 0) :] for each in records_of(r)]
                self.taken[shard] = len(found)
                decoded = await decode_all(fresh, settings.reading_contracts, Metrics())
                arrived = [
                    (reading, record.approximate_arrival_timestamp)
                    for record, found in zip(fresh, decoded, strict=True)
                    for reading in found.readings
                ]
                await table.put(arrived, lambda: None)
                seconds, records = settings.table_resolution.seconds, list(zip(fresh, decoded, strict=True))
                rollups = ShardRollups(
                    RollupTable(clients.put_item.send, self.stack.rollup_table, settings.rollup_ttl_days, 4, Metrics())
                )
                for writer, taken in packed(shard, self.cut, records, self.epoch, seconds):
                    await archive.commit(writer.close(), lambda: None)
                    if seconds:
                        rollups.add(taken, seconds)
                        await rollups.commit(shard, writer.first, self.epoch, lambda: None)

    def start_again(self, **settings: str) -> None:
        """The next `consume` is of another owner with other settings, from the same checkpoint: the first one."""
        self.settings, self.epoch = settings, self.epoch + 1
        self.taken.clear()

    def rows(self, table: str = "") -> list[Row]:
        """The whole table, in the order of its keys."""
        pages = self.session.client("dynamodb").get_paginator("scan").paginate(TableName=table or self.stack.table)
        rows = [item for page in pages for item in page["Items"]]
        return sorted(rows, key=lambda row: (row["SensorId"]["S"], row["Timestamp"]["S"]))

    def new_table(self) -> None:
        """The table deleted and made again, empty."""
        self.session.client("dynamodb").delete_table(TableName=self.stack.table)
        make_table(self.session.client("dynamodb"), self.stack.table)

    def keys(self, prefix: str) -> list[str]:
        listed = self.session.client("s3").list_objects_v2(Bucket=self.stack.bucket, Prefix=prefix)
        return [item["Key"] for item in listed.get("Contents", [])]

    def stream(self, name: str = "") -> list[dict[str, Any]]:
        """All records of a stream, shard by shard."""
        stream = name or self.stack.stream
        return [r for s in sorted(shards(self.session, stream)) for r in read_shard(self.session, stream, s)[0]]


def records_of(record: dict[str, Any]) -> Iterator[Record]:
    """Several of an aggregate, all of them under its partition key."""
    arrival = int(record["ApproximateArrivalTimestamp"].timestamp() * 1000)
    for sub, data in enumerate(unpacked(record["Data"])):
        yield Record(data, record["PartitionKey"], record["SequenceNumber"], sub, arrival)


def packed(
    shard: str, cut: RotationPolicy, records: list[tuple[Record, Decoded]], epoch: int, seconds: int
) -> Iterator[tuple[ObjectWriter, list[Reading]]]:
    """Full archive objects, and the rest; with the readings in each."""
    writer, readings = None, list[Reading]()
    for record, decoded in records:
        writer = writer or ObjectWriter(shard, epoch, "zstd", cut, record.position, record, seconds)
        writer.take([(record.position, record, decoded)])
        readings += decoded.readings
        if writer.full:
            yield writer, readings
            writer, readings = None, []
    if writer:
        yield writer, readings


def make_table(dynamodb: Any, name: str, by: str = "Timestamp") -> None:
    """For rows by device and `by`."""
    keys = (("SensorId", "HASH"), (by, "RANGE"))
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
    )


@contextmanager
def site(deployed: Deployed) -> Iterator[Site]:
    """Made for one test; what it leaves behind goes with the emulator, but the names are its own."""
    session, name = deployed.session, f"recovery-{uuid.uuid4().hex[:8]}"
    session.client("kinesis").create_stream(StreamName=name, ShardCount=1)
    make_table(session.client("dynamodb"), name)
    make_table(session.client("dynamodb"), f"{name}-rollups", "Window")
    session.client("s3").create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": deployed.emulator.region}
    )
    outputs = deployed.outputs | {"StreamName": name, "SensorTable": name, "ArchiveBucket": name}
    outputs["RollupTable"] = f"{name}-rollups"
    for output, value in outputs.items():
        session.client("ssm").put_parameter(Name=f"/sensorstream/{name}/{output}", Value=value, Type="String")
    with mock.patch.dict(os.environ, deployed.variables):
        yield Site(Stack.load(session, name), session, deployed.variables)
    session.client("kinesis").delete_stream(StreamName=name)
