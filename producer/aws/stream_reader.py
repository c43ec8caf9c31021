"""A stream read again, as far as it still keeps its records, or from now on. The only file that reads from Kinesis."""

import hashlib
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import boto3
from botocore.config import Config

from producer.aws.errors import UserError

MARGIN = timedelta(minutes=10)
"""What is about to fall out of the stream is left alone: it might be gone before it is read."""

TAIL_PAUSE = 0.3  # seconds; a shard answers five reads a second, for all its readers


class StreamRecord(NamedTuple):
    """One record; `arrival` in ms."""

    sequence: int
    arrival: int
    data: bytes


class Stream:
    """One stream's shards, closed ones included as long as they are kept."""

    def __init__(self, session: boto3.Session, name: str) -> None:
        config = Config(retries={"mode": "standard", "total_max_attempts": 8})
        self._client: Any = session.client("kinesis", config=config)
        self._name = name
        summary = self._client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        kept = timedelta(hours=summary["RetentionPeriodHours"])
        self._oldest = datetime.now(UTC) - kept + MARGIN
        self.shards: set[str] = set()
        self.parents: set[tuple[str, str]] = set()
        """Child and parent."""
        for page in self._client.get_paginator("list_shards").paginate(StreamName=name):
            for shard in page["Shards"]:
                self.shards.add(shard["ShardId"])
                for parent in (shard.get("ParentShardId"), shard.get("AdjacentParentShardId")):
                    if parent:
                        self.parents.add((shard["ShardId"], parent))

    def shard(self, shard: str, since_ms: int | None) -> "StreamShard":
        """A reader of what arrived since then and is kept for a while yet."""
        since = self._oldest if since_ms is None else datetime.fromtimestamp(since_ms / 1000, UTC)
        return StreamShard(self._client, self._name, shard, max(since, self._oldest))


class StreamShard:
    """Reads one shard forward."""

    def __init__(self, client: Any, stream: str, shard: str, since: datetime) -> None:
        self._client = client
        self._where = {"StreamName": stream, "ShardId": shard}
        self._from: dict[str, Any] = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": since}
        self._iterator: str | None = self._locate()
        self._page: deque[StreamRecord] = deque()

    def next(self) -> StreamRecord | None:
        """The next record; None when there is none yet, or none any more."""
        while not self._page:
            if not self._turn():
                return None
        return self._page.popleft()

    def rest(self) -> Iterator[StreamRecord]:
        """All that is there now."""
        while (record := self.next()) is not None:
            yield record

    def _locate(self) -> str:
        return str(self._client.get_shard_iterator(**self._where, **self._from)["ShardIterator"])

    def _turn(self) -> bool:
        """Fetches a page; False at the tip or the end of the shard."""
        if self._iterator is None:
            return False
        try:
            answer = self._client.get_records(ShardIterator=self._iterator, Limit=10_000)
        except self._client.exceptions.ExpiredIteratorException:  # the archive was read for minutes meanwhile
            self._iterator = self._locate()
            return True
        for record in answer["Records"]:
            self._page.append(_read(record))
        if self._page:
            last = str(self._page[-1].sequence)
            self._from = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": last}
        self._iterator = answer.get("NextShardIterator")
        return bool(answer["Records"] or answer.get("MillisBehindLatest"))


class Tail:
    """What comes into the stream from now on under one partition key."""

    def __init__(self, session: boto3.Session, stream: str, key: str) -> None:
        self._client: Any = session.client("kinesis")
        self._key = key
        self.shard = shard_of(session, stream, key)
        self._iterator: str | None = self._client.get_shard_iterator(
            StreamName=stream, ShardId=self.shard, ShardIteratorType="LATEST"
        )["ShardIterator"]

    @property
    def ended(self) -> bool:
        """Whether the shard has been split or merged."""
        return self._iterator is None

    def next(self, seconds: float) -> list[StreamRecord]:
        """The next records of the key; none when none came in that time."""
        deadline = time.monotonic() + seconds
        while not (found := self.read()) and time.monotonic() <= deadline:
            time.sleep(TAIL_PAUSE)
        return found

    def read(self) -> list[StreamRecord]:
        """What has come since the last call."""
        if self._iterator is None:
            return []
        answer = self._client.get_records(ShardIterator=self._iterator)
        self._iterator = answer.get("NextShardIterator")
        return [_read(record) for record in answer["Records"] if record["PartitionKey"] == self._key]


def shard_of(session: boto3.Session, stream: str, key: str) -> str:
    """The open shard that takes the records of a partition key."""
    at = int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest())
    pages = session.client("kinesis").get_paginator("list_shards").paginate(StreamName=stream)
    for shard in (shard for page in pages for shard in page["Shards"]):
        keys = shard["HashKeyRange"]
        is_open = "EndingSequenceNumber" not in shard["SequenceNumberRange"]
        if is_open and int(keys["StartingHashKey"]) <= at <= int(keys["EndingHashKey"]):
            return str(shard["ShardId"])
    raise UserError(f"no shard of {stream} is open for {key}; its shards change just now")


def _read(record: Any) -> StreamRecord:
    arrival = int(record["ApproximateArrivalTimestamp"].timestamp() * 1000)
    return StreamRecord(int(record["SequenceNumber"]), arrival, record["Data"])


def require_readable(session: boto3.Session, stream: str) -> None:
    """Reads once from a shard. Raises ClientError where this session may not."""
    client = session.client("kinesis")
    shard = client.list_shards(StreamName=stream, MaxResults=1)["Shards"][0]["ShardId"]
    at = client.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="LATEST")["ShardIterator"]
    client.get_records(ShardIterator=at, Limit=1)
