"""The table of rollups against two implementations of DynamoDB: conditions, the row that did not meet one, numbers."""

import asyncio
import json
import uuid
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from consumer.aws.clients import Clients
from consumer.payload.reading import Reading
from consumer.sinks.rollup_rows import parse
from consumer.sinks.rollups import RollupTable, ShardRollups
from consumer.telemetry.metrics import Metrics, total
from infra.local.emulator import Emulator
from producer.plan.inputs import Inputs
from producer.plan.size import size
from tests.component.recovery import make_table
from tests.component.test_sinks import T0, clients, go_on
from tests.conftest import Deployed

SHARD = "shardId-000000000000"


@pytest.fixture
def table(stack: Deployed, tables: str) -> tuple[Any, str]:
    client, name = stack.session.client("dynamodb", endpoint_url=tables), f"rollups-{uuid.uuid4().hex[:8]}"
    make_table(client, name, "Window")
    return client, name


def owner(aws: Clients, name: str, metrics: Metrics) -> ShardRollups:
    return ShardRollups(RollupTable(aws.put_item.send, name, 0, 4, metrics))


def reading(second: int, value: str, device: str = "d") -> Reading:
    return Reading(device, T0 + second * 1000, Decimal(value), {"rssi": Decimal(-second)} if second else None)


async def test_owners_that_follow_one_another_count_each_reading_once(
    stack: Deployed, tables: str, table: tuple[Any, str]
) -> None:
    client, name = table
    metrics = Metrics()
    async with clients(stack, tables) as aws:
        one, two = owner(aws, name, metrics), owner(aws, name, metrics)
        one.add([reading(0, "20.1"), reading(1, "1E+125"), reading(70, "5", "é/\U0001f331")], 60)
        await one.commit(SHARD, (10, 0), 1, go_on)
        one.add([reading(2, "1E-130")], 60)
        await one.commit(SHARD, (12, 0), 1, go_on)
        two.add([reading(2, "1E-130"), reading(3, "-4")], 60)  # a longer object in the place of the last one
        await two.commit(SHARD, (12, 0), 2, go_on)
        one.add([reading(2, "1E-130")], 60)  # the first owner comes back
        await one.commit(SHARD, (12, 0), 1, go_on)
    rows = {row["SensorId"]["S"]: row for row in client.scan(TableName=name, ConsistentRead=True)["Items"]}
    assert rows.keys() == {"d", "é/\U0001f331"}
    assert rows["d"]["Window"]["S"] == f"2026-01-01T12:00:00Z/60/{SHARD}"
    found = parse(rows["d"])
    value, rssi = found.window.numbers[""], found.window.numbers["rssi"]
    assert (value.count, value.low, value.high, value.last) == (4, Decimal(-4), Decimal("1E+125"), Decimal(-4))
    assert str(value.total) == f"1{'0' * 123}16.1{'0' * 128}1"
    assert (rssi.count, rssi.total, rssi.last) == (3, Decimal(-6), Decimal(-3))
    assert total(metrics.rollups_changed) == 1  # the second owner had not seen the row


async def test_of_two_owners_at_the_same_time_none_is_forgotten(
    stack: Deployed, tables: str, table: tuple[Any, str]
) -> None:
    """Each shard has rows of its own, and owners of one shard overwrite only what they have seen."""
    client, name = table
    async with clients(stack, tables) as aws:
        owners = [owner(aws, name, Metrics()) for _ in range(6)]
        for number, each in enumerate(owners):
            each.add([reading(second, "1", f"d{device}") for device in range(9) for second in range(number + 1)], 60)
        epochs = range(1, 7)
        await asyncio.gather(
            *(each.commit(SHARD, (1, 0), epoch, go_on) for each, epoch in zip(owners, epochs, strict=True))
        )
    rows = client.scan(TableName=name, ConsistentRead=True)["Items"]
    assert {(row["Readings"]["N"], row["Counted"]["S"]) for row in rows} == {("6", "1.0/6")}
    assert len(rows) == 9


class Metered:
    """Sends PutItem, and adds up what DynamoDB says that it consumes; a refused write is one unit at least."""

    def __init__(self, aws: Clients) -> None:
        self._aws = aws
        self.units = 0.0

    async def send(self, body: bytes) -> bytes:
        request = json.loads(body) | {"ReturnConsumedCapacity": "TOTAL"}
        try:
            answer = await self._aws.put_item.send(json.dumps(request).encode())
        except ClientError:
            self.units += 1
            raise
        self.units += json.loads(answer)["ConsumedCapacity"]["CapacityUnits"]
        return answer


@pytest.mark.parametrize("measures", [0, 5])
async def test_a_minute_of_a_reading_a_second_is_two_write_units(
    stack: Deployed, emulator: Emulator, measures: int
) -> None:
    """Windows and archive objects of a minute, which do not begin together, and a take-over in each quarter of an hour:
    at most a twentieth of a write unit per reading, and what the planner says."""
    dynamodb, name = stack.session.client("dynamodb"), f"rollups-{uuid.uuid4().hex[:8]}"
    make_table(dynamodb, name, "Window")
    readings, metrics = 0, Metrics()
    async with clients(stack, emulator.endpoint) as aws:
        metered = Metered(aws)
        table = RollupTable(metered.send, name, 0, 4, metrics)
        for minute in range(30):
            if minute % 15 == 0:
                rollups = ShardRollups(table)
            found = [
                Reading(f"d{device}", T0 + (minute * 60 + 17 + second) * 1000, Decimal(f"21.{second}"), numbers)
                for second in range(60)
                for device in range(4)
                for numbers in [{f"measure{n}": Decimal(f"-{second}.5") for n in range(measures)}]
            ]
            readings += len(found)
            rollups.add(found, 60)
            await rollups.commit(SHARD, (minute, 0), minute // 15, go_on)
    rows = dynamodb.scan(TableName=name, ConsistentRead=True)["Items"]
    assert sum(int(row["Readings"]["N"]) for row in rows) == readings
    assert total(metrics.rollups_changed) == 4
    assert metered.units / readings <= 1 / 20
    planned = size(Inputs(devices=4, interval=1, resolution="1m"))
    assert metered.units / readings == pytest.approx(planned.row_units / planned.readings, rel=0.1)
