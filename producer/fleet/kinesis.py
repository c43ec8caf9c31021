"""Straight into the stream, for loads beyond MQTT."""

import logging
import threading
import time
from collections import deque

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from producer.aws.put_records import MAX_RECORDS, PutRecords, fitting, pause
from producer.fleet.message import Message
from producer.fleet.packing import Aggregator, Packed, Packing, one_each
from producer.fleet.transport import Done

log = logging.getLogger(__name__)

LINGER = 0.05  # seconds to gather a batch
AGGREGATE_LINGER = 0.1  # the KPL's own, RecordMaxBufferedTime
MAX_PENDING = 50_000
GIVE_UP_SECONDS = 60.0


class _Flight:
    """A record on its way."""

    __slots__ = ("at", "attempts", "messages", "record")

    def __init__(self, packed: Packed) -> None:
        self.record, self.messages = packed
        self.at = 0
        self.attempts = 0


class KinesisTransport:
    """One thread gathers messages for some time and puts them, up to `most` in a record; records refused one by one are
    put again, with backoff.

    A call whose answer is lost is made again, so its messages may be in the stream twice (attempts > 1)."""

    def __init__(self, session: boto3.Session, stream: str, done: Done, most: int = 1) -> None:
        self._put_records = PutRecords(session, stream)
        self._pack: Packing = one_each if most == 1 else Aggregator.of(session, stream, most)
        self._linger = LINGER if most == 1 else AGGREGATE_LINGER
        self._done = done
        self._queue: deque[Message] = deque()
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
            self._queue.append(message)
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
            while messages := self._gather():
                flights = deque(_Flight(packed) for packed in self._pack(messages))
                while flights:
                    count = len(fitting(flight.record for flight in flights))
                    self._deliver([flights.popleft() for _ in range(count)])
        except ClientError as error:  # not transient: `publish` and `close` raise it
            with self._change:
                self._failure = error
                self._change.notify_all()

    def _gather(self) -> list[Message]:
        """What has come meanwhile; empty when closed and done."""
        with self._change:
            while not self._queue and not self._closing:
                self._change.wait(LINGER)
            if not self._closing and len(self._queue) < MAX_RECORDS:
                self._change.wait(self._linger)  # nothing notifies here but `close`: this is the lingering
            messages = list(self._queue)
            self._queue.clear()
            return messages

    def _deliver(self, batch: list[_Flight]) -> None:
        """Puts the batch until every record is in the stream or time is up."""
        started = time.monotonic()
        attempt = 0
        while batch := self._put(batch):
            if time.monotonic() >= min(started + GIVE_UP_SECONDS, self._deadline):
                log.warning("gave %d records up after %d attempts", len(batch), attempt + 1)
                self._report(batch, acknowledged=False)
                return
            time.sleep(pause(attempt))
            attempt += 1

    def _put(self, batch: list[_Flight]) -> list[_Flight]:
        """One request; returns the flights that have to be put again."""
        now_ms = time.time_ns() // 1_000_000
        for flight in batch:
            flight.at = flight.at or now_ms
            flight.attempts += 1
        try:
            sent = {each.name for each in self._put_records([flight.record for flight in batch]).sent}
        except ClientError:
            self._report(batch, acknowledged=False)
            raise
        except BotoCoreError as error:  # such as credentials that cannot be renewed at this moment
            log.info("PutRecords: %s; trying again", error)
            return batch
        self._report([flight for flight in batch if flight.record.name in sent], acknowledged=True)
        return [flight for flight in batch if flight.record.name not in sent]

    def _report(self, flights: list[_Flight], *, acknowledged: bool) -> None:
        for flight in flights:
            for message in flight.messages:
                self._done(message, flight.at, acknowledged, flight.attempts)
        with self._change:
            self._pending -= sum(len(flight.messages) for flight in flights)
            self._change.notify_all()
