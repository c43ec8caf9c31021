"""Shards, resharding and enhanced fan-out are as the KCL meets them in the cloud."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import Running, records

WHOLE = 2**128
FIRST = "shardId-000000000000"


def shards(aws: Running, stream: str, **shard_filter: str) -> dict[str, Any]:
    """Shards by id; with a filter such as `Type="AT_LATEST"`."""
    wanted = {"ShardFilter": shard_filter} if shard_filter else {}
    found = aws.client("kinesis").list_shards(StreamName=stream, **wanted)["Shards"]
    return {shard["ShardId"]: shard for shard in found}


def put(aws: Running, stream: str, *keys: str) -> list[str]:
    """Puts one record per key; returns their shards."""
    entries = [{"Data": key.encode(), "PartitionKey": key} for key in keys]
    answer = aws.client("kinesis").put_records(StreamName=stream, Records=entries)
    return [record["ShardId"] for record in answer["Records"]]


def split(aws: Running, stream: str) -> list[str]:
    """Splits the only shard in the middle; returns parent and children."""
    kinesis = aws.client("kinesis")
    kinesis.split_shard(StreamName=stream, ShardToSplit=FIRST, NewStartingHashKey=str(WHOLE // 2))
    return sorted(shards(aws, stream))


def test_sequence_numbers_order_as_text_and_as_numbers(aws: Running, stream: str) -> None:
    put(aws, stream, *"abcdef")
    numbers = [r["SequenceNumber"] for r in records(aws, stream, FIRST)[0]]
    assert numbers == sorted(numbers, key=int) == sorted(numbers)
    assert all(n == str(int(n)) and int(n).bit_length() < 186 for n in numbers)


def test_a_split_parent_keeps_its_records_and_ends_with_its_children(aws: Running, stream: str) -> None:
    put(aws, stream, *"abcde")
    parent, *children = split(aws, stream)
    found, ended = records(aws, stream, parent)
    assert [r["Data"] for r in found] == [b"a", b"b", b"c", b"d", b"e"]
    assert ended is not None
    assert [(c["ShardId"], c["ParentShards"]) for c in ended] == [(child, [parent]) for child in children]
    numbers = shards(aws, stream)[parent]["SequenceNumberRange"]
    assert int(found[-1]["SequenceNumber"]) < int(numbers["EndingSequenceNumber"])


def test_a_closed_parent_takes_no_records(aws: Running, stream: str) -> None:
    parent, *children = split(aws, stream)
    assert set(put(aws, stream, *map(str, range(50)))) == set(children)
    kinesis = aws.client("kinesis")
    assert kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["OpenShardCount"] == 2
    with pytest.raises(ClientError, match="InvalidArgument"):
        kinesis.split_shard(StreamName=stream, ShardToSplit=parent, NewStartingHashKey="7")


def test_an_open_iterator_reads_to_the_end_of_a_parent_that_closes(aws: Running, stream: str) -> None:
    kinesis = aws.client("kinesis")
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=FIRST, ShardIteratorType="LATEST")
    put(aws, stream, "late")
    split(aws, stream)
    answer = kinesis.get_records(ShardIterator=iterator["ShardIterator"])
    assert [r["Data"] for r in answer["Records"]] == [b"late"]
    assert "NextShardIterator" not in answer
    assert len(answer["ChildShards"]) == 2


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("AT_LATEST", ["1", "2"]),
        ("AT_TRIM_HORIZON", ["0"]),
        ("FROM_TRIM_HORIZON", ["0", "1", "2"]),
    ],
)
def test_list_shards_honours_its_filter(aws: Running, stream: str, kind: str, seen: list[str]) -> None:
    split(aws, stream)
    assert [s[-1] for s in sorted(shards(aws, stream, Type=kind))] == seen


def test_merged_parents_have_one_child(aws: Running, stream: str) -> None:
    _, left, right = split(aws, stream)
    kinesis = aws.client("kinesis")
    kinesis.merge_shards(StreamName=stream, ShardToMerge=right, AdjacentShardToMerge=left)
    [child] = shards(aws, stream, Type="AT_LATEST").values()
    assert (child["ParentShardId"], child["AdjacentParentShardId"]) == (left, right)
    assert child["HashKeyRange"] == {"StartingHashKey": "0", "EndingHashKey": str(WHOLE - 1)}
    for parent in (left, right):
        _, ended = records(aws, stream, parent)
        assert ended is not None
        assert [c["ShardId"] for c in ended] == [child["ShardId"]]


@pytest.mark.parametrize("counts", [[2, 4, 2], [3, 2], [5, 1]])
def test_update_shard_count_keeps_the_key_space_whole(aws: Running, stream: str, counts: list[int]) -> None:
    kinesis = aws.client("kinesis")
    for count in counts:
        kinesis.update_shard_count(StreamName=stream, TargetShardCount=count, ScalingType="UNIFORM_SCALING")
        ranges = [s["HashKeyRange"] for s in shards(aws, stream, Type="AT_LATEST").values()]
        bounds = sorted((int(r["StartingHashKey"]), int(r["EndingHashKey"]) + 1) for r in ranges)
        assert len(bounds) == count
        assert [start for start, _ in bounds] == [0, *(end for _, end in bounds[:-1])]
        assert bounds[-1][1] == WHOLE
        put(aws, stream, *(f"{count}-{n}" for n in range(20)))
    everything = [r for s in shards(aws, stream) for r in records(aws, stream, s)[0]]
    assert len(everything) == 20 * len(counts)


def events(aws: Running, stream: str, shard: str) -> Iterator[dict[str, Any]]:
    """Subscribes with enhanced fan-out from the horizon."""
    kinesis = aws.client("kinesis")
    arn = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName=f"c-{uuid.uuid4().hex[:8]}")
    answer = kinesis.subscribe_to_shard(
        ConsumerARN=consumer["Consumer"]["ConsumerARN"],
        ShardId=shard,
        StartingPosition={"Type": "TRIM_HORIZON"},
    )
    for event in answer["EventStream"]:
        yield dict(event["SubscribeToShardEvent"])


def test_a_subscription_ends_with_the_children_and_without_a_continuation(aws: Running, stream: str) -> None:
    put(aws, stream, *"abc")
    parent, *children = split(aws, stream)
    *before, last = events(aws, stream, parent)
    assert [r["Data"] for event in before for r in event["Records"]] == [b"a", b"b", b"c"]
    assert all("ContinuationSequenceNumber" in event for event in before)
    assert "ContinuationSequenceNumber" not in last
    assert [c["ShardId"] for c in last["ChildShards"]] == children


def test_a_subscription_divides_a_backlog_into_events(aws: Running, stream: str) -> None:
    for _ in range(5):
        put(aws, stream, *(json.dumps(n) for n in range(500)))
    sizes = []
    for event in events(aws, stream, FIRST):
        sizes.append(len(event["Records"]))
        if event["MillisBehindLatest"] == 0:
            break
    assert sizes == [1000, 1000, 500]
