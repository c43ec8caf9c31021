"""What the lease table's rows mean."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from consumer.kcl.first_leases import OWNER_INDEX, first_row, shards_at_horizon
from consumer.kcl.lease_table import END, START, Leases, owned_by, position
from consumer.telemetry.metrics import Metrics


def row(shard: str, owner: str | None = "me", checkpoint: str = "TRIM_HORIZON", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"leaseKey": {"S": shard}, "checkpoint": {"S": checkpoint}, **more}
    return found | ({"leaseOwner": {"S": owner}} if owner else {})


class Table:
    """As much of a DynamoDB client as `Leases` needs to read, with one row per page. Each request costs half a unit."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self._rows = rows
        self.got: list[str] = []

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate={"scan": self._scan, "query": self._query}[operation])

    async def _scan(self, **_: object) -> AsyncIterator[Mapping[str, Any]]:
        for each in self._rows:
            yield {"Items": [each], "ConsumedCapacity": {"CapacityUnits": 0.5}}

    async def _query(self, *, IndexName: str, **asked: Any) -> AsyncIterator[Mapping[str, Any]]:
        assert (IndexName, asked["KeyConditionExpression"]) == (OWNER_INDEX, "leaseOwner = :me")
        for each in self._rows:
            if each.get("leaseOwner") == asked["ExpressionAttributeValues"][":me"]:
                yield {"Items": [{"leaseKey": each["leaseKey"]}], "ConsumedCapacity": {"CapacityUnits": 0.5}}

    async def get_item(self, **asked: Any) -> Mapping[str, Any]:
        self.got.append(asked["Key"]["leaseKey"]["S"])
        item = next((row for row in self._rows if row["leaseKey"] == asked["Key"]["leaseKey"]), None)
        return ({"Item": item} if item else {}) | {"ConsumedCapacity": {"CapacityUnits": 0.5}}


def leases(table: Table, metrics: Metrics | None = None) -> Leases:
    client: Any = table
    return Leases(client, "table", "me", metrics or Metrics())


async def owned(*rows: dict[str, Any]) -> set[str]:
    """By all rows, and by the index: whatever is served, both say the same."""
    found = owned_by("me", await leases(Table(*rows)).rows())
    for served in (set[str](), found):
        assert await leases(Table(*rows)).own(served) == found
    return found


@pytest.mark.parametrize(
    ("checkpoint", "sub", "expected"),
    [
        ("TRIM_HORIZON", "0", START),
        ("AT_TIMESTAMP", "0", START),
        ("LATEST", "0", START),
        ("SHARD_END", "0", END),
        ("49668899999999999999999999999999999999999999999999999999", "17", (int("49668" + "8" + "9" * 50), 17)),
    ],
)
def test_a_checkpoint_is_a_position(checkpoint: str, sub: str, expected: tuple[int, int]) -> None:
    found = position({"checkpoint": {"S": checkpoint}, "checkpointSubSequenceNumber": {"N": sub}})
    assert found == expected
    assert START <= found <= END


def test_a_checkpoint_without_a_sub_sequence_number_is_before_every_sub_record() -> None:
    assert position({"checkpoint": {"S": "5"}}) == (5, 0)


async def test_ours_are_the_leases_that_the_daemon_should_serve() -> None:
    assert await owned(row("a"), row("b", "other"), row("c", None)) == {"a"}


async def test_a_finished_shard_is_not_served() -> None:
    assert await owned(row("a", checkpoint="SHARD_END"), row("b")) == {"b"}


async def test_a_lease_that_is_being_handed_over_is_not_served_yet() -> None:
    assert await owned(row("a", checkpointOwner={"S": "other"}), row("b")) == {"b"}


async def test_a_child_waits_for_its_parents() -> None:
    child = row("child", parentShardId={"SS": ["a", "b"]})
    assert await owned(row("a", checkpoint="SHARD_END"), row("b", "other", "17"), child) == set()
    assert await owned(row("a", checkpoint="SHARD_END"), row("b", "other", "SHARD_END"), child) == {"child"}
    assert await owned(child) == {"child"}


async def test_of_leases_that_are_served_only_the_keys_are_read() -> None:
    table, metrics = Table(row("a"), row("b"), row("new"), row("other", "other")), Metrics()
    assert await leases(table, metrics).own({"a", "b", "gone"}) == {"a", "b", "new"}
    assert table.got == ["new"]
    units = {kind: metrics.lease_reads.labels(kind)._value.get() for kind in ("table", "index", "row")}
    assert units == {"table": 0, "index": 1.5, "row": 0.5}
    await leases(table, metrics).rows()
    assert metrics.lease_reads.labels("table")._value.get() == 2


async def test_a_row_that_vanishes_between_index_and_table_is_not_owned() -> None:
    table = Table(row("a"))
    table.get_item = lambda **_: asyncio.sleep(0, {})  # type: ignore[method-assign]
    assert await leases(table).own(set()) == set()


def test_a_first_row_is_ours_and_starts_at_the_oldest_record() -> None:
    hashes = {"StartingHashKey": "0", "EndingHashKey": "9"}
    shard = {"ShardId": "shardId-7", "HashKeyRange": hashes, "ParentShardId": "shardId-1"}
    found = first_row(shard, "me")
    assert found["leaseOwner"] == {"S": "me"}
    assert found["parentShardId"] == {"SS": ["shardId-1"]}
    assert position(found) == START
    assert "parentShardId" not in first_row({"ShardId": "shardId-7", "HashKeyRange": hashes}, "me")


async def test_shards_are_listed_page_by_page() -> None:
    async def list_shards(**asked: Any) -> Mapping[str, Any]:
        if "NextToken" in asked:
            assert asked == {"NextToken": "more"}
            return {"Shards": [{"ShardId": "b"}]}
        assert asked == {"StreamName": "readings", "ShardFilter": {"Type": "AT_TRIM_HORIZON"}}
        return {"Shards": [{"ShardId": "a"}], "NextToken": "more"}

    found = await shards_at_horizon("readings", list_shards)
    assert [shard["ShardId"] for shard in found] == ["a", "b"]
