"""The KCL's tables: first rows, leases of this worker, the leader's lock. Only claims.py knows them, too.

One row per shard, key `leaseKey`; the KCL changes its rows by UpdateItem only, so that what claims.py adds stays. The
KCL owns everything else. We read `leaseOwner` (worker id), `leaseCounter` (counts the renewals), `checkpointOwner`
(the old owner, while a lease is handed over), `checkpoint` with `checkpointSubSequenceNumber` (a sequence number or a
constant such as TRIM_HORIZON), `parentShardId` (a set).
"""

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from consumer.kcl.first_leases import ListShards, first_row, shards_at_horizon
from consumer.kcl.lease_takeover import Lost
from consumer.record import Position

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

START: Final[Position] = (-1, -1)
"""Before every record: nothing has been checkpointed yet."""

END: Final[Position] = (10**57, 0)
"""After every record: the shard is finished (sequence numbers have at most 56 digits)."""

OWNER_INDEX: Final = "LeaseOwnerToLeaseKeyIndex"
_MAX_SEEDS: Final = 100  # a transaction's limit; a partial set of rows would leave shards unread


class Leases:
    """The lease table `table` as the worker `worker_id` sees it. Errors of DynamoDB propagate."""

    def __init__(self, client: "DynamoDBClient", table: str, worker_id: str) -> None:
        self._client = client
        self._table = table
        self._worker_id = worker_id

    async def rows(self) -> dict[str, Mapping[str, Any]]:
        """The rows of all shards, by shard, without what only the KCL needs."""
        rows: dict[str, Mapping[str, Any]] = {}
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table,
            ProjectionExpression="leaseKey, leaseOwner, leaseCounter, checkpointOwner, checkpoint, parentShardId",
            FilterExpression="attribute_exists(checkpoint)",  # the KCL may keep other things there
        )
        async for page in pages:
            rows.update((row["leaseKey"]["S"], row) for row in page["Items"])
        return rows

    async def take(self, lease: Lost) -> bool:
        """Takes over a lost worker's lease, or one whose hand-over makes no progress, as the KCL's leader would; the
        daemon finds it within seconds.

        False when an owner of it, the leader or another worker was first. Every renewal and assignment changes the
        counter; the beginning of a hand-over does not, but changes the owners.
        """
        seen = {"leaseOwner": lease.owner, "checkpointOwner": lease.old_owner}
        owners = [f"{name} = :{name}" if seen[name] else f"attribute_not_exists({name})" for name in seen]
        try:
            await self._client.update_item(
                TableName=self._table,
                Key={"leaseKey": {"S": lease.shard}},
                UpdateExpression=(
                    "SET leaseOwner = :me, leaseCounter = leaseCounter + :one "
                    "ADD ownerSwitchesSinceCheckpoint :one REMOVE checkpointOwner"
                ),
                ConditionExpression=" AND ".join(["leaseCounter = :counter", *owners]),
                ExpressionAttributeValues={
                    ":me": {"S": self._worker_id},
                    ":counter": {"N": str(lease.counter)},
                    ":one": {"N": "1"},
                    **{f":{name}": {"S": owner} for name, owner in seen.items() if owner},
                },
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    async def release_leadership(self, lost: str | None = None) -> None:
        """Releases the KCL leader's lock if this worker holds it (to be called only while no daemon of it runs), or if
        the `lost` worker does.

        Only the leader assigns new leases. A daemon that was killed leaves its lock behind, and all workers, its own
        successor too, would wait two minutes for it to expire: after a reshard no worker would read the children.
        """
        with contextlib.suppress(
            self._client.exceptions.ResourceNotFoundException,  # no daemon has ever run
            self._client.exceptions.ConditionalCheckFailedException,  # another worker leads, or none
        ):
            await self._client.delete_item(
                TableName=f"{self._table}-CoordinatorState",
                Key={"key": {"S": "Leader"}},
                ConditionExpression="ownerName = :owner",
                ExpressionAttributeValues={":owner": {"S": lost or self._worker_id}},
            )

    async def prepare(self, stream: str, list_shards: ListShards, *, seed: bool) -> None:
        """Creates the lease table if it does not exist; with `seed`, fills an empty one with a row for every shard,
        owned by this worker.

        Only for LEASE_TABLES=create.
        """
        with contextlib.suppress(self._client.exceptions.ResourceInUseException):  # it is there
            await self._client.create_table(
                TableName=self._table,
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
        await self._client.get_waiter("table_exists").wait(
            TableName=self._table, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )
        if seed:
            await self.seed(stream, list_shards, self._worker_id)

    async def seed(self, stream: str, list_shards: ListShards, owner: str | None = None) -> None:
        """Fills an empty lease table with a row for every shard; the leader assigns them where there is no `owner`.

        The KCL itself would first wait up to 30 s, at random, for another worker to do that. Only for consumers that
        start at the oldest record.
        """
        shards = await shards_at_horizon(stream, list_shards)
        page = await self._client.scan(TableName=self._table, Limit=1, ConsistentRead=True)
        if page["Items"] or not 0 < len(shards) <= _MAX_SEEDS:
            return  # the KCL writes them, later
        try:
            await self._client.transact_write_items(
                TransactItems=[
                    {
                        "Put": {
                            "TableName": self._table,
                            "Item": first_row(shard, owner),
                            "ConditionExpression": "attribute_not_exists(leaseKey)",
                        }
                    }
                    for shard in shards
                ]
            )
        except self._client.exceptions.TransactionCanceledException as error:
            if not _lost_a_race(error):
                raise


def owned_by(worker_id: str, rows: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """A worker's leases, without those that are not readable and those that are still being handed over."""
    return {
        shard
        for shard in readable(rows)
        if rows[shard].get("leaseOwner") == {"S": worker_id} and "checkpointOwner" not in rows[shard]
    }


def readable(rows: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The shards that should be read now: unfinished, and all their parents finished."""
    unfinished = {shard for shard, row in rows.items() if row["checkpoint"]["S"] != "SHARD_END"}
    return {shard for shard in unfinished if unfinished.isdisjoint(rows[shard].get("parentShardId", {}).get("SS", ()))}


def _lost_a_race(error: ClientError) -> bool:
    """True when another worker has put such a row meanwhile, or is about to."""
    reasons = error.response.get("CancellationReasons", [])
    codes = {reason.get("Code") for reason in reasons} - {"None"}
    return bool(codes) and codes <= {"ConditionalCheckFailed", "TransactionConflict"}


def position(row: Mapping[str, Any]) -> Position:
    checkpoint = row["checkpoint"]["S"]
    if checkpoint == "SHARD_END":
        return END
    if not checkpoint.isdecimal():  # TRIM_HORIZON, AT_TIMESTAMP, LATEST
        return START
    return int(checkpoint), int(row.get("checkpointSubSequenceNumber", {"N": "0"})["N"])
