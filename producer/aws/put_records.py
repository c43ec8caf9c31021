"""Records into a stream. The only file that writes to Kinesis.

A request is answered, and then each of its records is in the stream or was refused; or no answer came, and their fate
is unknown. `PutRecords` is one request, `Sender` sends many records in the order given for each partition key.
"""

import logging
import random
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from consumer.aws.codes import THROTTLED, UNAVAILABLE, code
from producer.aws.errors import UserError
from producer.aws.pace import Pace

log = logging.getLogger(__name__)

MAX_RECORDS, MAX_BYTES = 500, 5 * 1024 * 1024  # of one request, partition keys included
MAX_PAUSE = 2.0
TRANSIENT = UNAVAILABLE | THROTTLED | {"KMSThrottlingException", "LimitExceededException"}
"""Error codes that another attempt may fix."""
WINDOW, WINDOW_BYTES = 5000, 16 * 1024 * 1024  # records looked at, to find different keys
GIVE_UP_SECONDS = 120.0  # without a single record taken


class Outgoing(NamedTuple):
    """A record to send; `name` is the caller's, to know it again. The partition key places it unless there is an
    explicit hash key."""

    name: str
    key: str
    data: bytes
    hash_key: int | None = None


class Sent(NamedTuple):
    """Where the record `name` stands now."""

    name: str
    shard: str
    sequence_number: str


class Answer(NamedTuple):
    """The records of a request that are in the stream now. All others may be put again; `known`: they are certainly
    not in the stream."""

    sent: list[Sent]
    known: bool


def connect(session: boto3.Session) -> Any:
    """A client of Kinesis without the SDK's own retries, which would not be counted, and without its check of what is
    sent, which Kinesis checks itself."""
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10, parameter_validation=False)
    return session.client("kinesis", config=config)


def fitting(records: Iterable[Outgoing], limit: int = MAX_RECORDS) -> list[Outgoing]:
    """The first records, as many as one request may have."""
    batch: list[Outgoing] = []
    size = 0
    for record in records:
        size += len(record.data) + len(record.key.encode())
        if len(batch) == limit or (batch and size > MAX_BYTES):
            break
        batch.append(record)
    return batch


def pause(attempt: int) -> float:
    """Seconds to wait after the given attempt (from 0) that left records to be put again."""
    return random.uniform(0.5, 1.0) * min(MAX_PAUSE, 0.05 * 2.0 ** min(attempt, 16))


class PutRecords:
    """The requests to one stream."""

    def __init__(self, session: boto3.Session, stream: str) -> None:
        self._client = connect(session)
        self._stream = stream

    def __call__(self, batch: Sequence[Outgoing]) -> Answer:
        """One request. Raises ClientError when the stream refuses for good."""
        records = [_request(record) for record in batch]
        try:
            results = self._client.put_records(StreamName=self._stream, Records=records)["Records"]
        except ClientError as error:
            failed = error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
            if not failed and code(error) not in TRANSIENT:
                raise
            log.info("PutRecords: %s; trying again", error)
            return Answer([], known=not failed)
        except (ConnectionError, HTTPClientError) as error:  # no connection, or no answer in time
            log.info("PutRecords: %s; trying again", error)
            return Answer([], known=False)
        sent = [
            Sent(record.name, result["ShardId"], result["SequenceNumber"])
            for record, result in zip(batch, results, strict=True)
            if "ErrorCode" not in result
        ]
        return Answer(sent, known=True)


def _request(record: Outgoing) -> dict[str, Any]:
    request: dict[str, Any] = {"Data": record.data, "PartitionKey": record.key}
    if record.hash_key is not None:
        request["ExplicitHashKey"] = str(record.hash_key)
    return request


class Sender:
    """Records into one stream, in the order given for each partition key.

    A request holds one record of a key at most, since some of its records may be refused and others not: the next one
    follows when it is in the stream. Other keys do not wait for it. `in_doubt` has the names of records that may be in
    the stream although no answer said so; `repeated` counts records that were put again because an answer was lost
    (they may be there twice).
    """

    def __init__(self, session: boto3.Session, stream: str, pace: Pace) -> None:
        self._put_records = PutRecords(session, stream)
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
            batch = fitting((queue[0] for queue in self._queues.values()), self._pace.most(MAX_RECORDS))
            time.sleep(self._pace.delay(len(batch)))
            sent = self._put(batch)
            yield from sent
            attempt = 0 if sent else attempt + 1
            since = time.monotonic() if sent else since
            if time.monotonic() - since > GIVE_UP_SECONDS:
                raise UserError(f"stream {self._stream} takes nothing for {GIVE_UP_SECONDS:.0f} s; try again later")
            if len(sent) < len(batch):
                time.sleep(pause(attempt))

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

    def _put(self, batch: list[Outgoing]) -> list[Sent]:
        """One request; returns what is in the stream now."""
        names = {record.name for record in batch}
        before = names & self.in_doubt
        self.repeated += len(before)
        self.in_doubt |= names  # until there is an answer, whatever happens
        try:
            sent, known = self._put_records(batch)
        except ClientError:
            self.in_doubt -= names - before
            raise
        if known:
            self.in_doubt -= names - before
        self.in_doubt -= {each.name for each in sent}
        self._take_away({each.name for each in sent}, batch)
        return sent

    def _take_away(self, names: set[str], batch: list[Outgoing]) -> None:
        for record in batch:
            if record.name in names:
                queue = self._queues.pop(record.key)
                queue.popleft()
                self._count -= 1
                self._bytes -= len(record.data)
                if queue:  # to the end, so that every key has its turn
                    self._queues[record.key] = queue
