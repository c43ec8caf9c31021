"""Archive objects: what stands in one archive object, where it ends, and who may write it. Pure: no I/O, no clock.

Invariant 2. An archive object starts at the first record after the checkpoint. Where it ends is a function of the
records alone (their count, bytes and arrival times), never of the wall clock or of delivery boundaries. Its key is made
of the shard and its first position. PUT, then checkpoint, one archive object at a time: so a crash anywhere replays to
the same objects, and each record is in the archive exactly once.

Two things cut shorter: an idle shard and a shutdown. These, and owners that were paused and come back, are why an
archive object carries its owner's epoch and why `decide` stands between an archive object and its object.
tests/unit/test_fence.py searches all interleavings of small cases.
"""

import base64
import struct
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Final

import msgspec

from consumer.kcl.protocol import Position, Record
from consumer.payload.reading import Decoded

_json = msgspec.json.encode

LEVEL: Final = 6
"""zlib's level: of the CPU per reading it takes 1.5 us of some 100; a third smaller than level 1."""


@dataclass(frozen=True, slots=True)
class RotationPolicy:
    """Where archive objects end: after `records` or `size` bytes of lines, or before a record that arrived `window_ms`
    after the first. May change between owners; the fence keeps that safe."""

    records: int
    size: int
    window_ms: int


@dataclass(frozen=True, slots=True)
class ObjectMetadata:
    """What an archive object says of itself in its metadata.

    `dead` decides about the dead-letter object of the same key, in the same commit: how many lines it has.
    None: no owner of this key ever had one to write, so there is none. 0: an earlier owner, whose object this one
    replaced, had (other settings reject other records); its dead letters, written or still to come, must be shut out
    by an empty object.
    """

    first: Position
    last: Position
    records: int
    epoch: int
    dead: int | None = None

    def after(self, replaced: "ObjectMetadata") -> "ObjectMetadata":
        """The metadata of this object when it takes the place of `replaced`."""
        return self if self.dead is not None or replaced.dead is None else replace(self, dead=0)

    def metadata(self) -> dict[str, str]:
        """As S3 user metadata."""
        return {
            "first": "%d.%d" % self.first,
            "last": "%d.%d" % self.last,
            "records": str(self.records),
            "epoch": str(self.epoch),
            "dead-letters": "none" if self.dead is None else str(self.dead),
        }

    @classmethod
    def parse(cls, metadata: dict[str, str]) -> "ObjectMetadata":
        """Raises KeyError or ValueError when the object is none of ours.

        An object of before there was `dead-letters` may have some.
        """
        first, last = (_position(metadata[name]) for name in ("first", "last"))
        dead = metadata.get("dead-letters", "0")
        return cls(first, last, int(metadata["records"]), int(metadata["epoch"]), None if dead == "none" else int(dead))


def _position(text: str) -> Position:
    sequence, _, sub = text.partition(".")
    return int(sequence), int(sub)


class Verdict(Enum):
    """What to do with an archive object whose object exists already."""

    FENCED = "fenced"
    """A newer owner lives: write nothing more, do not checkpoint."""
    ADOPT = "adopted"
    """The object holds more: keep the archive object open until it has taken the object's last record, then commit
    again."""
    COMMITTED = "committed"
    """It is our own PUT, whose answer was lost."""
    REPLACE = "replaced"
    """An older owner's object that we hold wholly: put ours in its place, if it is still the one we saw."""


def decide(mine: ObjectMetadata, stored: ObjectMetadata) -> Verdict:
    """The fence: what the owner of `mine` does about the `stored` object of the same key.

    Leaving out any of the rules loses or duplicates records (docs/decisions/0002-fence.md). An equal object of an older
    epoch is replaced too, so that a zombie finds our epoch there.
    """
    if stored.epoch > mine.epoch:
        return Verdict.FENCED
    if stored.last > mine.last:
        return Verdict.ADOPT
    if stored.epoch == mine.epoch and stored.last == mine.last:
        return Verdict.COMMITTED
    return Verdict.REPLACE


@dataclass(frozen=True, slots=True)
class ArchiveObject:
    """A closed archive object: the object's key below `readings/` (and `dead-letters/`), its stamp, and the gzip
    bodies."""

    key: str
    metadata: ObjectMetadata
    body: bytes
    dead_letters: bytes
    """Without a line when no record was rejected."""


