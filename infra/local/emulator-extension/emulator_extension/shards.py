"""Kinesis: sequence numbers that order as text, cheap retention, and shards that stay when resharding closes them.

The emulator deletes a parent shard with its records. Here, as in the service, it stays readable until its records
expire, takes no new ones, shows its ending sequence number, and its iterators end with `ChildShards`.
"""

import bisect
import json
import time
from collections.abc import Callable

from ministack.core.responses import json_response
from ministack.services import kinesis

from emulator_extension.upstream import Json, Response, extends, replaces

Shard = Json
Stream = Json
Handler = Callable[[Json], Response]

_expired_at = 0.0


@replaces(kinesis, "_next_sequence_number")
def next_sequence_number() -> str:
    """56 digits without a leading zero, like the service's; they order as text and as numbers alike.

    The first digit keeps them below 186 bits, the length from which the KCL reads a shard's id out of the number.
    """
    with kinesis._sequence_lock:
        kinesis._sequence_counter += 1
        return f"1{int(time.time() * 1000):015d}{kinesis._sequence_counter:040d}"


@replaces(kinesis, "_expire_records")
def expire_records(stream: Stream) -> None:
    """Drop what is older than the retention; it runs at every put and looks at one record per shard if none is."""
    cutoff = _horizon(stream)
    for shard in stream["shards"].values():
        records = shard["records"]
        if records and records[0]["ApproximateArrivalTimestamp"] < cutoff:
            keep = bisect.bisect_left(records, cutoff, key=lambda r: r["ApproximateArrivalTimestamp"])
            shard["records"] = records[keep:]


def _horizon(stream: Stream) -> float:
    return time.time() - float(stream["RetentionPeriodHours"]) * 3600


@extends(kinesis, "_expire_iterators")
def expire_iterators(original: Callable[[], None]) -> None:
    """At most once a second: the emulator goes through all iterators at each call."""
    global _expired_at
    if time.monotonic() - _expired_at > 1:
        _expired_at = time.monotonic()
        original()


def open_shards(stream: Stream) -> dict[str, Shard]:
    """The shards that take records, in the order of their hash keys."""
    found = [(sid, s) for sid, s in stream["shards"].items() if "closed" not in s]
    return dict(sorted(found, key=lambda item: int(item[1]["starting_hash_key"])))


def child_shards(stream: Stream, shard_id: str) -> list[Json]:
    """`ChildShards` of a closed shard, as GetRecords and SubscribeToShard give them."""
    return [
        {
            "ShardId": sid,
            "ParentShards": _parents(shard),
            "HashKeyRange": {
                "StartingHashKey": shard["starting_hash_key"],
                "EndingHashKey": shard["ending_hash_key"],
            },
        }
        for sid, shard in sorted(stream["shards"].items())
        if shard_id in _parents(shard)
    ]


def _parents(shard: Shard) -> list[str]:
    return [p for p in (shard["parent_shard_id"], shard["adjacent_parent_shard_id"]) if p]


@replaces(kinesis, "_route_to_shard")
def route(hash_key: int, stream: Stream) -> str:
    """The open shard of a hash key."""
    for sid, shard in stream["shards"].items():
        start, end = int(shard["starting_hash_key"]), int(shard["ending_hash_key"])
        if "closed" not in shard and start <= hash_key <= end:
            return str(sid)
    raise LookupError(f"no open shard for hash key {hash_key}")


@extends(kinesis, "_shard_out")
def shard_out(original: Callable[[str, Shard], Json], shard_id: str, shard: Shard) -> Json:
    """A shard as ListShards and DescribeStream show it."""
    shown = original(shard_id, shard)
    if "closed" in shard:
        shown["SequenceNumberRange"]["EndingSequenceNumber"] = shard["ending_sequence_number"]
    return shown


@extends(kinesis, "_list_shards")
def list_shards(original: Handler, data: Json) -> Response:
    """ListShards with its ShardFilter, which the emulator ignores."""
    status, headers, body = original(data)
    wanted = data.get("ShardFilter")
    if status != 200 or not wanted:
        return status, headers, body
    stream = kinesis._resolve_stream(data)[1]
    answer = json.loads(body)
    answer["Shards"] = [s for s in answer["Shards"] if _matches(wanted, s["ShardId"], stream)]
    return json_response(answer)  # type: ignore[no-any-return]


def _matches(wanted: Json, shard_id: str, stream: Stream) -> bool:
    """Whether ListShards with this ShardFilter shows the shard."""
    shard, kind = stream["shards"][shard_id], str(wanted.get("Type"))
    if kind == "AFTER_SHARD_ID":
        return shard_id > str(wanted.get("ShardId", ""))
    if kind == "AT_LATEST":
        return "closed" not in shard
    at = max(_horizon(stream), stream["CreationTimestamp"])
    if not kind.endswith("TRIM_HORIZON"):
        at = max(float(wanted.get("Timestamp", 0)), at)
    closed, opened = shard.get("closed", float("inf")), shard.get("opened", stream["CreationTimestamp"])
    return bool(closed > at and (kind.startswith("FROM_") or opened <= at))


@extends(kinesis, "_get_records")
def get_records(original: Handler, data: Json) -> Response:
    """At the end of a closed shard GetRecords gives no next iterator, but the child shards."""
    iterator = kinesis._shard_iterators.get(data.get("ShardIterator"))
    status, headers, body = original(data)
    stream = kinesis._streams.get(iterator["stream"]) if iterator else None
    if status != 200 or not stream or "closed" not in stream["shards"][iterator["shard_id"]]:
        return status, headers, body
    answer = json.loads(body)
    following = kinesis._shard_iterators[answer["NextShardIterator"]]
    if following["position"] >= len(stream["shards"][iterator["shard_id"]]["records"]):
        del kinesis._shard_iterators[answer.pop("NextShardIterator")]
        answer["ChildShards"] = child_shards(stream, iterator["shard_id"])
    return json_response(answer)  # type: ignore[no-any-return]


@extends(kinesis, "_describe_stream_summary")
def describe_stream_summary(original: Handler, data: Json) -> Response:
    """OpenShardCount without the closed ones."""
    status, headers, body = original(data)
    if status != 200:
        return status, headers, body
    answer = json.loads(body)
    answer["StreamDescriptionSummary"]["OpenShardCount"] = len(open_shards(kinesis._resolve_stream(data)[1]))
    return json_response(answer)  # type: ignore[no-any-return]
