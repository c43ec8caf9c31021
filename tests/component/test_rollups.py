"""The table of rollups against two implementations of DynamoDB: conditions, the row that did not meet one, numbers."""

import asyncio
import uuid
from decimal import Decimal
from typing import Any

import pytest

from consumer.aws.clients import Clients
from consumer.payload.reading import Reading
from consumer.sinks.rollup_rows import parse
from consumer.sinks.rollups import RollupTable, ShardRollups
from consumer.telemetry.metrics import Metrics, total
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
