"""The archive's format: keys, lines and object metadata; defined only here. Pure: no I/O, no clock.

The consumer writes it; the operators' tools (redrive, replay) read it by the same definitions. docs/archive-format.md
describes it.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from consumer.archive.compression import SUFFIXES, Compression
from consumer.payload.reading import Decoded, Reject

if TYPE_CHECKING:
    from consumer.record import Position, Record

READINGS: Final = "readings/"
DEAD_LETTERS: Final = "dead-letters/"
UNDELIVERABLE: Final = DEAD_LETTERS + "date=1970-01-01/hour=00/undeliverable/"
"""The arrival time of such a record is not known; a fixed date keeps one partition layout below the prefix."""
KEY: Final = re.compile(
    r"date=(?P<date>\d{4}-\d\d-\d\d)/hour=(?P<hour>\d\d)/(?P<shard>[^/]+)/(?P<first>\d{56}-\d{10})\.ndjson\.(?:zst|gz)"
)
"""A key below READINGS or DEAD_LETTERS, as `key` makes it; `first` sorts as the records do."""

_PAYLOAD: Final = b'"payload":'

_json = msgspec.json.encode


def folder(arrival: int) -> str:
    """The hour's folder below a prefix, for an arrival in ms since the epoch (UTC)."""
    hour = datetime.fromtimestamp(arrival / 1000, UTC)
    return f"date={hour:%Y-%m-%d}/hour={hour:%H}/"


def key(shard: str, first: "Position", arrival: int, compression: Compression) -> str:
    """Hive-style key of the archive object whose first record arrived at `arrival` (ms since the epoch)."""
    return f"{folder(arrival)}{shard}/{first[0]:056d}-{first[1]:010d}.ndjson.{SUFFIXES[compression]}"


def undeliverable_key(data: bytes) -> str:
    """Full key of the object for a record that the KCL could not de-aggregate: the same bytes give the same key.

    Always gzip, so that the key does not depend on settings.
    """
    return f"{UNDELIVERABLE}{hashlib.sha256(data).hexdigest()}.ndjson.gz"


def position_text(position: "Position") -> str:
    """A position as in object metadata: sequence and sub-sequence number."""
    return "%d.%d" % position


def parse_position(text: str) -> "Position":
    """The reverse of `position_text`. Raises ValueError."""
    sequence, _, sub = text.partition(".")
    return int(sequence), int(sub)


@dataclass(frozen=True, slots=True)
class ObjectMetadata:
    """The S3 user metadata of an archive object and of its dead-letter object.

    `dead` is the number of lines of the dead-letter object of the same key, written in the same commit. None: no owner
    of this key has had any, so there is no such object. 0: an earlier owner, whose object this one replaced, had some
    (other settings reject other records); an empty object must overwrite its dead letters, written or still to come.

    `rollup_seconds` is the length of the windows in whose rollups the object's readings are counted; 0 for none.
    """

    first: "Position"
    last: "Position"
    records: int
    epoch: int
    dead: int | None = None
    rollup_seconds: int = 0

    def metadata(self) -> dict[str, str]:
        """As S3 user metadata."""
        rollups = {"rollup-seconds": str(self.rollup_seconds)} if self.rollup_seconds else {}
        return {
            "first": position_text(self.first),
            "last": position_text(self.last),
            "records": str(self.records),
            "epoch": str(self.epoch),
            "dead-letters": "none" if self.dead is None else str(self.dead),
            **rollups,
        }

    @classmethod
    def parse(cls, metadata: Mapping[str, str]) -> "ObjectMetadata":
        """Raises KeyError or ValueError when the object was not written by this service.

        An object that is older than the field `dead-letters` may have some.
        """
        first, last = (parse_position(metadata[name]) for name in ("first", "last"))
        dead, seconds = metadata.get("dead-letters", "0"), int(metadata.get("rollup-seconds", "0"))
        records, epoch = int(metadata["records"]), int(metadata["epoch"])
        return cls(first, last, records, epoch, None if dead == "none" else int(dead), seconds)


@dataclass(frozen=True, slots=True)
class ArchiveObject:
    """A closed archive object: its key below READINGS (and DEAD_LETTERS), its metadata, and the compressed bodies."""

    key: str
    metadata: ObjectMetadata
    body: bytes
    dead_letters: bytes
    """Without lines when no record was rejected."""


def line(shard: str, record: "Record", decoded: Decoded) -> bytes:
    """A record's archive line. `payload` is the last field, so that the original bytes can be cut out of the line;
    where it is not the original bytes verbatim, `data` holds them in base64."""
    arrival = record.approximate_arrival_timestamp
    extra = b',"rejected":%d,"rejects":%b' % (decoded.rejected, _json(decoded.rejects)) if decoded.rejected else b""
    if not decoded.verbatim:
        extra += b',"data":"%b"' % base64.b64encode(record.data)
    return (
        b'{"shard":"%b","sequenceNumber":"%b","subSequenceNumber":%d,"partitionKey":%b,"arrival":%b%b,"payload":%b}\n'
        % (
            shard.encode(),
            record.sequence_number.encode(),
            record.sub_sequence_number,
            _json(record.partition_key),
            b"null" if arrival is None else b"%d" % arrival,
            extra,
            decoded.payload,
        )
    )


def undeliverable_line(data: bytes) -> bytes:
    """The dead-letter line of a record that the KCL could not de-aggregate; only its bytes are known."""
    return (
        b'{"shard":null,"sequenceNumber":null,"subSequenceNumber":0,"partitionKey":null,"arrival":null,"rejected":1,'
        b'"rejects":[{"index":0,"reason":"bad-aggregate","detail":"the KCL could not de-aggregate it"}],'
        b'"data":"%b","payload":null}\n' % base64.b64encode(data)
    )


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """One stream record, as read from its archive line; `data` are its bytes where `payload` is not verbatim."""

    shard: str
    sequence_number: str | None
    sub_sequence_number: int = 0
    partition_key: str | None = None
    arrival: int | None = None  # ms since the epoch
    rejected: int = 0
    rejects: list[Reject] = []
    data: bytes | None = None

    @property
    def position(self) -> "Position":
        """Orders the records of a shard. Only for lines that have a sequence number."""
        return int(self.sequence_number or 0), self.sub_sequence_number


class _Undeliverable(msgspec.Struct):
    data: bytes
    rejects: list[Reject] = []


class UnreadableLine(Exception):
    """A line, or an object, that does not have the archive's format."""


_line: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
_undeliverable: msgspec.json.Decoder[_Undeliverable] = msgspec.json.Decoder(_Undeliverable)


def parse_line(text: bytes) -> tuple[Line, bytes]:
    """A line without its line break -> its fields, and the original bytes of the record. Raises UnreadableLine.

    `payload` is the last field and verbatim: the bytes are cut out, not decoded and encoded again.
    """
    start = text.find(_PAYLOAD)
    if start < 0 or not text.endswith(b"}"):
        raise UnreadableLine("no payload at the end of the line")
    try:
        found = _line.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableLine(str(error)) from None
    return found, found.data if found.data is not None else text[start + len(_PAYLOAD) : -1]


def parse_undeliverable(text: bytes) -> tuple[Line, bytes]:
    """`parse_line` for a record that the KCL could not de-aggregate: its shard (empty) and position are not known."""
    try:
        found = _undeliverable.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableLine(str(error)) from None
    return Line("", None, rejected=1, rejects=found.rejects, data=found.data), found.data
