"""The rows that an empty lease table begins with: one row per shard that was open at the oldest record."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

ListShards = Callable[..., Awaitable[Mapping[str, Any]]]
"""An aiobotocore Kinesis client's `list_shards`."""


async def shards_at_horizon(stream: str, list_shards: ListShards) -> list[Mapping[str, Any]]:
    """The shards that were open at the oldest record: the KCL's own choice, it makes their children's rows itself."""
    answer = await list_shards(StreamName=stream, ShardFilter={"Type": "AT_TRIM_HORIZON"})
    shards = list(answer["Shards"])
    while token := answer.get("NextToken"):
        answer = await list_shards(NextToken=token)
        shards += answer["Shards"]
    return shards


def first_row(shard: Mapping[str, Any], owner: str | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "leaseKey": {"S": shard["ShardId"]},
        "leaseCounter": {"N": "0"},
        "ownerSwitchesSinceCheckpoint": {"N": "0"},
        "checkpoint": {"S": "TRIM_HORIZON"},
        "checkpointSubSequenceNumber": {"N": "0"},
        "startingHashKey": {"S": shard["HashKeyRange"]["StartingHashKey"]},
        "endingHashKey": {"S": shard["HashKeyRange"]["EndingHashKey"]},
    }
    if owner:
        row["leaseOwner"] = {"S": owner}
    parents = [shard[name] for name in ("ParentShardId", "AdjacentParentShardId") if shard.get(name)]
    if parents:
        row["parentShardId"] = {"SS": parents}
    return row
