"""Small stand-ins with the behaviour that matters: a daemon's end of a conversation, a bucket, a table, a lease row.

The real ones are used in tests/component and tests/system; these make orders of events that those would not show.
"""

import asyncio
import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from botocore.exceptions import ClientError

from consumer.archive.compression import Compression
from consumer.archive.store import Archive
from consumer.archive.writer import RotationPolicy
from consumer.kcl import protocol
from consumer.kcl.budget import Budget
from consumer.kcl.claims import Claim, Form
from consumer.kcl.lease_monitor import LeaseMonitor
from consumer.kcl.protocol import Conversation
from consumer.payload.contracts import DEFAULT
from consumer.pipeline.components import Components
from consumer.pipeline.gauges import ShardGauges
from consumer.pipeline.reads import Reads
from consumer.pipeline.shard import Shard
from consumer.pipeline.shard_end import Ends
from consumer.pipeline.shards import Shards
from consumer.pipeline.stall_detector import StallDetector
from consumer.record import Position
from consumer.sinks.alerts import Alerts
from consumer.sinks.rollups import RollupTable
from consumer.sinks.statistics import Sums
from consumer.sinks.table import Table
from consumer.telemetry.metrics import Metrics
from tests.compression import unpacked

SHARD = "shardId-000000000000"
T0 = 1_767_268_800_000  # 2026-01-01T12:00:00Z in ms


def error(code: str, operation: str = "Operation") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


class FakeS3:
    """A bucket with conditional writes. `fail` is asked before each request and may raise; `lose` after a PUT."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str], str]] = {}
        self.fail: Callable[[str, str], None] = lambda operation, key: None
        self.lose: Callable[[str], None] = lambda key: None

    async def put_object(
        self,
        *,
        Bucket: str,
        Key: str,
        Body: bytes,
        Metadata: dict[str, str] | None = None,
        IfNoneMatch: str | None = None,
        IfMatch: str | None = None,
    ) -> None:
        self.fail("PutObject", Key)
        held = self.objects.get(Key)
        if IfNoneMatch and held:
            raise error("PreconditionFailed", "PutObject")
        if IfMatch and held is None:
            raise error("NoSuchKey", "PutObject")
        if IfMatch and held and held[2] != IfMatch:
            raise error("PreconditionFailed", "PutObject")
        self.objects[Key] = Body, Metadata or {}, hashlib.md5(Body, usedforsecurity=False).hexdigest()
        self.lose(Key)

    async def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        self.fail("HeadObject", Key)
        if Key not in self.objects:
            raise error("404", "HeadObject")
        _, metadata, etag = self.objects[Key]
        return {"Metadata": metadata, "ETag": etag}

    def lines(self, prefix: str = "readings/") -> list[dict[str, Any]]:
        found = sorted(key for key in self.objects if key.startswith(prefix))
        return [json.loads(line) for key in found for line in unpacked(self.objects[key][0]).splitlines()]


class FakeDynamoDB:
    """Two tables, the one of `devices` and that of rows, which refuse what DynamoDB refuses. `fail` may raise,
    `unprocessed` says which items to one table are left."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        self.entries: dict[str, dict[str, Any]] = {}
        self.listed = 0  # how often an entry was written
        self.requests = 0
        self.fail: Callable[[], None] = lambda: None
        self.unprocessed: Callable[[list[Any]], list[Any]] = lambda items: []

    async def send(self, body: bytes) -> bytes:
        asked = json.loads(body)["RequestItems"]
        self.requests += 1
        self.fail()
        left = {table: self._write(table, items) for table, items in asked.items()}
        if sum(map(len, asked.values())) > 25:
            raise error("ValidationException", "BatchWriteItem")
        return json.dumps(
            {"UnprocessedItems": {table: items for table, items in left.items() if items}}, separators=(",", ":")
        ).encode()

    def _write(self, table: str, items: list[Any]) -> list[Any]:
        rows = [each["PutRequest"]["Item"] for each in items]
        keys = [(row["SensorId"]["S"], row["Timestamp"]["S"]) for row in rows]
        different = {device for device, _ in keys} if table == "devices" else set(keys)
        if len(different) < len(keys):
            raise error("ValidationException", "BatchWriteItem")
        left = self.unprocessed(items)
        for key, row, item in zip(keys, rows, items, strict=True):
            if item not in left and table == "devices":
                self.entries[key[0]] = row
                self.listed += 1
            elif item not in left:
                self.rows[key] = row
        return left

    def values(self) -> list[str]:
        return [row["Value"]["N"] for _, row in sorted(self.rows.items())]


