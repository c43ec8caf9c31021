"""SplitShard, MergeShards and UpdateShardCount that close the parent shards instead of deleting them."""

import time
from collections.abc import Callable
from itertools import pairwise

from ministack.core.responses import error_response_json, json_response
from ministack.services import kinesis

from emulator_extension.shards import Shard, Stream, next_sequence_number, open_shards, route
from emulator_extension.upstream import Json, Response, replaces


class Refused(Exception):
    """A request that the service would refuse: its error code and the reason."""


def answering(handler: Callable[[Json], Json]) -> Callable[[Json], Response]:
    """What answers a request with the handler's document, or with its refusal."""

    def handled(data: Json) -> Response:
        try:
            return json_response(handler(data))  # type: ignore[no-any-return]
        except Refused as refused:
            return error_response_json(*refused.args, 400)  # type: ignore[no-any-return]

    return handled


def _close(stream: Stream, shard_id: str) -> None:
    shard = stream["shards"][shard_id]
    shard["closed"] = time.time()
    shard["ending_sequence_number"] = next_sequence_number()


def _add(stream: Stream, start: int, end: int, parent: str, adjacent: str | None = None) -> str:
    shard_id = f"shardId-{kinesis._max_shard_index(stream) + 1:012d}"
    stream["shards"][shard_id] = {
        "records": [],
        "starting_hash_key": str(start),
        "ending_hash_key": str(end),
        "starting_sequence_number": next_sequence_number(),
        "parent_shard_id": parent,
        "adjacent_parent_shard_id": adjacent,
        "opened": time.time(),
    }
    return shard_id


def _range(shard: Shard) -> tuple[int, int]:
    return int(shard["starting_hash_key"]), int(shard["ending_hash_key"])


def _split(stream: Stream, shard_id: str, at: int) -> None:
    start, end = _range(stream["shards"][shard_id])
    _close(stream, shard_id)
    _add(stream, start, at - 1, shard_id)
    _add(stream, at, end, shard_id)


def _merge(stream: Stream, left: str, right: str) -> str:
    start, end = _range(stream["shards"][left])[0], _range(stream["shards"][right])[1]
    _close(stream, left)
    _close(stream, right)
    return _add(stream, start, end, left, right)


def _found(data: Json, *shard_ids: str) -> Stream:
    """The stream, when all these shards are open in it."""
    name, stream = kinesis._resolve_stream(data)
    if not stream:
        raise Refused("ResourceNotFoundException", f"Stream {name} not found")
    for shard_id in shard_ids:
        if shard_id not in stream["shards"]:
            raise Refused("ResourceNotFoundException", f"Shard {shard_id} not found")
        if "closed" in stream["shards"][shard_id]:
            raise Refused("InvalidArgumentException", f"Shard {shard_id} is closed")
    return stream  # type: ignore[no-any-return]


@replaces(kinesis, "_split_shard")
@answering
def split_shard(data: Json) -> Json:
    """SplitShard: two children; the parent stays, closed."""
    shard_id, at = data.get("ShardToSplit", ""), int(data.get("NewStartingHashKey") or -1)
    stream = _found(data, shard_id)
    start, end = _range(stream["shards"][shard_id])
    if not start < at <= end:
        raise Refused("InvalidArgumentException", f"NewStartingHashKey must be in {start + 1}..{end}")
    _split(stream, shard_id, at)
    return {}


@replaces(kinesis, "_merge_shards")
@answering
def merge_shards(data: Json) -> Json:
    """MergeShards: one child of two adjacent parents, which stay, closed."""
    pair = (data.get("ShardToMerge", ""), data.get("AdjacentShardToMerge", ""))
    stream = _found(data, *pair)
    left, right = sorted(pair, key=lambda sid: _range(stream["shards"][sid]))
    if _range(stream["shards"][left])[1] + 1 != _range(stream["shards"][right])[0]:
        raise Refused("InvalidArgumentException", f"Shards {left} and {right} are not adjacent")
    _merge(stream, left, right)
    return {}


@replaces(kinesis, "_update_shard_count")
@answering
def update_shard_count(data: Json) -> Json:
    """UpdateShardCount: split where a new boundary falls into a shard, then merge what shares a new range.

    Like the service this may leave shards that are closed as soon as they are made.
    """
    stream, target = _found(data), int(data.get("TargetShardCount") or 0)
    if not 1 <= target <= 10_000:
        raise Refused("InvalidArgumentException", "TargetShardCount must be 1..10000")
    answer = {name: stream[name] for name in ("StreamName", "StreamARN")}
    answer |= {"CurrentShardCount": len(open_shards(stream)), "TargetShardCount": target}
    starts = [int(start) for start, _ in kinesis._compute_hash_ranges(target)]
    for boundary in starts[1:]:
        shard_id = route(boundary, stream)
        if _range(stream["shards"][shard_id])[0] != boundary:
            _split(stream, shard_id, boundary)
    for start, end in pairwise([*starts, kinesis.MAX_HASH_KEY + 1]):
        pieces = [sid for sid, s in open_shards(stream).items() if start <= _range(s)[0] < end]
        while len(pieces) > 1:
            pieces[:2] = [_merge(stream, pieces[0], pieces[1])]
    return answer
