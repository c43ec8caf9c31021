"""Archived records into a stream again, in the order given for each partition key.

PutRecords may refuse some of its records and take others, so a request holds one record of a partition key at most: the
next one follows when it is in the stream. Other keys do not wait for it.
"""

import random
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from producer.aws.errors import UserError
from producer.fleet.kinesis import MAX_BYTES, MAX_PAUSE, MAX_RECORDS, TRANSIENT
from producer.progress import Pace

WINDOW, WINDOW_BYTES = 5000, 16 * 1024 * 1024  # records looked at, to find different keys
GIVE_UP_SECONDS = 120.0  # without a single record taken


class Outgoing(NamedTuple):
    """A record to send; `name` is the caller's, to know it again."""

    name: str
    key: str
    data: bytes


class Sent(NamedTuple):
    """Where the record `name` stands now."""

    name: str
    shard: str
    sequence_number: str


def connect(session: boto3.Session) -> Any:
    """A client of Kinesis without the SDK's own retries, which would not be counted."""
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
    return session.client("kinesis", config=config)


class Sender:
    """Into one stream. `in_doubt` has the names of records that may be in the stream although no answer said so;
    `repeated` counts records that were put again because an answer was lost (they may be there twice)."""

    def __init__(self, session: boto3.Session, stream: str, pace: Pace) -> None:
        self._client = connect(session)
        self._stream = stream
        self._pace = pace
        self._queues: dict[str, deque[Outgoing]] = {}
        self._count = self._bytes = 0
        self.in_doubt: set[str] = set()
        self.repeated = 0

    def send(self, records: Iterable[Outgoing]) -> Iterator[Sent]:
        """Yields each record once it is in the stream. Raises ClientError when the stream refuses for good, UserError
        when it takes nothing for GIVE_UP_SECONDS."""
        source = iter(records)
        attempt, since = 0, time.monotonic()
        while self._fill(source):
            batch = self._heads()
            time.sleep(self._pace.delay(len(batch)))
            sent = self._put(batch)
            yield from sent
            attempt = 0 if sent else attempt + 1
            since = time.monotonic() if sent else since
            if time.monotonic() - since > GIVE_UP_SECONDS:
                raise UserError(f"stream {self._stream} takes nothing for {GIVE_UP_SECONDS:.0f} s; try again later")
            if len(sent) < len(batch):
                time.sleep(random.uniform(0.5, 1.0) * min(MAX_PAUSE, 0.05 * 2.0 ** min(attempt, 16)))

    def _fill(self, source: Iterator[Outgoing]) -> bool:
        """Looks ahead; False when there is nothing left."""
        while self._count < WINDOW and self._bytes < WINDOW_BYTES:
            record = next(source, None)
            if record is None:
                break
            self._queues.setdefault(record.key, deque()).append(record)
            self._count += 1
            self._bytes += len(record.data)
        return self._count > 0

    def _heads(self) -> list[Outgoing]:
        """The next record of as many keys as a request takes."""
        most, size = self._pace.most(MAX_RECORDS), 0
        batch: list[Outgoing] = []
        for queue in self._queues.values():
            size += len(queue[0].data) + len(queue[0].key.encode())
            if len(batch) == most or (batch and size > MAX_BYTES):
                break
            batch.append(queue[0])
        return batch

    def _put(self, batch: list[Outgoing]) -> list[Sent]:
        """One PutRecords; returns what is in the stream now."""
        names = {record.name for record in batch}
        repeated = names & self.in_doubt
        self.repeated += len(repeated)
        self.in_doubt |= names  # until there is an answer, whatever happens
        records = [{"Data": record.data, "PartitionKey": record.key} for record in batch]
        try:
            results = self._client.put_records(StreamName=self._stream, Records=records)["Records"]
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                return []
            self.in_doubt -= names - repeated
            if error.response["Error"].get("Code") not in TRANSIENT:
                raise
            return []
        except (ConnectionError, HTTPClientError):  # no connection, or no answer in time
            return []
        self.in_doubt -= names - repeated
        done = [
            Sent(record.name, result["ShardId"], result["SequenceNumber"])
            for record, result in zip(batch, results, strict=True)
            if "ErrorCode" not in result
        ]
        self._take_away(done, batch)
        return done

    def _take_away(self, done: list[Sent], batch: list[Outgoing]) -> None:
        names = {sent.name for sent in done}
        self.in_doubt -= names
        for record in batch:
            if record.name in names:
                queue = self._queues[record.key]
                queue.popleft()
                self._count -= 1
                self._bytes -= len(record.data)
                # To the end, so that every key has its turn.
                del self._queues[record.key]
                if queue:
                    self._queues[record.key] = queue