class FakeRollups:
    """A table of rollups that takes PutItem as DynamoDB does. `failures` are raised by the next requests; `lose` is how
    many answers, after that many requests, are lost."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        self.requests = self.working = 0
        self.failures: list[Exception] = []
        self.lose = 0
        self.written: Callable[[], None] = lambda: None

    async def send(self, body: bytes) -> bytes:
        request = json.loads(body)
        self.requests += 1
        self.working += 1
        await asyncio.sleep(0)
        self.working -= 1
        if self.failures:
            raise self.failures.pop()
        self._put(request)
        if self.lose:
            self.lose -= 1
            raise TimeoutError
        return b"{}"

    def _put(self, request: dict[str, Any]) -> None:
        item, condition = request["Item"], request["ConditionExpression"]
        key = item["SensorId"]["S"], item["Window"]["S"]
        held = self.rows.get(key)
        if condition == "Counted = :was":
            met = held is not None and held.get("Counted") == request["ExpressionAttributeValues"][":was"]
        else:
            assert condition == "attribute_not_exists(SensorId)"
            met = held is None
        if not met:
            refused = error("ConditionalCheckFailedException", "PutItem")
            assert request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
            if held:
                refused.response["Item"] = held  # type: ignore[typeddict-unknown-key]
            raise refused
        self.rows[key] = item
        self.written()


def item_bytes(value: dict[str, Any]) -> int:
    """Bytes of an attribute's value, as DynamoDB counts them, or a little more."""
    ((kind, given),) = value.items()
    return 3 + sum(len(name) + 1 + item_bytes(each) for name, each in given.items()) if kind == "M" else len(given) + 1


class FakeLeases:
    """One lease row: who claims gets the next epoch and the true checkpoint."""

    def __init__(self) -> None:
        self.epoch = 0
        self.checkpoint: Position = (-1, -1)
        self.refuse = False
        self.row: Compression = "zstd"
        self.compression: Compression = "zstd"
        self.seconds = 0
        """TABLE_RESOLUTION."""
        self.counted = 0
        """`rollupSeconds` of the row."""

    async def claim(self, shard: str) -> Claim | None:
        if self.refuse:
            return None
        self.epoch += 1
        return Claim(self.epoch, self.checkpoint, Form(self.row, self.counted))

    @property
    def form(self) -> Form:
        return Form(self.compression, self.seconds)

    async def change_form(self, shard: str, epoch: int) -> bool:
        if epoch != self.epoch:
            return False
        self.row, self.counted = self.form
        return True


class FakeStream:
    """ListShards, a shard a page. `fail` may raise; `shards` are as the service shows them."""

    def __init__(self) -> None:
        self.shards = [listed(SHARD, "17"), listed("shardId-000000000001")]
        self.requests = 0
        self.fail: Callable[[], None] = lambda: None
        self.gone = False

    async def list_shards(self, *, StreamName: str | None = None, NextToken: str | None = None) -> dict[str, Any]:
        self.requests += 1
        self.fail()
        assert (StreamName is None) != (NextToken is None)
        number = int(NextToken or 0)
        more = {"NextToken": str(number + 1)} if number + 1 < len(self.shards) else {}
        return {"Shards": self.shards[number : number + 1], **more}


def listed(shard: str, ending: str | None = None) -> dict[str, Any]:
    """A shard as ListShards shows it; a closed one has an `ending`."""
    end = {"EndingSequenceNumber": ending} if ending else {}
    return {"ShardId": shard, "SequenceNumberRange": {"StartingSequenceNumber": "1", **end}}


class World:
    """A bucket, a table and a lease row, and the components of the service around them."""

    def __init__(self, cut: RotationPolicy = RotationPolicy(records=4, size=1 << 20, window_ms=60_000)) -> None:  # noqa: B008
        self.s3, self.dynamodb, self.leases = FakeS3(), FakeDynamoDB(), FakeLeases()
        self.stream = FakeStream()
        self.metrics = Metrics()
        self.reads = Reads()
        self.is_running = True
        self.cut = cut
        self.ttl_days = 0
        self.contracts = DEFAULT
        self.alerts: Alerts | None = None
        self.has_rows = True
        self.rollups: RollupTable | None = None
        self.superseded: list[Shard] = []
        self.before_checkpoint: Callable[[], None] = lambda: None

    def running(self) -> bool:
        return self.is_running

    async def replace_older(self, shard: Shard) -> None:
        self.superseded.append(shard)

    def components(self) -> Components:
        return Components(
            contracts=self.contracts,
            rotation=self.cut,
            claims=self.leases,  # type: ignore[arg-type]
            table=Table(self.dynamodb.send, "rows" if self.has_rows else None, self.ttl_days, 8, self.metrics),
            rollups=self.rollups,
            archive=Archive(self.s3, "bucket", self.metrics),  # type: ignore[arg-type]
            ends=Ends(self.stream.list_shards, "stream", lambda _: self.stream.gone, self.reads, self.metrics),
            sums=Sums(per_sensor=False),
            alerts=self.alerts,
            metrics=self.metrics,
            reads=self.reads,
            ownership=self,
            skips=Skips(self),
        )


