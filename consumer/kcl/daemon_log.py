"""Reads the KCL daemon's log, and what it means for the data. Pure but for the records it logs again.

One line an event, as config/logback.xml lays it out: level, logger, exception and message between tabs.
Three kinds of events are more than words:

- The KCL's way with an unexpected failure is to log it and to go on with the next batch. Such a line means
  that records may never be delivered, so that no checkpoint may pass it any more: `skipped`.
- An aggregated record that cannot be taken apart is dropped; its bytes stand at the end of the line:
  `undeliverable`.
- It takes the answer that a shard or its registered consumer does not exist for the shard's end: `gone`.
- While the daemon starts, its steps tell what is being waited for: `phase`.

A read that failed goes to `on_failed_read` (reasons.py). The daemon tries again several times a second and says so each
time: a line that comes again is told once a minute, with how often it came as `repeated`.
"""

import base64
import hashlib
import logging
import re
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from consumer.kcl.read_errors import failed_read
from consumer.restarts import Reason, RunFailed
from consumer.telemetry.repeats import Repeats

AGGREGATE_MAGIC: Final = b"\xf3\x89\x9a\xc2"
"""How a KPL-aggregated record begins; it ends with the MD5 of what is between. The KCL logs only what is between."""

SKIPPED: Final = (
    ("lifecycle.ShardConsumerSubscriber", "Caught exception from handleInput"),
    ("lifecycle.ShardConsumer", "The incoming data has been skipped"),
    ("lifecycle.ProcessTask", ": Caught exception: "),
    ("lifecycle.ProcessTask", "Application processRecords() threw an exception"),
    ("retrieval.polling.PrefetchRecordsPublisher", "Unexpected exception was thrown"),
)
"""Logger and part of the message of each event after which a batch may be missing; a test finds them in the jar."""

UNDELIVERABLE: Final = ("retrieval.AggregatorUtil", "Unexpected exception during deaggregation, record was:")

GONE: Final = (
    ("retrieval.fanout.FanOutRecordsPublisher", "(FanOutRecordsPublisher#errorOccurred)"),
    ("retrieval.polling.KinesisDataFetcher", "Caught ResourceNotFoundException when fetching records for shard"),
    ("retrieval.polling.KinesisDataFetcher", "Caught ResourceNotFoundException when getting an iterator for shard"),
)
"""The same for events after which the KCL reports the end of a shard, if they name a ResourceNotFoundException."""

PHASES: Final = (
    ("coordinator.Scheduler", "Initializing LeaseCoordinator attempt", "preparing the lease table"),
    ("coordinator.Scheduler", "Lease table is still empty", "waiting for the first look at the shards"),
    ("coordinator.migration.MigrationStateMachineImpl", "Initializing", "preparing the coordinator's tables"),
    ("coordinator.Scheduler", "Initialization complete", "waiting for leases"),
    ("coordinator.Scheduler", "Created new shardConsumer", "starting the shards"),
)

FailedRead = Callable[[str | None, str, str], None]
"""Takes shard, reason and words of a read that failed."""

_KCL: Final = "software.amazon.kinesis."
_LEVELS: Final = {
    "ERROR": logging.ERROR,
    "WARN": logging.WARNING,
    "INFO": logging.DEBUG,  # there for `phase`, which tells the same in fewer words
}
# Anchored at the end, which the KCL writes itself; what stands before it comes out of the record.
_RAW_RECORD: Final = re.compile(r"Sequence number: (\d+) Raw data: ([A-Za-z0-9+/]*={0,2}) *\Z")
_SHARD: Final = re.compile(r"shardId-\d+")
_SHOWN: Final = 2000

log = logging.getLogger("kcl")


class _Event(NamedTuple):
    """One line; without a source it is the JVM's own words."""

    level: str
    source: str
    exception: str
    message: str


def _tell(event: _Event, repeated: int) -> None:
    extra: dict[str, object] = {"source": event.source} if event.source else {}
    if event.exception:
        extra["exception"] = event.exception[:_SHOWN]
    if repeated:
        extra["repeated"] = repeated
    log.log(_LEVELS[event.level], "%s", event.message[:_SHOWN], extra=extra)


class BatchSkipped(RunFailed):
    """The daemon may have skipped a batch: nothing may be checkpointed until it has started again."""

    reason = Reason.BATCH_SKIPPED


class Lines:
    """Gives `handle` every line of a stream of bytes, however it is cut up."""

    def __init__(self, handle: Callable[[str], None]) -> None:
        self._handle = handle
        self._partial = bytearray()

    def feed(self, data: bytes) -> None:
        first, *others = data.split(b"\n")
        self._partial += first
        for other in others:
            self._handle(self._partial.decode(errors="replace"))
            self._partial = bytearray(other)


class DaemonLog:
    """What the lines of the daemon's log have shown so far.

    `phase` is what the daemon was last seen doing; `skipped` is the event that makes its further deliveries
    worthless, or None. `on_failed_read` gets shard, reason and words of each read that failed.
    """

    def __init__(
        self,
        on_failed_read: FailedRead = lambda shard, reason, text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.phase = "starting Java"
        self.skipped: str | None = None
        self.gone: set[str] = set()
        """Shards whose end the KCL takes from a ResourceNotFoundException."""
        self.undeliverable: list[bytes] = []
        """Each record that the KCL dropped, exactly as it is in the stream; sub-records before the broken one have been
        delivered all the same."""
        self._on_failed_read = on_failed_read
        self._repeats: Repeats[_Event] = Repeats(_tell, clock)

    def line(self, line: str) -> None:
        """Takes one line, without its end."""
        fields = line.split("\t")
        if len(fields) != 4 or fields[0] not in _LEVELS:
            self.words(line)
            return
        level, logger, exception, message = fields
        name = logger.removeprefix(_KCL)
        if name == UNDELIVERABLE[0] and message.startswith(UNDELIVERABLE[1]):
            self._undeliverable(message)
            return
        if any(name == where and what in message for where, what in SKIPPED):
            self.skipped = f"{name}: {message} {exception}"[:_SHOWN]
            _tell(_Event(level, name, exception, message), 0)
            return
        if failed := failed_read(name, exception, message):
            self._on_failed_read(*failed)
        if "ResourceNotFoundException" in message + exception and any(
            name == where and what in message for where, what in GONE
        ):
            self.gone.update(_SHARD.findall(message)[:1])
        self._step(name, message)
        self._repeats.take(_Event(level, name, exception, message), level, name, exception, message)

    def words(self, line: str) -> None:
        """Takes a line that is no event: the JVM's own words, or what a connector says."""
        if line:
            self._repeats.take(_Event("WARN", "", "", line), line)

    def rest(self, *, end: bool = False) -> None:
        """Tells how often lines came that were not told and did not come again; with `end` of all of them."""
        self._repeats.rest(end=end)

    def _step(self, name: str, message: str) -> None:
        for where, what, words in PHASES:
            if where == name and what in message and words != self.phase:
                self.phase = words
                log.info("%s", words)

    def _undeliverable(self, message: str) -> None:
        found = _RAW_RECORD.search(message)
        if found is None:
            self.skipped = f"a record was dropped and cannot be found in: {message[-_SHOWN:]}"
            return
        body = base64.b64decode(found[2])
        record = AGGREGATE_MAGIC + body + hashlib.md5(body, usedforsecurity=False).digest()
        log.error(
            "an aggregated record could not be taken apart",
            extra={"sequence_number": found[1], "bytes": len(record)},
        )
        self.undeliverable.append(record)
