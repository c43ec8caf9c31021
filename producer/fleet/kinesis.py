"""Straight into the stream, for loads beyond MQTT."""

import logging
import threading
import time
from collections import deque

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from producer.aws.put_records import MAX_RECORDS, Outgoing, PutRecords, fitting, pause
from producer.fleet.message import Message
from producer.fleet.transport import Done

log = logging.getLogger(__name__)

LINGER = 0.05  # seconds to gather a batch
MAX_PENDING = 50_000
GIVE_UP_SECONDS = 60.0


class _Flight:
    """A message on its way."""

    __slots__ = ("at", "attempts", "message", "record")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.record = Outgoing(str(message.number), message.device, message.payload)
        self.at = 0
        self.attempts = 0


class KinesisTransport:
    """One thread gathers messages for `LINGER` seconds and puts them; records refused one by one are put
    again, with backoff.

    A call whose answer is lost is made again, so its messages may be in the stream twice (attempts > 1)."""

    def __init__(self, session: boto3.Session, stream: str, done: Done) -> None:
        self._put_records = PutRecords(session, stream)
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
            count = len(fitting(flight.record for flight in self._queue))
            return [self._queue.popleft() for _ in range(count)]

    def _deliver(self, batch: list[_Flight]) -> None:
        """Puts the batch until every record is in the stream or time is up."""
        started = time.monotonic()
        attempt = 0
        while batch := self._put(batch):
            if time.monotonic() >= min(started + GIVE_UP_SECONDS, self._deadline):
                log.warning("gave %d messages up after %d attempts", len(batch), attempt + 1)
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
            self._done(flight.message, flight.at, acknowledged, flight.attempts)
        with self._change:
            self._pending -= len(flights)
            self._change.notify_all()