def register_gauges(metrics: Metrics, reads: Reads | None = None, leases: Any = None) -> tuple[Shards, LeaseMonitor]:
    """A service's shards, and what it sees in its lease table, with their gauges."""
    reads = reads or Reads()
    shards = Shards(StallDetector(10.0), reads)
    monitor = LeaseMonitor("me", 10.0, leases, lambda: shards.served, metrics)
    metrics.registry.register(ShardGauges(shards, reads, monitor))
    return shards, monitor


class Skips:
    """Asks the world before each checkpoint."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def before_checkpoint(self) -> None:
        self._world.before_checkpoint()


class FakeDaemon:
    """The daemon's side of one conversation, over real pipes; it takes checkpoints as the KCL does."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.checkpoints: list[Position | None] = []
        self.errors: list[str] = []  # answers to the next checkpoints

    async def __aenter__(self) -> "FakeDaemon":
        to_child, self._out = os.pipe()
        self._in, from_child = os.pipe()
        loop = asyncio.get_running_loop()
        self._reader = asyncio.StreamReader(limit=protocol.LINE_LIMIT)
        self._transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), os.fdopen(self._in, "rb", 0)
        )
        self.shard = Shard(await _conversation(to_child, from_child), self.world.components())
        self.task = asyncio.create_task(self.shard.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()
        self._transport.close()

    async def end(self) -> None:
        """Closes the pipe, and waits for the end of the shard, whatever that is."""
        self.close()
        await asyncio.gather(self.task, return_exceptions=True)

    def close(self) -> None:
        """Ends the pipe, as the daemon does with a child it no longer needs."""
        if self._out >= 0:
            os.close(self._out)
            self._out = -1

    async def do(self, action: str, **fields: Any) -> None:
        """Sends an action and serves the child's checkpoints until its status answer."""
        self._send({"action": action, **fields})
        while True:
            said = await self._hear()
            if said["action"] == "status":
                assert said["responseFor"] == action
                return
            assert said["action"] == "checkpoint"
            error = self.errors.pop(0) if self.errors else None
            if error is None:
                number = said["sequenceNumber"]
                at = (int(number), said["subSequenceNumber"]) if number else None
                self.checkpoints.append(at)
                self.world.leases.checkpoint = at or self.world.leases.checkpoint
            self._send({"action": "checkpoint", "error": error})

    async def start(self) -> None:
        await self.do("initialize", shardId=SHARD, sequenceNumber="TRIM_HORIZON", subSequenceNumber=0)

    async def deliver(self, records: Iterable[dict[str, Any]], behind: int = 0) -> None:
        await self.do("processRecords", records=list(records), millisBehindLatest=behind)

    def _send(self, message: dict[str, Any]) -> None:
        os.write(self._out, json.dumps(message).encode() + b"\n")

    async def _hear(self) -> dict[str, Any]:
        """The child's next line; raises what ended the child when it ended instead."""
        while True:
            line = asyncio.create_task(self._reader.readline())
            await asyncio.wait({line, self.task}, return_when=asyncio.FIRST_COMPLETED)
            if not line.done():
                line.cancel()
                self.task.result()
            text = await line
            if not text:
                await self.task
                raise AssertionError("the child ended")
            if text.strip():
                message: dict[str, Any] = json.loads(text)
                return message


async def _conversation(to_child: int, from_child: int) -> Conversation:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=protocol.PART)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(to_child, "rb", 0))
    writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(from_child, "wb", 0))
    return Conversation(reader, writer, Budget(protocol.LINES_BYTES))


def record(number: int, data: bytes | None = None, arrival: int | None = None) -> dict[str, Any]:
    """Stream record `number`, by default with one good reading of value `number`, 1 ms after the one before."""
    if data is None:
        reading = {"name": "d", "humidity": number, "timeStampEpoch": T0 + number}
        data = json.dumps(reading).encode()
    return {
        "data": base64.b64encode(data).decode(),
        "partitionKey": "d",
        "sequenceNumber": str(number),
        "subSequenceNumber": 0,
        "approximateArrivalTimestamp": T0 + number if arrival is None else arrival,
        "action": "record",
    }
