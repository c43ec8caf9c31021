"""Table and archive against a real API: the table also on moto, the archive on the emulator's S3."""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest

from consumer.archive.compression import Body
from consumer.archive.fence import Adopt, Committed, Fenced, Outcome
from consumer.archive.format import ArchiveObject, ObjectMetadata
from consumer.archive.store import Archive, ForeignObject
from consumer.aws.clients import Clients
from consumer.payload.reading import Reading
from consumer.settings import Settings
from consumer.sinks.table import Table
from consumer.telemetry.metrics import Metrics, total
from tests.component.recovery import make_table
from tests.compression import unpacked
from tests.conftest import Deployed

T0 = 1_767_268_800_000  # 2026-01-01T12:00:00Z


@asynccontextmanager
async def clients(stack: Deployed, tables: str = "", **settings: str) -> AsyncIterator[Clients]:
    """The service's; `tables` is an address of DynamoDB other than the emulator's."""
    variables = stack.variables | ({"AWS_ENDPOINT_URL_DYNAMODB": tables} if tables else {})
    environ = {
        **variables,
        "STREAM_NAME": stack.outputs["StreamName"],
        "SENSOR_TABLE": stack.outputs["SensorTable"],
        "ARCHIVE_BUCKET": stack.outputs["ArchiveBucket"],
        **settings,
    }
    with mock.patch.dict(os.environ, variables):
        async with Clients(Settings.load(environ)) as made:
            yield made


@pytest.fixture
async def archive(stack: Deployed) -> AsyncIterator[Archive]:
    async with clients(stack) as made:
        yield Archive(made.s3, stack.outputs["ArchiveBucket"], Metrics())


@dataclass(frozen=True)
class Readings:
    """A table of readings on the emulator or on moto."""

    client: Any
    address: str
    name: str

    def of(self, device: str) -> list[dict[str, Any]]:
        """Its rows, by time."""
        found = self.client.query(
            TableName=self.name,
            KeyConditionExpression="SensorId = :id",
            ExpressionAttributeValues={":id": {"S": device}},
        )
        items: list[dict[str, Any]] = found["Items"]
        return items


@pytest.fixture
def readings(stack: Deployed, tables: str) -> Readings:
    client, name = stack.session.client("dynamodb", endpoint_url=tables), f"readings-{uuid.uuid4().hex[:8]}"
    make_table(client, name)
    return Readings(client, tables, name)


def go_on() -> None:
    """A guard that never gives up."""


def archive_object(key: str, last: int, epoch: int, dead: bool = False) -> ArchiveObject:
    body = Body("zstd", epoch)
    for number in range(1, last + 1):
        body.write([b'{"n":%d}\n' % number])
    metadata = ObjectMetadata((1, 0), (last, 0), last, epoch, last if dead else None)
    return ArchiveObject(key, metadata, body.read(), body.read() if dead else Body("zstd", epoch).read())


def held(stack: Deployed, key: str) -> tuple[int, str]:
    """Lines and epoch of the stored object."""
    answer = stack.session.client("s3").get_object(Bucket=stack.outputs["ArchiveBucket"], Key=f"readings/{key}")
    return unpacked(answer["Body"].read()).count(b"\n"), answer["Metadata"]["epoch"]


async def test_rows_hold_exactly_the_number_sent(stack: Deployed, readings: Readings) -> None:
    values = ["20.1", "-0.000000000000000000000000000000000012345678901234567890", "1E+125", "3"]
    async with clients(stack, readings.address) as aws:
        table = Table(aws.batch_write.send, readings.name, 7, 4, Metrics())
        sent = [Reading("exact", T0 + i, Decimal(value), None) for i, value in enumerate(values)]
        sent.append(Reading("exact", T0 + len(values), Decimal(1), {"gps.lat": Decimal("47.4979")}))
        await table.put([(reading, T0 + 5000) for reading in sent], go_on)
    rows = readings.of("exact")
    assert [Decimal(row["Value"]["N"]) for row in rows] == [*map(Decimal, values), Decimal(1)]
    assert rows[0]["Timestamp"]["S"] == "2026-01-01T12:00:00.000Z"
    assert rows[0]["ExpiresAt"]["N"] == str(T0 // 1000 + 7 * 86_400)
    assert rows[-1]["Measures"]["M"] == {"gps.lat": {"N": "47.4979"}}


async def test_more_rows_than_a_batch_takes_and_keys_that_repeat(stack: Deployed, readings: Readings) -> None:
    metrics = Metrics()
    async with clients(stack, readings.address) as aws:
        table = Table(aws.batch_write.send, readings.name, 0, 4, metrics)
        await table.put([(Reading("many", T0 + i % 90, Decimal(i), None), T0) for i in range(100)], go_on)
    rows = readings.of("many")
    assert [int(row["Value"]["N"]) for row in rows] == [*range(90, 100), *range(10, 90)]
    assert (total(metrics.rows), total(metrics.superseded)) == (90, 10)


async def test_the_fence_holds_at_a_real_bucket(stack: Deployed, archive: Archive) -> None:
    async def commit(last: int, epoch: int) -> Outcome:
        return await archive.commit(archive_object("fence", last, epoch), go_on)

    assert isinstance(await commit(4, epoch=1), Committed)
    assert isinstance(await commit(4, epoch=1), Committed)  # its own
    assert await commit(3, epoch=2) == Adopt((4, 0))
    assert isinstance(await commit(4, epoch=2), Committed)  # equal, but of an older owner: replaced
    assert held(stack, "fence") == (4, "2")
    assert await commit(9, epoch=1) == Fenced(2)
    assert isinstance(await commit(6, epoch=2), Committed)
    assert held(stack, "fence") == (6, "2")


async def test_dead_letters_stand_under_the_archive_objects_name(stack: Deployed, archive: Archive) -> None:
    await archive.commit(archive_object("dead", 2, epoch=1, dead=True), go_on)
    await archive.put_undeliverable(b"\xf3\x89\x9a\xc2rubbish", go_on)
    await archive.put_undeliverable(b"\xf3\x89\x9a\xc2rubbish", go_on)
    s3 = stack.session.client("s3")
    listed = s3.list_objects_v2(Bucket=stack.outputs["ArchiveBucket"], Prefix="dead-letters/")["Contents"]
    keys = [item["Key"] for item in listed]
    assert "dead-letters/dead" in keys
    assert len([key for key in keys if key.startswith("dead-letters/date=1970-01-01/hour=00/undeliverable/")]) == 1


async def test_an_object_of_another_program_is_reported_not_overwritten(stack: Deployed, archive: Archive) -> None:
    s3 = stack.session.client("s3")
    s3.put_object(Bucket=stack.outputs["ArchiveBucket"], Key="readings/foreign", Body=b"mine")
    with pytest.raises(ForeignObject):
        await archive.commit(archive_object("foreign", 2, epoch=1), go_on)
    assert s3.get_object(Bucket=stack.outputs["ArchiveBucket"], Key="readings/foreign")["Body"].read() == b"mine"
