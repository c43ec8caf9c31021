"""Enhanced fan-out (SubscribeToShard): small events, the true lag, and an end for closed shards.

The emulator sends a whole backlog as one event and cannot end a shard: the KCL starts the children only after an
event that carries `ChildShards` and no `ContinuationSequenceNumber`. Nor does it end the subscriptions of a consumer
that is deregistered: here they end, and SubscribeToShard then answers ResourceNotFoundException, as the service does
for an unknown consumer. (AWS does not document how the service ends them.)
"""

import asyncio
import base64
import bisect
import json
import time
from collections.abc import Awaitable, Callable

from ministack.core.responses import StreamingResponse, error_response_json, new_uuid
from ministack.services import kinesis

from emulator_extension.shards import Stream, child_shards
from emulator_extension.upstream import Json, Response, replaces

EVENT_RECORDS = 1_000
EVENT_BYTES = 1 << 20  # the service's events stay below 2 MB
POLL_SECONDS = 0.2
HEARTBEAT_SECONDS = 5.0

Send = Callable[[Json], Awaitable[None]]
Receive = Callable[[], Awaitable[Json]]


@replaces(kinesis, "_subscribe_to_shard")
def subscribe_to_shard(data: Json, is_cbor: bool) -> Response:
    """The answer is a stream of events for five minutes, or until the shard ends or the subscription is taken over."""
    consumer = kinesis._consumer_from_arn(data.get("ConsumerARN"))
    stream = kinesis._resolve_stream_by_arn(consumer["StreamARN"]) if consumer else None
    shard = stream["shards"].get(data.get("ShardId")) if stream else None
    if consumer is None or stream is None or shard is None:
        return _refused("ResourceNotFoundException", "no such consumer or shard")
    start = data.get("StartingPosition") or {}
    position = kinesis._start_position(
        shard["records"], start.get("Type"), start.get("SequenceNumber") or "", start.get("Timestamp") or 0
    )
    if position is None:
        return _refused("InvalidArgumentException", f"StartingPosition.Type {start.get('Type')} is unknown")
    key = (consumer["ConsumerARN"], data["ShardId"])
    running = kinesis._subscriptions.get(key)
    if running and time.time() - running["started"] < kinesis._SUBSCRIPTION_TAKEOVER_SECONDS:
        return _refused("ResourceInUseException", f"{key[0]} has just subscribed to {key[1]}")
    after = shard["records"][position - 1]["SequenceNumber"] if position else shard["starting_sequence_number"]
    subscription = Subscription(key, stream, after, is_cbor)
    kinesis._subscriptions[key] = {"id": subscription.id, "started": time.time()}
    headers = {"Content-Type": "application/vnd.amazon.eventstream"}
    return 200, headers, StreamingResponse(subscription.run)


def _refused(code: str, message: str) -> Response:
    return error_response_json(code, message, 400)  # type: ignore[no-any-return]


class Subscription:
    """One open response. `after` is the sequence number of the last record sent (or the shard's first number)."""

    def __init__(self, key: tuple[str, str], stream: Stream, after: str, is_cbor: bool) -> None:
        self.id = new_uuid()
        self._key = key
        self._stream = stream
        self._after = after
        self._cbor = is_cbor

    async def run(self, send: Send, receive: Receive) -> None:
        """Send events until the end; the emulator has already sent the head of the response."""
        gone = asyncio.create_task(_disconnected(receive))
        deadline = time.monotonic() + kinesis.SUBSCRIPTION_SECONDS
        heartbeat = 0.0
        try:
            await self._send(send, "initial-response", {})
            while not gone.done() and time.monotonic() < deadline:
                if self._key[0] not in kinesis._consumers or not self._is_current():
                    return  # deregistered, or taken over by a newer subscription
                event, more = self._next()
                if event["Records"] or "ChildShards" in event or time.monotonic() > heartbeat:
                    await self._send(send, "SubscribeToShardEvent", event)
                    heartbeat = time.monotonic() + HEARTBEAT_SECONDS
                if "ChildShards" in event:
                    return
                if not more:
                    await asyncio.wait({gone}, timeout=POLL_SECONDS)
        finally:
            gone.cancel()
            if self._is_current():
                del kinesis._subscriptions[self._key]
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _is_current(self) -> bool:
        return bool((kinesis._subscriptions.get(self._key) or {}).get("id") == self.id)

    def _next(self) -> tuple[Json, bool]:
        """The next event and whether more records wait already."""
        shard = self._stream["shards"][self._key[1]]
        records = shard["records"]
        first = bisect.bisect_right(records, self._after, key=lambda r: r["SequenceNumber"])
        last, size = first, 0
        while last < len(records) and last - first < EVENT_RECORDS and size < EVENT_BYTES:
            size += len(records[last]["Data"])
            last += 1
        if first == last and "closed" in shard:
            children = child_shards(self._stream, self._key[1])
            return {"Records": [], "MillisBehindLatest": 0, "ChildShards": children}, False
        if last > first:
            self._after = records[last - 1]["SequenceNumber"]
        more = last < len(records)
        lag = time.time() - records[last]["ApproximateArrivalTimestamp"] if more else 0
        return {
            "Records": [self._record(r) for r in records[first:last]],
            "ContinuationSequenceNumber": self._after,
            "MillisBehindLatest": max(0, int(lag * 1000)),
        }, more

    def _record(self, record: Json) -> Json:
        data = record["Data"]
        return {
            "SequenceNumber": record["SequenceNumber"],
            "ApproximateArrivalTimestamp": record["ApproximateArrivalTimestamp"],
            "Data": base64.b64decode(data) if self._cbor else data,
            "PartitionKey": record["PartitionKey"],
            "EncryptionType": self._stream.get("EncryptionType", "NONE"),
        }

    async def _send(self, send: Send, kind: str, event: Json) -> None:
        content_type = "application/x-amz-cbor-1.1" if self._cbor else "application/json"
        body = kinesis._eventstream_message(
            {":message-type": "event", ":event-type": kind, ":content-type": content_type},
            kinesis._cbor_response(event)[2] if self._cbor else json.dumps(event).encode(),
        )
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive()).get("type") != "http.disconnect":
        pass
