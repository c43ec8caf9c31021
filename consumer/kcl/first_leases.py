"""The lease table where LEASE_TABLES=create, and the rows that an empty one begins with: one per shard that was open at
the oldest record."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

ListShards = Callable[..., Awaitable[Mapping[str, Any]]]
"""An aiobotocore Kinesis client's `list_shards`."""

OWNER_INDEX: Final = "LeaseOwnerToLeaseKeyIndex"
"""The KCL's, which does not start without it. It holds the keys only."""
_TRANSACTION: Final = 100  # rows, at most


async def create(client: "DynamoDBClient", table: str) -> None:
    """Creates the lease table if it does not exist, as the KCL would. Errors of DynamoDB propagate."""
    with contextlib.suppress(client.exceptions.ResourceInUseException):  # it is there
        await client.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "leaseKey", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": "leaseKey", "AttributeType": "S"},
                {"AttributeName": "leaseOwner", "AttributeType": "S"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": OWNER_INDEX,
                    "KeySchema": [
                        {"AttributeName": "leaseOwner", "KeyType": "HASH"},
                        {"AttributeName": "leaseKey", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
    await client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 120})


async def seed(
    client: "DynamoDBClient", table: str, stream: str, list_shards: ListShards, owner: str | None = None
) -> None:
    """Fills an empty lease table with a row for every shard; the leader assigns them where there is no `owner`.

    The KCL itself would first wait up to 30 s, at random, for another worker to do that. Only for consumers that start
    at the oldest record. What a worker that dies leaves undone, the next one that starts does: with some of the rows
    missing, their shards would wait until the KCL notices, after minutes. Errors of AWS propagate.
    """
    shards = await shards_at_horizon(stream, list_shards)
    present = await _unread(client, table)
    if present is None:
        return
    rows = [first_row(shard, owner) for shard in shards if shard["ShardId"] not in present]
    for start in range(0, len(rows), _TRANSACTION):
        if not await _put(client, table, rows[start : start + _TRANSACTION]):
            return  # another worker does it


async def _unread(client: "DynamoDBClient", table: str) -> set[str] | None:
    """The shards that have a row, if nothing of any shard has been read yet, else None.

    Only the row of a shard that was read to its end is ever removed, when its children have checkpoints, and it must
    not come back. As long as there are no checkpoints, a row that is missing has never been there.
    """
    found: set[str] = set()
    more: dict[str, Any] = {"Limit": 1}  # the first row of a table in use mostly tells
    while True:
        page = await client.scan(TableName=table, ConsistentRead=True, **more)
        rows = {row["leaseKey"]["S"]: row["checkpoint"]["S"] for row in page["Items"] if "checkpoint" in row}
        if rows.keys() and set(rows.values()) != {"TRIM_HORIZON"}:
            return None
        found |= rows.keys()
        if "LastEvaluatedKey" not in page:
            return found
        more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


async def _put(client: "DynamoDBClient", table: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Writes all rows; or none, and returns False, where another worker has written one of them or is about to."""
    condition = "attribute_not_exists(leaseKey)"
    puts: Any = [{"Put": {"TableName": table, "Item": row, "ConditionExpression": condition}} for row in rows]
    try:
        await client.transact_write_items(TransactItems=puts)
    except client.exceptions.TransactionCanceledException as error:
        if not _lost_a_race(error):
            raise
        return False
    return True


def _lost_a_race(error: ClientError) -> bool:
    reasons = error.response.get("CancellationReasons", [])
    codes = {reason.get("Code") for reason in reasons} - {"None"}
    return bool(codes) and codes <= {"ConditionalCheckFailed", "TransactionConflict"}


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
