"""Reads the KCL daemon's log, detects events that matter for the data, and logs the lines again. No other I/O.

One event per line in the format of config/logback.xml: level, logger, exception and message, separated by tabs.
Four kinds of events have consequences:

- After an unexpected failure the KCL logs it and continues with the next batch. Such a line means that records may
  never be delivered, so no later checkpoint is allowed: `skipped`.
- An aggregated record that the KCL cannot de-aggregate is dropped; its bytes are at the end of the line:
  `undeliverable`.
- The KCL takes the answer that a shard or its registered consumer does not exist for the shard's end: `gone`.
- While the daemon starts, its lines show the current step: `phase`.

A read that failed goes to `on_failed_read` (read_errors.py). The daemon tries again several times a second and logs
each failure: a repeated line is logged once a minute, with the number of repetitions as `repeated`.
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
"""The first bytes of a KPL-aggregated record; its last are the MD5 of the body. The KCL logs only the body."""

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
"""Called with shard (None if unknown), reason and text of a read that failed."""

_KCL: Final = "software.amazon.kinesis."
_LEVELS: Final = {
    "ERROR": logging.ERROR,
    "WARN": logging.WARNING,
    "INFO": logging.DEBUG,  # needed for `phase` only, which is logged instead
}
# Anchored at the end, which the KCL writes; the text before it comes from the record.
_RAW_RECORD: Final = re.compile(r"Sequence number: (\d+) Raw data: ([A-Za-z0-9+/]*={0,2}) *\Z")
_SHARD: Final = re.compile(r"shardId-\d+")
_MAX_TEXT: Final = 2000

log = logging.getLogger("kcl")


class _Event(NamedTuple):
    """One line; without a source it is output of the JVM itself."""

    level: str
    source: str
    exception: str
    message: str


def _emit(event: _Event, repeated: int) -> None:
    extra: dict[str, object] = {"source": event.source} if event.source else {}
    if event.exception:
        extra["exception"] = event.exception[:_MAX_TEXT]
    if repeated:
        extra["repeated"] = repeated
    log.log(_LEVELS[event.level], "%s", event.message[:_MAX_TEXT], extra=extra)


class BatchSkipped(RunFailed):
    """The daemon may have skipped a batch: nothing may be checkpointed until it has started again."""

    reason = Reason.BATCH_SKIPPED


class Lines:
    """Calls `handle` with every line of a stream of bytes that arrives in arbitrary pieces."""

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
    """What the daemon's log has shown so far.

    `phase` is the last step of the start; `skipped` is the event after which nothing may be checkpointed, or None.
    `on_failed_read` gets shard, reason and text of each read that failed.
    """

    def __init__(
        self,
        on_failed_read: FailedRead = lambda shard, reason, text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.phase = "starting Java"
        self.skipped: str | None = None
        self.gone: set[str] = set()
        """Shards whose end the KCL has inferred from a ResourceNotFoundException."""
        self.undeliverable: list[bytes] = []
        """Each record that the KCL dropped, exactly as it is in the stream; sub-records before the broken one have been
        delivered all the same."""
        self._on_failed_read = on_failed_read
        self._repeats: Repeats[_Event] = Repeats(_emit, clock)

    def line(self, line: str) -> None:
        """Takes one line, without its end."""
        fields = line.split("\t")
        if len(fields) != 4 or fields[0] not in _LEVELS:
            self.plain_line(line)
            return
        level, logger, exception, message = fields
        name = logger.removeprefix(_KCL)
        if name == UNDELIVERABLE[0] and message.startswith(UNDELIVERABLE[1]):
            self._undeliverable(message)
            return
        if any(name == where and what in message for where, what in SKIPPED):
            self.skipped = f"{name}: {message} {exception}"[:_MAX_TEXT]
            _emit(_Event(level, name, exception, message), 0)
            return
        if failed := failed_read(name, exception, message):
            self._on_failed_read(*failed)
        if "ResourceNotFoundException" in message + exception and any(
            name == where and what in message for where, what in GONE
        ):
            self.gone.update(_SHARD.findall(message)[:1])
        self._step(name, message)
        self._repeats.add(_Event(level, name, exception, message), level, name, exception, message)

    def plain_line(self, line: str) -> None:
        """Takes a line that is not an event: output of the JVM itself or of a connector."""
        if line:
            self._repeats.add(_Event("WARN", "", "", line), line)

    def flush(self, *, end: bool = False) -> None:
        """Logs the suppressed repetitions of lines whose window has ended; with `end` of all lines."""
        self._repeats.flush(end=end)

    def _step(self, name: str, message: str) -> None:
        for where, what, phase in PHASES:
            if where == name and what in message and phase != self.phase:
                self.phase = phase
                log.info("%s", phase)

    def _undeliverable(self, message: str) -> None:
        found = _RAW_RECORD.search(message)
        if found is None:
            self.skipped = f"a record was dropped and cannot be found in: {message[-_MAX_TEXT:]}"
            return
        body = base64.b64decode(found[2])
        record = AGGREGATE_MAGIC + body + hashlib.md5(body, usedforsecurity=False).digest()
        log.error(
            "an aggregated record could not be de-aggregated",
            extra={"sequence_number": found[1], "bytes": len(record)},
        )
        self.undeliverable.append(record)
