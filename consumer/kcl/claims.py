"""Claims of shards: what an owner writes into the KCL's lease row (lease_table.py) before it writes anything else.

Three attributes are ours. `epoch` counts the claims. The others say what all owners of the archive object behind the
checkpoint must do alike. `archiveCompression` is how it is compressed: they must write it to one key, and the
compression is part of the key. `rollupSeconds` is the length of the windows in whose rollups it is counted: they must
count it in the same rows. Rows of versions that only knew gzip, or no rollups, do not have them.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from consumer.archive.compression import Compression
from consumer.kcl.lease_table import position
from consumer.record import Position

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient


class Form(NamedTuple):
    """Of an archive object: its compression, and the length in seconds of the windows in whose rollups it is counted; 0
    for none."""

    compression: Compression
    seconds: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A shard's fencing token, the checkpoint that stood in the row when it was claimed, and the form of the archive
    object behind it."""

    epoch: int
    checkpoint: Position
    form: Form


class Claims:
    """The lease table `table` as the worker `worker_id` writes claims to it. Errors of DynamoDB propagate."""

    def __init__(self, client: "DynamoDBClient", table: str, worker_id: str, form: Form) -> None:
        self._client = client
        self._table = table
        self._worker_id = worker_id
        self.form = form
        """That of archive objects which no other owner can have begun."""

    async def claim(self, shard: str) -> Claim | None:
        """Claims a new epoch, greater than every earlier one; None when this worker does not own the lease (any more).

        The first epoch of a row is the time in ms, so that the epochs of a table that was deleted and created again
        are above those of its predecessor; after that each is one more than the last, whatever the workers' clocks.
        """
        values = {
            ":me": {"S": self._worker_id},
            ":now": {"N": str(time.time_ns() // 1_000_000)},
            ":one": {"N": "1"},
        }
        values[":seconds"] = {"N": str(self.form.seconds)}  # versions without it have counted nothing
        epoch = "SET epoch = if_not_exists(epoch, :now) + :one, rollupSeconds = if_not_exists(rollupSeconds, :seconds)"
        owned = "leaseOwner = :me AND attribute_not_exists(checkpointOwner)"
        row = await self._update(
            shard,
            f"{epoch}, archiveCompression = if_not_exists(archiveCompression, :compression)",
            f"{owned} AND (attribute_exists(archiveCompression) OR attribute_not_exists(epoch))",
            {**values, ":compression": {"S": self.form.compression}},
        )
        row = row or await self._update(shard, epoch, owned, values)  # not owned, or claimed before there was a choice
        if row is None:
            return None
        compression: Compression = "zstd" if row.get("archiveCompression") == {"S": "zstd"} else "gzip"
        return Claim(int(row["epoch"]["N"]), position(row), Form(compression, int(row["rollupSeconds"]["N"])))

    async def change_form(self, shard: str, epoch: int) -> bool:
        """Sets `form` in the row; False when the owner with this epoch is none any more.

        Only right after its checkpoint: no other owner has begun the archive object behind that.
        """
        values = {
            ":epoch": {"N": str(epoch)},
            ":compression": {"S": self.form.compression},
            ":seconds": {"N": str(self.form.seconds)},
        }
        update = "SET archiveCompression = :compression, rollupSeconds = :seconds"
        return await self._update(shard, update, "epoch = :epoch", values) is not None

    async def _update(
        self, shard: str, update: str, condition: str, values: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """The row afterwards; None if it does not meet the condition."""
        try:
            answer = await self._client.update_item(
                TableName=self._table,
                Key={"leaseKey": {"S": shard}},
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_NEW",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return None
        return answer["Attributes"]
