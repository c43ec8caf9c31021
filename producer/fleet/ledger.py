"""The ledger: what was published and what must become of it, one JSON object a line.

    {"n":1732270000000001,"device":"soilSensor1","at":1732270000123,"rows":[["soilSensor1",1732270000120,"41.3"]],
     "rejects":[],"alerts":[["soilSensor1","20"]],"crc":123,"ack":true,"attempts":1}

`at` is the time of the first publish (ms). A row is device, time (ms; 0 for that of its arrival) and `row_text`.
`alerts` are those that must be raised; `crc` (CRC-32 of the payload) when the payload must arrive byte for byte, as it
does without a rule engine in between, else `document`, the `document_crc` of its JSON. `ack`
false: it is unknown whether the message is in the stream. An entry is written when the fate of its message
is known, so a crash loses the entries of messages in flight and never invents one; a line torn by a crash
is skipped.
"""

import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from producer.aws.errors import UserError
from producer.fleet.condition import Condition
from producer.fleet.message import Message
from producer.fleet.normal import document_crc, row_text

FLUSH_LINES = 500


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the ledger; see the module's text."""

    n: int
    device: str
    at: int
    rows: list[tuple[str, int, str]] = []
    rejects: list[str] = []
    alerts: list[tuple[str, str]] = []
    crc: int | None = None
    document: int | None = None
    ack: bool = True
    attempts: int = 1


def entry(
    message: Message, at: int, *, ack: bool, attempts: int, condition: Condition | None, through_rules: bool
) -> Entry:
    """What does not go through the rules comes unchanged. `condition` is that of alerts; None: none is tested."""
    return Entry(
        n=message.number,
        device=message.device,
        at=at,
        rows=[(row.device, row.time_ms, row_text(row.value, row.measures)) for row in message.rows],
        rejects=list(message.rejects),
        alerts=condition.expected(message, at, through_rules=through_rules) if condition else [],
        crc=None if through_rules else zlib.crc32(message.payload),
        document=document_crc(message.payload) if through_rules else None,
        ack=ack,
        attempts=attempts,
    )


class Ledger:
    """Appends entries from any thread and keeps their sums. Without a path only the sums are kept."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.published = 0  # acknowledged messages
        self.readings = 0  # the readings in them
        self.uncertain = 0  # messages that were given up without an answer
        self.alerts = 0  # alerts that the published messages must raise
        self._lock = threading.Lock()
        self._encoder = msgspec.json.Encoder()
        self._buffer = bytearray()
        self._lines = 0
        self._file = _open_at_line_start(path) if path else None

    def record(self, line: Entry) -> None:
        """Buffered: on disk after `FLUSH_LINES` entries, `flush` or `close`."""
        with self._lock:
            if line.ack:
                self.published += 1
                self.readings += len(line.rows) or 1
                self.alerts += len(line.alerts)
            else:
                self.uncertain += 1
            if self._file:
                self._buffer += self._encoder.encode(line) + b"\n"
                self._lines += 1
                if self._lines >= FLUSH_LINES:
                    self._write()

    def flush(self) -> None:
        with self._lock:
            self._write()

    def close(self) -> None:
        with self._lock:
            self._write()
            if self._file:
                self._file.close()
                self._file = None

    def _write(self) -> None:
        if self._file and self._buffer:
            self._file.write(self._buffer)
            self._file.flush()
            self._buffer.clear()
            self._lines = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open_at_line_start(path: Path) -> BinaryIO:
    """Opens for appending; a torn last line is ended first, so that it harms no entry after it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise UserError(f"cannot write the ledger {path}: {error.strerror}") from None
    if file.tell() > 0:
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            file.write(b"\n")
    return file


def read(path: Path) -> Iterator[Entry]:
    """The entries of a ledger file; lines that a crash tore apart are left out. Raises UserError when
    there is no such file."""
    decoder = msgspec.json.Decoder(Entry)
    try:
        file = path.open("rb")
    except OSError as error:
        raise UserError(f"cannot read the ledger {path}: {error.strerror}") from None
    with file:
        for line in file:
            try:
                yield decoder.decode(line)
            except msgspec.DecodeError:
                continue
