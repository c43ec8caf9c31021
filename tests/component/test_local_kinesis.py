"""Resharding on the emulator is as KCL and our consumer meet it in the cloud."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.emulator import Emulator
from tests.component.streams import read_shard, shards

WHOLE = 2**128


@pytest.fixture
def stream(emulator: Emulator) -> Iterator[str]:
    name = f"reshard-{uuid.uuid4().hex[:8]}"
    kinesis = emulator.session().client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    yield name
    kinesis.delete_stream(StreamName=name)


def put(emulator: Emulator, stream: str, *keys: str) -> list[str]:
    """Puts a record a key; returns their shards."""
    entries = [{"Data": key.encode(), "PartitionKey": key} for key in keys]
    answer = emulator.session().client("kinesis").put_records(StreamName=stream, Records=entries)
    return [record["ShardId"] for record in answer["Records"]]


def split(emulator: Emulator, stream: str) -> list[str]:
    """Splits the only shard in the middle; returns parent and children."""
    kinesis = emulator.session().client("kinesis")
    kinesis.split_shard(StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(WHOLE // 2))
    return sorted(shards(emulator.session(), stream))


def test_sequence_numbers_order_as_text_and_as_numbers(emulator: Emulator, stream: str) -> None:
    put(emulator, stream, *"abcdef")
    numbers = [r["SequenceNumber"] for r in read_shard(emulator.session(), stream, "shardId-000000000000")[0]]
    assert numbers == sorted(numbers, key=int) == sorted(numbers)
    assert all(n == str(int(n)) and int(n).bit_length() < 186 for n in numbers)


def test_a_split_parent_keeps_its_records_and_ends_with_its_children(emulator: Emulator, stream: str) -> None:
    put(emulator, stream, *"abcde")
    parent, *children = split(emulator, stream)
    records, ended = read_shard(emulator.session(), stream, parent)
    assert [r["Data"] for r in records] == [b"a", b"b", b"c", b"d", b"e"]
    assert ended is not None
    assert [(c["ShardId"], c["ParentShards"]) for c in ended] == [(child, [parent]) for child in children]
    numbers = shards(emulator.session(), stream)[parent]["SequenceNumberRange"]
    assert int(records[-1]["SequenceNumber"]) < int(numbers["EndingSequenceNumber"])


def test_a_closed_parent_takes_no_records(emulator: Emulator, stream: str) -> None:
    parent, *children = split(emulator, stream)
    assert set(put(emulator, stream, *map(str, range(50)))) == set(children)
    kinesis = emulator.session().client("kinesis")
    assert kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["OpenShardCount"] == 2
    with pytest.raises(ClientError, match="InvalidArgument"):
        kinesis.split_shard(StreamName=stream, ShardToSplit=parent, NewStartingHashKey="7")


def test_an_open_iterator_reads_to_the_end_of_a_parent_that_closes(emulator: Emulator, stream: str) -> None:
    kinesis = emulator.session().client("kinesis")
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId="shardId-000000000000", ShardIteratorType="LATEST")
    put(emulator, stream, "late")
    split(emulator, stream)
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
def test_list_shards_honours_its_filter(emulator: Emulator, stream: str, kind: str, seen: list[str]) -> None:
    split(emulator, stream)
    assert [s[-1] for s in sorted(shards(emulator.session(), stream, Type=kind))] == seen


def test_merged_parents_have_one_child(emulator: Emulator, stream: str) -> None:
    _, left, right = split(emulator, stream)
    kinesis = emulator.session().client("kinesis")
    kinesis.merge_shards(StreamName=stream, ShardToMerge=right, AdjacentShardToMerge=left)
    [child] = shards(emulator.session(), stream, Type="AT_LATEST").values()
    assert (child["ParentShardId"], child["AdjacentParentShardId"]) == (left, right)
    assert child["HashKeyRange"] == {"StartingHashKey": "0", "EndingHashKey": str(WHOLE - 1)}
    for parent in (left, right):
        _, ended = read_shard(emulator.session(), stream, parent)
        assert ended is not None
        assert [c["ShardId"] for c in ended] == [child["ShardId"]]


@pytest.mark.parametrize("counts", [[2, 4, 2], [3, 2], [5, 1]])
def test_update_shard_count_keeps_the_key_space_whole(emulator: Emulator, stream: str, counts: list[int]) -> None:
    kinesis = emulator.session().client("kinesis")
    for count in counts:
        kinesis.update_shard_count(StreamName=stream, TargetShardCount=count, ScalingType="UNIFORM_SCALING")
        ranges = [s["HashKeyRange"] for s in shards(emulator.session(), stream, Type="AT_LATEST").values()]
        bounds = sorted((int(r["StartingHashKey"]), int(r["EndingHashKey"]) + 1) for r in ranges)
        assert len(bounds) == count
        assert [start for start, _ in bounds] == [0, *(end for _, end in bounds[:-1])]
        assert bounds[-1][1] == WHOLE
        put(emulator, stream, *(f"{count}-{n}" for n in range(20)))
    everything = [r for s in shards(emulator.session(), stream) for r in read_shard(emulator.session(), stream, s)[0]]
    assert len(everything) == 20 * len(counts)


def events(emulator: Emulator, stream: str, shard: str) -> Iterator[dict[str, Any]]:
    """Subscribes with enhanced fan-out from the horizon."""
    kinesis = emulator.session().client("kinesis")
    arn = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName=f"c-{uuid.uuid4().hex[:8]}")
    answer = kinesis.subscribe_to_shard(
        ConsumerARN=consumer["Consumer"]["ConsumerARN"],
        ShardId=shard,
        StartingPosition={"Type": "TRIM_HORIZON"},
    )
    for event in answer["EventStream"]:
        yield dict(event["SubscribeToShardEvent"])


def test_a_subscription_ends_with_the_children_and_without_a_continuation(emulator: Emulator, stream: str) -> None:
    put(emulator, stream, *"abc")
    parent, *children = split(emulator, stream)
    *before, last = events(emulator, stream, parent)
    assert [r["Data"] for event in before for r in event["Records"]] == [b"a", b"b", b"c"]
    assert all("ContinuationSequenceNumber" in event for event in before)
    assert "ContinuationSequenceNumber" not in last
    assert [c["ShardId"] for c in last["ChildShards"]] == children


def test_a_subscription_cuts_a_backlog_into_events(emulator: Emulator, stream: str) -> None:
    for _ in range(5):
        put(emulator, stream, *(json.dumps(n) for n in range(500)))
    sizes = []
    for event in events(emulator, stream, "shardId-000000000000"):
        sizes.append(len(event["Records"]))
        if event["MillisBehindLatest"] == 0:
            break
    assert sizes == [1000, 1000, 500]
