"""Straight into the stream with PutRecords, for loads beyond MQTT. The only file that writes to Kinesis."""

import logging
import random
import threading
import time
from collections import deque
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from producer.fleet.message import Message
from producer.fleet.transport import Done

log = logging.getLogger(__name__)

MAX_RECORDS, MAX_BYTES = 500, 5 * 1024 * 1024  # of one PutRecords, partition keys included
LINGER = 0.05  # seconds to gather a batch
MAX_PENDING = 50_000
GIVE_UP_SECONDS = 60.0
MAX_PAUSE = 2.0
TRANSIENT = {  # error codes that another attempt may cure
    "ProvisionedThroughputExceededException",
    "InternalFailure",
    "ServiceUnavailable",
    "ThrottlingException",
    "LimitExceededException",
    "KMSThrottlingException",
}


class _Flight:
    """A message on its way."""

    __slots__ = ("at", "attempts", "key", "message", "size")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.at = 0
        self.attempts = 0
        self.key = message.device
        self.size = len(message.payload) + len(message.device.encode())


class KinesisTransport:
    """One thread gathers messages for `LINGER` seconds and puts them; records refused one by one are put
    again, with backoff.

    A call whose answer is lost is made again, so its messages may be in the stream twice (attempts > 1)."""

    def __init__(self, session: boto3.Session, stream: str, done: Done) -> None:
        # No retries by the SDK: they would not be counted.
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10)
        self._client = session.client("kinesis", config=config)
        self._stream = stream
        self._done = done
        self._queue: deque[_Flight] = deque()
        self._change = threading.Condition()
        self._pending = 0
        self._closing = False
        self._deadline = float("inf")
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="put-records", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        return self._pending

    def publish(self, message: Message) -> None:
        with self._change:
            self._change.wait_for(lambda: self._pending < MAX_PENDING or self._failure)
            if self._failure:
                raise self._failure
            self._queue.append(_Flight(message))
            self._pending += 1

    def close(self, seconds: float) -> None:
        with self._change:
            self._closing = True
            self._deadline = time.monotonic() + seconds
            self._change.notify_all()
        self._thread.join()
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        try:
            while batch := self._gather():
                self._deliver(batch)
        except ClientError as error:  # not transient: `publish` and `close` raise it
            with self._change:
                self._failure = error
                self._change.notify_all()

    def _gather(self) -> list[_Flight]:
        """The next batch within the limits of PutRecords; empty when closed and done."""
        with self._change:
            while not self._queue and not self._closing:
                self._change.wait(LINGER)
            if not self._closing and len(self._queue) < MAX_RECORDS:
                self._change.wait(LINGER)  # nothing notifies here but `close`: this is the lingering
            batch: list[_Flight] = []
            size = 0
            while self._queue and len(batch) < MAX_RECORDS:
                size += self._queue[0].size
                if batch and size > MAX_BYTES:
                    break
                batch.append(self._queue.popleft())
            return batch

    def _deliver(self, batch: list[_Flight]) -> None:
        """Puts the batch until every record is in the stream or time is up."""
        started = time.monotonic()
        attempt = 0
        while batch:
            batch = self._put(batch)
            limit = min(started + GIVE_UP_SECONDS, self._deadline)
            if batch and time.monotonic() >= limit:
                log.warning("gave %d messages up after %d attempts", len(batch), attempt + 1)
                self._commit(batch, acknowledged=False)
                return
            if batch:
                time.sleep(random.uniform(0.5, 1.0) * min(MAX_PAUSE, 0.05 * 2**attempt))
                attempt += 1

    def _put(self, batch: list[_Flight]) -> list[_Flight]:
        """One PutRecords; returns the flights that have to be put again."""
        now_ms = time.time_ns() // 1_000_000
        records: list[Any] = []
        for flight in batch:
            flight.at = flight.at or now_ms
            flight.attempts += 1
            records.append({"Data": flight.message.payload, "PartitionKey": flight.key})
        try:
            answer = self._client.put_records(StreamName=self._stream, Records=records)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if error.response["Error"].get("Code") not in TRANSIENT and status < 500:
                self._commit(batch, acknowledged=False)
                raise
            log.info("PutRecords: %s; trying again", error)
            return batch
        except BotoCoreError as error:  # no connection, or no answer in time
            log.info("PutRecords: %s; trying again", error)
            return batch
        results = answer["Records"]
        self._commit([f for f, r in zip(batch, results, strict=True) if "ErrorCode" not in r], acknowledged=True)
        return [f for f, r in zip(batch, results, strict=True) if "ErrorCode" in r]

    def _commit(self, flights: list[_Flight], *, acknowledged: bool) -> None:
        for flight in flights:
            self._done(flight.message, flight.at, acknowledged, flight.attempts)
        with self._change:
            self._pending -= len(flights)
            self._change.notify_all()
