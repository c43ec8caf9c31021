"""The first rows of a lease table, for any number of shards, and when a worker dies before it has written them all."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from consumer.kcl.first_leases import seed


class Died(Exception):
    """The worker that writes the rows is gone."""


class Cancelled(ClientError):
    """TransactionCanceledException."""

    def __init__(self, *codes: str) -> None:
        response: Any = {"Error": {}, "CancellationReasons": [{"Code": code} for code in codes]}
        super().__init__(response, "TransactWriteItems")


class Table:
    """As much of a DynamoDB client as first rows need: 300 rows in a page of a scan."""

    exceptions = SimpleNamespace(TransactionCanceledException=Cancelled)

    def __init__(self) -> None:
        self.rows: dict[str, Mapping[str, Any]] = {}
        self.transactions = 0
        self.scanned = 0
        self.dies_after = 10**9

    async def scan(self, *, Limit: int = 300, ExclusiveStartKey: Any = None, **_: object) -> dict[str, Any]:
        keys = sorted(self.rows)
        start = keys.index(ExclusiveStartKey["leaseKey"]["S"]) + 1 if ExclusiveStartKey else 0
        page = keys[start : start + Limit]
        self.scanned += len(page)
        more = {"LastEvaluatedKey": {"leaseKey": {"S": page[-1]}}} if keys[start + Limit :] else {}
        return {"Items": [self.rows[key] for key in page], **more}

    async def transact_write_items(self, *, TransactItems: list[dict[str, Any]]) -> None:
        assert 0 < len(TransactItems) <= 100
        if self.transactions == self.dies_after:
            raise Died
        self.transactions += 1
        rows = [item["Put"]["Item"] for item in TransactItems]
        if any(row["leaseKey"]["S"] in self.rows for row in rows):
            raise Cancelled("ConditionalCheckFailed", "None")
        self.rows.update((row["leaseKey"]["S"], row) for row in rows)


def shard(number: int) -> dict[str, Any]:
    hashes = {"StartingHashKey": str(number), "EndingHashKey": str(number)}
    return {"ShardId": f"shardId-{number:012}", "HashKeyRange": hashes}


async def fill(table: Table, shards: int, owner: str | None = None) -> None:
    async def list_shards(**asked: Any) -> Mapping[str, Any]:
        start = int(asked.get("NextToken", 0))
        more = {"NextToken": str(start + 1000)} if start + 1000 < shards else {}
        return {"Shards": [shard(number) for number in range(start, min(shards, start + 1000))], **more}

    client: Any = table
    await seed(client, "leases", "stream", list_shards, owner)


@pytest.mark.parametrize("shards", [1, 100, 101, 2500])
async def test_every_shard_gets_a_row(shards: int) -> None:
    table = Table()
    await fill(table, shards, "me")
    assert len(table.rows) == shards
    assert {row["leaseOwner"]["S"] for row in table.rows.values()} == {"me"}
    before = table.transactions
    await fill(table, shards)
    assert table.transactions == before


async def test_the_next_worker_writes_what_one_that_died_left_undone() -> None:
    table = Table()
    table.dies_after = 3
    with pytest.raises(Died):
        await fill(table, 1050)
    assert len(table.rows) == 300
    table.dies_after = 10**9
    await fill(table, 1050)
    assert len(table.rows) == 1050


async def test_a_table_in_use_is_left_alone_and_mostly_one_row_tells() -> None:
    """A shard whose row is missing may have been read to its end."""
    table = Table()
    await fill(table, 400)
    del table.rows[shard(7)["ShardId"]]
    for number in (399, 0):
        used = shard(number)["ShardId"]
        table.rows[used] = {**table.rows[used], "checkpoint": {"S": "17"}}
        table.scanned = 0
        await fill(table, 400)
        assert len(table.rows) == 399
        assert (table.scanned == 1) == (number == 0)


async def test_other_refusals_propagate() -> None:
    table = Table()

    async def refuse(**_: object) -> None:
        raise Cancelled("None", "ValidationError")

    table.transact_write_items = refuse  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        await fill(table, 2)
