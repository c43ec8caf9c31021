"""The stream that is read: as much of Kinesis as the KCL and its peers ask for, with records ready to be sent.

    .local-aws/bin/python -m tests.bench.stream PORT

A stream named `bench-N` has N shards. The KCL speaks CBOR over HTTP/2, others JSON over HTTP/1.1. There are no
limits of rate, so that what reads is the limit. The bench says what is in it:

    POST /bench/load {"stream": S, "part": N, "readings": R, "since": MS, "per_record": P}   the same into every shard
    POST /bench/live {"stream": S, "rate": R, "seconds": T}   readings of now, R a second, over all shards in turn
"""

import asyncio
import base64
import json
import random
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import cbor2

from tests.bench.http import PREFACE, Connection, Http2, response
from tests.bench.recorded import DEVICES, FIRST_SEQUENCE, reading, records

REGION_ARN = "arn:aws:kinesis:eu-central-1:000000000000:stream/"
HASH_KEYS = 2**128
TICK = 0.01
"""Seconds between two publications of live readings."""
IDLE_SECONDS = 5.0
"""Seconds after which a fan-out subscription gets an event without records."""
EVENT_RECORDS = 1000
EVENT_SECONDS = 0.07
"""Least time between two events of a subscription: Kinesis takes about so long to deliver a record."""
ARRIVAL = "ApproximateArrivalTimestamp"