class ObjectWriter:
    """One open archive object. Holds the compressed lines only, so its memory is a fraction of the records taken."""

    def __init__(self, shard: str, epoch: int, cut: RotationPolicy, first: Record) -> None:
        self._shard = shard
        self._epoch = epoch
        self._cut = cut
        self.first = self.last = first.position
        self.arrival = first.approximate_arrival_timestamp or 0
        self.records = 0
        self._dead_records = 0
        self._size = 0
        self._lines = Gzip(epoch)
        self._dead: Gzip | None = None  # made when it is needed: a compressor takes a quarter of a megabyte
        self.want: Position | None = None
        """The last record of an object that we adopt: not to be closed before it was taken."""

    def fits(self, record: Record) -> bool:
        """Whether a record belongs to this archive object or starts the next."""
        if self.want:
            return True
        arrival = record.approximate_arrival_timestamp
        return arrival is None or arrival - self.arrival < self._cut.window_ms

    def take(self, record: Record, decoded: Decoded) -> None:
        """Adds the next record of the shard."""
        text = line(self._shard, record, decoded)
        self._lines.write(text)
        if decoded.rejected:
            self._dead = self._dead or Gzip(self._epoch)
            self._dead.write(text)
            self._dead_records += 1
        self.last = record.position
        self.records += 1
        self._size += len(text)

    @property
    def full(self) -> bool:
        """Whether the archive object is to be committed before another record is taken."""
        if self.want:
            return self.last >= self.want
        return self.records >= self._cut.records or self._size >= self._cut.size

    @property
    def closable(self) -> bool:
        """Whether an idle shard or a shutdown may close it here."""
        return self.want is None or self.last >= self.want

    def close(self) -> ArchiveObject:
        """The archive object as it stands. The object writer can go on (an adopted object makes it do so)."""
        return ArchiveObject(
            key=key(self._shard, self.first, self.arrival),
            metadata=ObjectMetadata(self.first, self.last, self.records, self._epoch, self._dead_records or None),
            body=self._lines.read(),
            dead_letters=(self._dead or Gzip(self._epoch)).read(),
        )


def key(shard: str, first: Position, arrival: int) -> str:
    """Hive-style key of the archive object whose first record arrived at `arrival` (ms, UTC)."""
    hour = datetime.fromtimestamp(arrival / 1000, UTC)
    return f"date={hour:%Y-%m-%d}/hour={hour:%H}/{shard}/{first[0]:056d}-{first[1]:010d}.ndjson.gz"


def line(shard: str, record: Record, decoded: Decoded) -> bytes:
    """A record's archive line. `payload` is the last field, so that the original bytes can be cut out of the line;
    where they do not stand there verbatim, `data` holds them in base64."""
    arrival = record.approximate_arrival_timestamp
    parts = [
        b'{"shard":"%b","sequenceNumber":"%b","subSequenceNumber":%d,"partitionKey":%b,"arrival":%b'
        % (
            shard.encode(),
            record.sequence_number.encode(),
            record.sub_sequence_number,
            _json(record.partition_key),
            b"null" if arrival is None else b"%d" % arrival,
        )
    ]
    if decoded.rejected:
        parts.append(b',"rejected":%d,"rejects":%b' % (decoded.rejected, _json(decoded.rejects)))
    if not decoded.verbatim:
        parts.append(b',"data":"%b"' % base64.b64encode(record.data))
    parts.append(b',"payload":%b}\n' % decoded.payload)
    return b"".join(parts)


class Gzip:
    """A gzip member whose header's file name holds the epoch, so that two owners' objects never have one ETag.

    The file name, because some readers (DuckDB) refuse a comment or an extra field; not the time, because seconds are
    too coarse. The time stays 0: the bytes are a function of the records and the epoch.
    """

    def __init__(self, epoch: int) -> None:
        header = b"\x1f\x8b\x08\x08" + bytes(4) + b"\x00\xff" + b"epoch-%d.ndjson\x00" % epoch
        self._parts = bytearray(header)
        self._deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc = 0
        self._length = 0

    def write(self, data: bytes) -> None:
        self._parts += self._deflate.compress(data)
        self._crc = zlib.crc32(data, self._crc)
        self._length += len(data)

    def read(self) -> bytes:
        """The whole member so far; writing can go on afterwards."""
        rest = self._deflate.copy().flush()
        return bytes(self._parts) + rest + struct.pack("<II", self._crc, self._length & 0xFFFFFFFF)


def undeliverable_line(data: bytes) -> bytes:
    """The dead-letter line of a record that the KCL could not de-aggregate; it tells nothing of it but the bytes."""
    return (
        b'{"shard":null,"sequenceNumber":null,"subSequenceNumber":0,"partitionKey":null,"arrival":null,"rejected":1,'
        b'"rejects":[{"index":0,"reason":"bad-aggregate","detail":"the KCL could not de-aggregate it"}],'
        b'"data":"%b","payload":null}\n' % base64.b64encode(data)
    )
