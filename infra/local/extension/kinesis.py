"""Kinesis: shards that were closed by resharding.py stay, as in the service.

The emulator deletes a parent with its records. Here it stays readable until its records expire, takes no new ones,
ends its iterators with `ChildShards` and shows where it ended. `fanout.py` does the same for SubscribeToShard.
"""

import bisect
import json
import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import json_response
from ministack.services import kinesis

Shard = dict[str, Any]
Stream = dict[str, Any]
Response = tuple[int, dict[str, str], Any]

_expired_at = 0.0


def install() -> None:
    """Replace the emulator's functions by the ones of this file."""
    kinesis._next_sequence_number = next_sequence_number
    kinesis._expire_records = expire_records
    kinesis._expire_iterators = _once_a_second(kinesis._expire_iterators)
    kinesis._route_to_shard = route
    kinesis._shard_out = _with_end(kinesis._shard_out)
    kinesis._list_shards = _filtered(kinesis._list_shards)
    kinesis._get_records = _with_children(kinesis._get_records)
    kinesis._describe_stream_summary = _counting_open(kinesis._describe_stream_summary)


def answer_json(body: dict[str, Any]) -> Response:
    return json_response(body)  # type: ignore[no-any-return]


def next_sequence_number() -> str:
    """56 digits without a leading zero, like the service's; they order as text and as numbers alike.

    The first digit keeps them below 186 bits, the length from which the KCL reads a shard's id out of the number.
    """
    with kinesis._sequence_lock:
        kinesis._sequence_counter += 1
        return f"1{int(time.time() * 1000):015d}{kinesis._sequence_counter:040d}"


def expire_records(stream: Stream) -> None:
    """Drop what is older than the retention; looks at one record a shard while nothing is (it runs at every put)."""
    cutoff = time.time() - stream["RetentionPeriodHours"] * 3600
    for shard in stream["shards"].values():
        records = shard["records"]
        if records and records[0]["ApproximateArrivalTimestamp"] < cutoff:
            keep = bisect.bisect_left(records, cutoff, key=lambda r: r["ApproximateArrivalTimestamp"])
            shard["records"] = records[keep:]


def _once_a_second(expire: Callable[[], None]) -> Callable[[], None]:
    def expire_sometimes() -> None:
        global _expired_at
        if time.monotonic() - _expired_at > 1:
            _expired_at = time.monotonic()
            expire()

    return expire_sometimes


def open_shards(stream: Stream) -> dict[str, Shard]:
    """The shards that take records, in the order of their hash keys."""
    found = [(sid, s) for sid, s in stream["shards"].items() if "closed" not in s]
    return dict(sorted(found, key=lambda item: int(item[1]["starting_hash_key"])))


def child_shards(stream: Stream, shard_id: str) -> list[dict[str, Any]]:
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


def route(hash_key: int, stream: Stream) -> str:
    """The open shard of a hash key."""
    for sid, shard in stream["shards"].items():
        start, end = int(shard["starting_hash_key"]), int(shard["ending_hash_key"])
        if "closed" not in shard and start <= hash_key <= end:
            return str(sid)
    raise LookupError(f"no open shard for hash key {hash_key}")


def _with_end(shard_out: Callable[[str, Shard], dict[str, Any]]) -> Callable[[str, Shard], dict[str, Any]]:
    def out(shard_id: str, shard: Shard) -> dict[str, Any]:
        shown = shard_out(shard_id, shard)
        if "closed" in shard:
            shown["SequenceNumberRange"]["EndingSequenceNumber"] = shard["ending_sequence_number"]
        return shown

    return out


def _filtered(list_shards: Callable[[dict[str, Any]], Response]) -> Callable[[dict[str, Any]], Response]:
    def listed(data: dict[str, Any]) -> Response:
        status, headers, body = list_shards(data)
        wanted = data.get("ShardFilter")
        if status != 200 or not wanted:
            return status, headers, body
        stream = kinesis._resolve_stream(data)[1]
        answer = json.loads(body)
        answer["Shards"] = [s for s in answer["Shards"] if _matches(wanted, s["ShardId"], stream)]
        return answer_json(answer)

    return listed


def _matches(wanted: dict[str, Any], shard_id: str, stream: Stream) -> bool:
    """Whether ListShards with this ShardFilter shows the shard."""
    shard = stream["shards"][shard_id]
    kind = wanted.get("Type")
    closed = shard.get("closed", float("inf"))
    opened = shard.get("opened", stream["CreationTimestamp"])
    if kind == "AFTER_SHARD_ID":
        return shard_id > str(wanted.get("ShardId", ""))
    if kind == "AT_LATEST":
        return "closed" not in shard
    horizon = max(time.time() - stream["RetentionPeriodHours"] * 3600, stream["CreationTimestamp"])
    if kind in ("AT_TRIM_HORIZON", "FROM_TRIM_HORIZON"):
        at = horizon
    else:
        at = max(float(wanted.get("Timestamp", 0)), horizon)
    return bool(closed > at and (str(kind).startswith("FROM_") or opened <= at))


def _with_children(get_records: Callable[[dict[str, Any]], Response]) -> Callable[[dict[str, Any]], Response]:
    def got(data: dict[str, Any]) -> Response:
        iterator = kinesis._shard_iterators.get(data.get("ShardIterator"))
        status, headers, body = get_records(data)
        stream = kinesis._streams.get(iterator["stream"]) if iterator else None
        if status != 200 or not stream or "closed" not in stream["shards"][iterator["shard_id"]]:
            return status, headers, body
        answer = json.loads(body)
        following = kinesis._shard_iterators[answer["NextShardIterator"]]
        if following["position"] >= len(stream["shards"][iterator["shard_id"]]["records"]):
            del kinesis._shard_iterators[answer.pop("NextShardIterator")]
            answer["ChildShards"] = child_shards(stream, iterator["shard_id"])
        return answer_json(answer)

    return got


def _counting_open(summary: Callable[[dict[str, Any]], Response]) -> Callable[[dict[str, Any]], Response]:
    def counted(data: dict[str, Any]) -> Response:
        status, headers, body = summary(data)
        if status != 200:
            return status, headers, body
        answer = json.loads(body)
        stream = kinesis._resolve_stream(data)[1]
        answer["StreamDescriptionSummary"]["OpenShardCount"] = len(open_shards(stream))
        return answer_json(answer)

    return counted
