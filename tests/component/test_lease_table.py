"""The lease table on the local AWS and on moto: claims, refusals, first rows."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiobotocore.session import get_session

from consumer.archive.compression import Compression
from consumer.kcl.claims import Claim, Claims, Form
from consumer.kcl.first_leases import create, seed
from consumer.kcl.lease_table import END, START, Leases, owned_by
from consumer.kcl.lease_takeover import Lost
from consumer.telemetry.metrics import Metrics
from infra.local.emulator import Emulator

FIRST, SECOND = "shardId-000000000000", "shardId-000000000001"


class Clients:
    """A stream with two shards, and the lease table `table` as workers see it."""

    def __init__(self, dynamodb: Any, kinesis: Any, table: str) -> None:
        self.dynamodb = dynamodb
        self.kinesis = kinesis
        self.table = table

    def worker(self, name: str) -> Leases:
        return Leases(self.dynamodb, self.table, name, Metrics())

    def claims(self, name: str, compression: Compression = "zstd", seconds: int = 0) -> Claims:
        return Claims(self.dynamodb, self.table, name, Form(compression, seconds))

    async def prepare(self, name: str, *, owner: bool = True) -> Leases:
        """A table with first rows, owned by the worker `name` or by none."""
        await create(self.dynamodb, self.table)
        await seed(self.dynamodb, self.table, self.table, self.kinesis.list_shards, name if owner else None)
        return self.worker(name)

    async def set(self, shard: str, **values: dict[str, str]) -> None:
        await self.dynamodb.update_item(
            TableName=self.table,
            Key={"leaseKey": {"S": shard}},
            UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in values),
            ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
        )

    async def rows(self) -> dict[str, dict[str, Any]]:
        page = await self.dynamodb.scan(TableName=self.table)
        return {row["leaseKey"]["S"]: row for row in page["Items"]}


@pytest.fixture
async def aws(emulator: Emulator, tables: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clients]:
    for name, value in emulator.variables().items():  # the credentials, for both
        monkeypatch.setenv(name, value)
    session = get_session()
    region: Any = {"region_name": "eu-central-1"}
    async with (
        session.create_client("dynamodb", endpoint_url=tables, **region) as d,
        session.create_client("kinesis", endpoint_url=emulator.endpoint, **region) as k,
    ):
        kinesis: Any = k
        name = f"leases-{uuid.uuid4().hex[:8]}"
        await kinesis.create_stream(StreamName=name, ShardCount=2)
        await kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
        yield Clients(d, kinesis, name)


async def test_every_claim_is_greater_than_all_before(aws: Clients) -> None:
    await aws.prepare("a")
    first = await aws.claims("a").claim(FIRST)
    assert first is not None
    assert first.checkpoint == START
    assert first.epoch > 1_700_000_000_000
    claims = await asyncio.gather(*(aws.claims("a").claim(FIRST) for _ in range(5)))
    assert {claim.epoch for claim in claims if claim} == set(range(first.epoch + 1, first.epoch + 6))
    await aws.set(FIRST, leaseOwner={"S": "b"})
    taken = await aws.claims("b").claim(FIRST)
    assert taken == Claim(first.epoch + 6, START, Form("zstd", 0))


async def test_a_claim_returns_the_checkpoint(aws: Clients) -> None:
    await aws.prepare("a")
    await aws.set(FIRST, checkpoint={"S": "496"}, checkpointSubSequenceNumber={"N": "3"})
    await aws.set(SECOND, checkpoint={"S": "SHARD_END"})
    one, two = await aws.claims("a").claim(FIRST), await aws.claims("a").claim(SECOND)
    assert one is not None
    assert two is not None
    assert (one.checkpoint, two.checkpoint) == ((496, 3), END)


async def test_a_lease_of_another_is_refused_and_left_alone(aws: Clients) -> None:
    leases = await aws.prepare("a")
    before = await aws.rows()
    assert await aws.claims("b").claim(FIRST) is None
    assert await aws.claims("a").claim("shardId-000000000099") is None
    assert await aws.rows() == before
    await aws.set(FIRST, checkpointOwner={"S": "b"})
    assert await aws.claims("a").claim(FIRST) is None, "the old owner is still at it"
    assert owned_by("a", await leases.rows()) == {SECOND}


async def test_all_owners_begin_with_the_form_of_the_first(aws: Clients) -> None:
    await aws.prepare("a")
    claims = [await aws.claims("a", *form).claim(FIRST) for form in (Form("gzip", 60), Form("zstd", 300))]
    assert [claim and claim.form for claim in claims] == [Form("gzip", 60), Form("gzip", 60)]


async def test_a_shard_that_a_version_without_choice_has_claimed_begins_with_gzip(aws: Clients) -> None:
    await aws.prepare("a")
    await aws.set(FIRST, epoch={"N": "1790000000000"})
    for number in (1, 2):
        claim = await aws.claims("a", seconds=60 * number).claim(FIRST)
        assert claim == Claim(1_790_000_000_000 + number, START, Form("gzip", 60))


async def test_a_shard_that_a_version_without_rollups_has_claimed_begins_with_ours(aws: Clients) -> None:
    await aws.prepare("a")
    await aws.set(FIRST, epoch={"N": "7"}, archiveCompression={"S": "zstd"})
    assert await aws.claims("a", seconds=60).claim(FIRST) == Claim(8, START, Form("zstd", 60))


async def test_only_the_newest_owner_changes_the_form(aws: Clients) -> None:
    await aws.prepare("a")
    gzip, zstd = aws.claims("a", "gzip"), aws.claims("a", "zstd", 60)
    old, new = await gzip.claim(FIRST), await gzip.claim(FIRST)
    assert old is not None
    assert new is not None
    assert not await zstd.change_form(FIRST, old.epoch)
    assert await zstd.change_form(FIRST, new.epoch)
    assert await gzip.claim(FIRST) == Claim(new.epoch + 1, START, Form("zstd", 60))


async def test_other_errors_propagate(aws: Clients) -> None:
    with pytest.raises(aws.dynamodb.exceptions.ResourceNotFoundException):
        await aws.claims("a").claim(FIRST)


async def test_the_first_worker_fills_the_table_for_all(aws: Clients) -> None:
    first, second = await asyncio.gather(aws.prepare("a"), aws.prepare("b"))
    rows = await aws.rows()
    assert rows.keys() == {FIRST, SECOND}
    assert len({row["leaseOwner"]["S"] for row in rows.values()}) == 1, "all rows or none"
    assert owned_by("a", await first.rows()) | owned_by("b", await second.rows()) == {FIRST, SECOND}
    await aws.set(FIRST, checkpoint={"S": "496"})
    rows = await aws.rows()
    await aws.prepare("c")
    assert await aws.rows() == rows


async def test_what_is_missing_is_added_only_before_anything_has_been_read(aws: Clients) -> None:
    leases = await aws.prepare("a")
    await aws.dynamodb.delete_item(TableName=aws.table, Key={"leaseKey": {"S": SECOND}})
    await aws.prepare("b")
    assert owned_by("b", await leases.rows()) == {SECOND}
    await aws.dynamodb.delete_item(TableName=aws.table, Key={"leaseKey": {"S": SECOND}})
    await aws.set(FIRST, checkpoint={"S": "496"})
    await aws.prepare("b")
    assert (await aws.rows()).keys() == {FIRST}
    assert owned_by("a", await leases.rows()) == {FIRST}


async def test_rows_without_an_owner_wait_for_the_leader(aws: Clients) -> None:
    leases = await aws.prepare("a", owner=False)
    rows = await aws.rows()
    assert rows.keys() == {FIRST, SECOND}
    assert not any("leaseOwner" in row for row in rows.values())
    assert owned_by("a", await leases.rows()) == set()
    assert await aws.claims("a").claim(FIRST) is None


async def test_the_index_names_the_leases_of_a_worker(aws: Clients) -> None:
    """Of those that it does not serve the rows tell which it should: not what is handed over, nor what has ended."""
    a, b = await aws.prepare("a"), aws.worker("b")
    assert await a.own(set()) == await a.own({FIRST}) == {FIRST, SECOND}
    assert await b.own(set()) == set()
    await aws.set(FIRST, leaseOwner={"S": "b"}, checkpointOwner={"S": "a"})
    assert await a.own({FIRST}) == {SECOND}
    assert await b.own(set()) == set()
    await aws.set(SECOND, checkpoint={"S": "SHARD_END"})
    assert await a.own(set()) == set()


async def test_only_a_leader_lock_in_our_name_is_given_up(aws: Clients) -> None:
    ours = aws.worker("us")
    await ours.release_leadership()  # no table yet: nothing to give up
    table = f"{aws.table}-CoordinatorState"
    await aws.dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    await ours.release_leadership()  # there is no leader
    for owner, left in (("another", 1), ("us", 0)):
        await aws.dynamodb.put_item(TableName=table, Item={"key": {"S": "Leader"}, "ownerName": {"S": owner}})
        await ours.release_leadership()
        assert (await aws.dynamodb.scan(TableName=table))["Count"] == left


async def test_a_lost_workers_lease_is_taken_once_and_only_as_it_was_seen(aws: Clients) -> None:
    lost = await aws.prepare("lost")
    await aws.set(FIRST, checkpointOwner={"S": "lost"}, checkpoint={"S": "496"})
    assert (await lost.rows())[FIRST]["leaseCounter"] == {"N": "0"}
    assert not await aws.worker("a").take(Lost(FIRST, "lost", 0, "a")), "it is being handed over by now"
    seen = [Lost(FIRST, "lost", 0, name, "lost") for name in "abc"]
    taken = await asyncio.gather(*(aws.worker("watcher").take(each) for each in seen))
    assert sorted(taken) == [False, False, True]
    row = (await aws.rows())[FIRST]
    assert row["leaseOwner"]["S"] in "abc"
    assert (row["leaseCounter"], row["ownerSwitchesSinceCheckpoint"]) == ({"N": "1"}, {"N": "1"})
    assert row["checkpoint"] == {"S": "496"}
    assert "checkpointOwner" not in row
    await aws.set(SECOND, leaseCounter={"N": "1"})
    assert not await aws.worker("a").take(Lost(SECOND, "lost", 0, "a")), "it lives: it has renewed"


@pytest.mark.parametrize("owner", ["next", "old", None])
async def test_a_hand_over_that_stands_still_is_taken_as_it_was_seen(aws: Clients, owner: str | None) -> None:
    await aws.prepare(owner or "old", owner=owner is not None)
    await aws.set(FIRST, checkpointOwner={"S": "old"})
    us = aws.worker("us")
    assert not await us.take(Lost(FIRST, "next" if owner == "old" else "old", 0, "us", "old")), "another got it"
    assert not await us.take(Lost(FIRST, owner, 0, "us", "other")), "another hands it over"
    assert not await us.take(Lost(FIRST, owner, 1, "us", "old")), "it is renewed"
    assert await us.take(Lost(FIRST, owner, 0, "us", "old"))
    assert not await us.take(Lost(FIRST, owner, 0, "us", "old"))
    row = (await aws.rows())[FIRST]
    assert row["leaseOwner"] == {"S": "us"}
    assert (await aws.claims("us").claim(FIRST)) is not None, "a daemon finds it, and it can be claimed"
    if owner is None:
        assert not await us.take(Lost(SECOND, "us", 0, "us")), "a new lease is the leader's to assign"
