"""Reading a stream to its end in tests."""

import time
from typing import Any

import boto3

SECONDS = 20


def shards(session: boto3.Session, stream: str, **shard_filter: Any) -> dict[str, Any]:
    """Shards by id; with a filter such as `Type="AT_LATEST"`."""
    wanted: Any = {"ShardFilter": shard_filter} if shard_filter else {}
    return {s["ShardId"]: s for s in session.client("kinesis").list_shards(StreamName=stream, **wanted)["Shards"]}


def read_shard(session: boto3.Session, stream: str, shard: str) -> tuple[list[Any], list[Any] | None]:
    """All records there are now; and the child shards, or None when the shard is open."""
    kinesis, records = session.client("kinesis"), []
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    token: str | None = iterator["ShardIterator"]
    while token:
        answer = kinesis.get_records(ShardIterator=token, Limit=2)
        records += answer["Records"]
        if "NextShardIterator" not in answer:
            return records, list(answer["ChildShards"])
        if not answer["Records"]:
            return records, None
        token = answer["NextShardIterator"]
    raise AssertionError("an iterator ended without saying so")


def wait_for(session: boto3.Session, stream: str, key: str, count: int) -> list[Any]:
    """The records with this partition key, once there are so many."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = [
            r for s in shards(session, stream) for r in read_shard(session, stream, s)[0] if r["PartitionKey"] == key
        ]
        if len(found) >= count:
            return found
    raise AssertionError(f"{len(found)} of {count} records for {key}")
