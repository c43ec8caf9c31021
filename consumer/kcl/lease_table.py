"""The KCL's tables: leases of all workers, the leader's lock. Only claims.py and first_leases.py know them, too.

One row per shard, key `leaseKey`; the KCL changes its rows by UpdateItem only, so that what claims.py adds stays. The
KCL owns everything else. We read `leaseOwner` (worker id), `leaseCounter` (counts the renewals), `checkpointOwner`
(the old owner, while a lease is handed over), `checkpoint` with `checkpointSubSequenceNumber` (a sequence number or a
constant such as TRIM_HORIZON), `parentShardId` (a set).
"""

import contextlib
from collections.abc import Iterable, Mapping, Set
from typing import TYPE_CHECKING, Any, Final

from consumer.kcl.first_leases import OWNER_INDEX
from consumer.kcl.lease_takeover import Lost
from consumer.record import Position

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

    from consumer.telemetry.metrics import Metrics

START: Final[Position] = (-1, -1)
"""Before every record: nothing has been checkpointed yet."""

END: Final[Position] = (10**57, 0)
"""After every record: the shard is finished (sequence numbers have at most 56 digits)."""

_PAGE: Final = 1000  # rows: parsed in some 13 ms, during which the event loop does nothing else
_ATTRIBUTES: Final = "leaseKey, leaseOwner, leaseCounter, checkpointOwner, checkpoint, parentShardId"


class Leases:
    """The lease table `table` as the worker `worker_id` sees it. Errors of DynamoDB propagate."""

    def __init__(self, client: "DynamoDBClient", table: str, worker_id: str, metrics: "Metrics") -> None:
        self._client = client
        self._table = table
        self._worker_id = worker_id
        self._metrics = metrics

    async def rows(self) -> dict[str, Mapping[str, Any]]:
        """The rows of all shards, by shard, without what only the KCL needs."""
        rows: dict[str, Mapping[str, Any]] = {}
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table,
            ProjectionExpression=_ATTRIBUTES,
            FilterExpression="attribute_exists(checkpoint)",  # the KCL may keep other things there
            ReturnConsumedCapacity="TOTAL",
            PaginationConfig={"PageSize": _PAGE},
        )
        async for page in pages:
            self._count("table", page)
            rows.update((row["leaseKey"]["S"], row) for row in page["Items"])
        return rows

    async def own(self, served: Set[str]) -> frozenset[str]:
        """What `owned_by` says of this worker, without reading all rows: the index names its leases, and of those that
        are not `served` anyway the rows, and their parents' rows, tell whether they should be."""
        keys: set[str] = set()
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=OWNER_INDEX,
            KeyConditionExpression="leaseOwner = :me",
            ExpressionAttributeValues={":me": {"S": self._worker_id}},
            ReturnConsumedCapacity="TOTAL",
        )
        async for page in pages:
            self._count("index", page)
            keys.update(row["leaseKey"]["S"] for row in page["Items"])
        rows = await self.some(keys - served)
        parents = {parent for row in rows.values() for parent in _parents(row)}
        return frozenset(keys & served | owned_by(self._worker_id, await self.some(parents) | rows))

    async def some(self, shards: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """The rows of some shards, without those that have none."""
        rows: dict[str, Mapping[str, Any]] = {}
        for shard in sorted(shards):
            answer = await self._client.get_item(
                TableName=self._table,
                Key={"leaseKey": {"S": shard}},
                ProjectionExpression=_ATTRIBUTES,
                ReturnConsumedCapacity="TOTAL",
            )
            self._count("row", answer)
            if "checkpoint" in answer.get("Item", ()):
                rows[shard] = answer["Item"]
        return rows

    def _count(self, kind: str, answer: Mapping[str, Any]) -> None:
        units = answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)
        self._metrics.lease_reads.labels(kind).inc(units)

    async def take(self, lease: Lost) -> bool:
        """Gives a lost worker's lease, or one whose hand-over makes no progress, to another worker as the KCL's leader
        would; that one's daemon finds it within seconds.

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
                    "SET leaseOwner = :new, leaseCounter = leaseCounter + :one "
                    "ADD ownerSwitchesSinceCheckpoint :one REMOVE checkpointOwner"
                ),
                ConditionExpression=" AND ".join(["leaseCounter = :counter", *owners]),
                ExpressionAttributeValues={
                    ":new": {"S": lease.new_owner},
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


def owned_by(worker_id: str, rows: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """A worker's leases, without those that are not readable and those that are still being handed over."""
    me = {"S": worker_id}
    own = {shard: row for shard, row in rows.items() if row.get("leaseOwner") == me and "checkpointOwner" not in row}
    parents = {parent for row in own.values() for parent in _parents(row)} & rows.keys()
    return own.keys() & readable(own | {parent: rows[parent] for parent in parents})


def readable(rows: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The shards that should be read now: unfinished, and all their parents finished."""
    unfinished = {shard: row for shard, row in rows.items() if row["checkpoint"]["S"] != "SHARD_END"}
    children = {shard: row for shard, row in unfinished.items() if "parentShardId" in row}
    waiting = {shard for shard, row in children.items() if any(parent in unfinished for parent in _parents(row))}
    return unfinished.keys() - waiting


def _parents(row: Mapping[str, Any]) -> Iterable[str]:
    parents: Iterable[str] = row["parentShardId"]["SS"] if "parentShardId" in row else ()
    return parents


def position(row: Mapping[str, Any]) -> Position:
    checkpoint = row["checkpoint"]["S"]
    if checkpoint == "SHARD_END":
        return END
    if not checkpoint.isdecimal():  # TRIM_HORIZON, AT_TIMESTAMP, LATEST
        return START
    return int(checkpoint), int(row.get("checkpointSubSequenceNumber", {"N": "0"})["N"])