class Shard:
    """Records in the form in which they are sent (CBOR), and when each arrived (ms since the epoch)."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.arrivals: list[int] = []
        self.changed = asyncio.Event()

    def put(self, key: str, data: bytes, arrival: int) -> None:
        record = {
            "SequenceNumber": str(FIRST_SEQUENCE + len(self.records)),
            ARRIVAL: arrival,
            "Data": data,
            "PartitionKey": key,
            "EncryptionType": "NONE",
        }
        self.records.append(cbor2.dumps(record))
        self.arrivals.append(arrival)
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def behind(self, place: int) -> int:
        """How old the record at a place is, in ms; 0 at the end."""
        return max(0, int(time.time() * 1000) - self.arrivals[place]) if place < len(self.records) else 0

    def page(self, place: int, limit: int, ending: Mapping[str, Any]) -> bytes:
        """A CBOR map with `Records`, and what else the answer holds."""
        found = self.records[place : place + limit]
        parts = [
            bytes([0xA0 + 1 + len(ending)]),
            cbor2.dumps("Records"),
            b"\x9a",
            len(found).to_bytes(4, "big"),
            *found,
        ]
        return b"".join(parts) + b"".join(cbor2.dumps(name) + cbor2.dumps(value) for name, value in ending.items())


def stream_name(asked: Mapping[str, Any]) -> str:
    """Of a request: by its name, by an ARN of it or of its consumer, or by an iterator."""
    arn = asked.get("StreamARN") or asked.get("ConsumerARN")
    name = asked.get("StreamName") or (arn and arn.removeprefix(REGION_ARN).partition("/")[0])
    return str(name or asked["ShardIterator"].partition(":")[0])


class Streams:
    """All streams, made when they are first asked for."""

    def __init__(self) -> None:
        self._streams: dict[str, list[Shard]] = {}

    def shards(self, name: str) -> list[Shard]:
        if name not in self._streams:
            self._streams[name] = [Shard() for _ in range(int(name.split("-")[1]))]
        return self._streams[name]

    def shard(self, asked: Mapping[str, Any], name: str) -> Shard:
        return self.shards(stream_name(asked))[int(name.rpartition("-")[2])]

    def answer(self, operation: str, asked: Mapping[str, Any]) -> bytes:
        """The CBOR body for an operation; `SubscribeToShard` is answered by `events`."""
        name = stream_name(asked)
        arn = REGION_ARN + name
        if operation == "GetRecords":
            _, shard, place = asked["ShardIterator"].split(":")
            return self._page(self.shards(name)[int(shard)], int(place), asked)
        if operation == "GetShardIterator":
            number = int(asked["ShardId"].rpartition("-")[2])
            place = _place(self.shards(name)[number], asked["ShardIteratorType"], asked.get("StartingSequenceNumber"))
            return cbor2.dumps({"ShardIterator": f"{name}:{number}:{place}"})
        if operation == "PutRecords":
            return cbor2.dumps({"FailedRecordCount": 0, "Records": self._put(name, asked["Records"])})
        consumer = {
            "ConsumerName": str(asked.get("ConsumerName", "bench")),
            "ConsumerARN": f"{arn}/consumer/bench:1",
            "ConsumerStatus": "ACTIVE",
            "ConsumerCreationTimestamp": 1.0,
        }
        summary = {
            "StreamName": name,
            "StreamARN": arn,
            "StreamStatus": "ACTIVE",
            "RetentionPeriodHours": 24,
            "StreamCreationTimestamp": 1.0,
            "EnhancedMonitoring": [],
            "OpenShardCount": len(self.shards(name)),
            "ConsumerCount": 1,
        }
        answers: dict[str, dict[str, Any]] = {
            "DescribeStreamSummary": {"StreamDescriptionSummary": summary},
            "DescribeStream": {"StreamDescription": summary | {"HasMoreShards": False, "Shards": self._list(name)}},
            "ListShards": {"Shards": self._list(name)},
            "RegisterStreamConsumer": {"Consumer": consumer},
            "DescribeStreamConsumer": {"ConsumerDescription": consumer | {"StreamARN": arn}},
        }
        return cbor2.dumps(answers[operation])

    def _page(self, shard: Shard, place: int, asked: Mapping[str, Any]) -> bytes:
        limit = int(asked.get("Limit", 10_000))
        end = min(place + limit, len(shard.records))
        name, number, _ = asked["ShardIterator"].split(":")
        ending = {"NextShardIterator": f"{name}:{number}:{end}", "MillisBehindLatest": shard.behind(end)}
        return shard.page(place, limit, ending)

    def _put(self, name: str, found: list[Mapping[str, Any]]) -> list[dict[str, str]]:
        """The records of a JSON request; all into the first shard."""
        shard, now = self.shards(name)[0], int(time.time() * 1000)
        first = FIRST_SEQUENCE + len(shard.records)
        for each in found:
            shard.put(each["PartitionKey"], base64.b64decode(each["Data"]), now)
        return [{"SequenceNumber": str(first + i), "ShardId": "shardId-000000000000"} for i in range(len(found))]

    def _list(self, name: str) -> list[dict[str, Any]]:
        count = len(self.shards(name))
        edges = [HASH_KEYS * place // count for place in range(count + 1)]
        return [
            {
                "ShardId": f"shardId-{place:012d}",
                "HashKeyRange": {"StartingHashKey": str(edges[place]), "EndingHashKey": str(edges[place + 1] - 1)},
                "SequenceNumberRange": {"StartingSequenceNumber": str(FIRST_SEQUENCE)},
            }
            for place in range(count)
        ]

    def load(self, stream: str, **part: int) -> None:
        """The same part of the recorded input into every shard."""
        found = list(records(**part))
        for shard in self.shards(stream):
            for each in found:
                shard.put(each.key, each.data, each.arrival)

    async def live(self, stream: str, rate: float, seconds: float) -> int:
        """Readings of now; returns how many."""
        shards, chance, began, done = self.shards(stream), random.Random(1), time.time(), 0
        while (gone := time.time() - began) < seconds:
            while done < gone * rate:
                now = int(time.time() * 1000)
                device = f"soilSensor{done % DEVICES}"
                shards[done % len(shards)].put(device, reading(chance, device, now), now)
                done += 1
            await asyncio.sleep(TICK)
        return done


def _place(shard: Shard, kind: str, number: str | None) -> int:
    if kind == "LATEST":
        return len(shard.records)
    if number and kind.endswith("SEQUENCE_NUMBER"):
        return int(number) - FIRST_SEQUENCE + (kind == "AFTER_SEQUENCE_NUMBER")
    return 0


def event(kind: str, payload: bytes) -> bytes:
    """A message of the event stream encoding: lengths, headers, payload, checksums."""
    headers = {":message-type": "event", ":event-type": kind, ":content-type": "application/json"}
    head = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + len(value).to_bytes(2, "big") + value.encode()
        for name, value in headers.items()
    )
    prelude = (16 + len(head) + len(payload)).to_bytes(4, "big") + len(head).to_bytes(4, "big")
    message = prelude + zlib.crc32(prelude).to_bytes(4, "big") + head + payload
    return message + zlib.crc32(message).to_bytes(4, "big")


def as_json(answer: bytes) -> bytes:
    """A CBOR answer in JSON: bytes in base64, times in seconds."""
    found = cbor2.loads(answer)
    for record in found.get("Records", ()):
        if ARRIVAL in record:
            record[ARRIVAL] /= 1000
    return json.dumps(found, default=lambda data: base64.b64encode(data).decode()).encode()


class Server(Connection):
    """One connection, of either version of HTTP."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._http2: Http2 | None = None
        self._first = True

    def data_received(self, data: bytes) -> None:
        if self._first and data.startswith(PREFACE):
            self._http2 = Http2(self.transport, self._take)
        self._first = False
        if self._http2:
            self._http2.feed(data)
        else:
            super().data_received(data)

    def _take(self, stream: int, headers: Mapping[str, str], body: bytes) -> None:
        assert self._http2
        operation = headers["x-amz-target"].rpartition(".")[2]
        if operation == "SubscribeToShard":  # in JSON, and so are its events
            self._http2.begin(stream, "application/vnd.amazon.eventstream")
            self.background(self._events(stream, json.loads(body)))
            return
        asked = cbor2.loads(body)
        self._http2.begin(stream, "application/x-amz-cbor-1.1")
        self._http2.send(stream, self._streams.answer(operation, asked), end=True)

    async def _events(self, stream: int, asked: Mapping[str, Any]) -> None:
        assert self._http2
        shard = self._streams.shard(asked, asked["ShardId"])
        start = asked["StartingPosition"]
        place = _place(shard, start["Type"], start.get("SequenceNumber"))
        self._http2.send(stream, event("initial-response", b"{}"), end=False)
        while stream not in self._http2.gone:
            changed = shard.changed
            end = min(place + EVENT_RECORDS, len(shard.records))
            ending = {
                "ContinuationSequenceNumber": str(FIRST_SEQUENCE + max(0, end - 1)),
                "MillisBehindLatest": shard.behind(end),
            }
            page = shard.page(place, EVENT_RECORDS, ending)
            self._http2.send(stream, event("SubscribeToShardEvent", as_json(page)), end=False)
            place = end
            await asyncio.sleep(EVENT_SECONDS)
            if place == len(shard.records):
                await asyncio.wait([asyncio.ensure_future(changed.wait())], timeout=IDLE_SECONDS - EVENT_SECONDS)

    def request(self, head: bytes, low: bytes, body: bytes) -> None:
        asked = json.loads(body or b"{}")
        if head.startswith(b"POST /bench/load"):
            self._streams.load(**asked)
            self.transport.write(response(b"{}"))
        elif head.startswith(b"POST /bench/live"):
            self.background(self._live(asked))
        else:
            operation = next(_targets(head))
            answer = as_json(self._streams.answer(operation, asked))
            self.transport.write(response(answer, "application/x-amz-json-1.1"))

    async def _live(self, asked: Mapping[str, Any]) -> None:
        published = await self._streams.live(**asked)
        self.transport.write(response(json.dumps({"published": published}).encode()))


def _targets(head: bytes) -> Iterator[str]:
    for line in head.decode().split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "x-amz-target":
            yield value.strip().rpartition(".")[2]


async def main(port: int) -> None:
    streams = Streams()
    server = await asyncio.get_running_loop().create_server(lambda: Server(streams), "127.0.0.1", port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
