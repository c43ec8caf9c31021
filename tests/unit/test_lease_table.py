"""What the lease table's rows mean."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from consumer.kcl.first_leases import first_row, shards_at_horizon
from consumer.kcl.lease_table import END, START, Leases, owned_by, position


def row(shard: str, owner: str | None = "me", checkpoint: str = "TRIM_HORIZON", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"leaseKey": {"S": shard}, "checkpoint": {"S": checkpoint}, **more}
    return found | ({"leaseOwner": {"S": owner}} if owner else {})


class Table:
    """As much of a DynamoDB client as `Leases.rows` needs, with one row per page."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self._rows = rows

    def get_paginator(self, operation: str) -> "Table":
        assert operation == "scan"
        return self

    async def paginate(self, **_: object) -> AsyncIterator[Mapping[str, Any]]:
        for each in self._rows:
            yield {"Items": [each]}


async def owned(*rows: dict[str, Any]) -> set[str]:
    client: Any = Table(*rows)
    return owned_by("me", await Leases(client, "table", "me").rows())


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
