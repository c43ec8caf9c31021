"""Reads what the consumer keeps in the archive bucket: parcels and dead letters, gzip NDJSON."""

import gzip
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import msgspec

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PARCELS = "readings/"
DEAD_LETTERS = "dead-letters/"
UNDELIVERABLE = DEAD_LETTERS + "undeliverable/"
_PAYLOAD = b'"payload":'


class Rejected(msgspec.Struct, frozen=True):
    """Why the reading at `index` of its record was rejected."""

    index: int
    reason: str
    detail: str = ""


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """One stream record in the archive; `data` are its original bytes, of which the archive line itself
    may hold no copy."""

    shard: str
    sequence_number: str | None
    sub_sequence_number: int = 0
    partition_key: str | None = None
    arrival: int | None = None  # ms
    rejected: int = 0
    rejects: list[Rejected] = []
    data: bytes | None = None

    @property
    def position(self) -> tuple[int, int]:
        """Orders the records of a shard. Only for lines that have a sequence number."""
        return int(self.sequence_number or 0), self.sub_sequence_number


class UnreadableLine(Exception):
    """A line, or an object, that is not what the archive's format says."""


_decoder = msgspec.json.Decoder(Line)


def parse(line: bytes) -> tuple[Line, bytes]:
    """A line without its line break -> what it says and the original bytes of the record.

    `payload` is the last field and stands there verbatim, so the bytes are cut out and not decoded and
    encoded again.
    Raises UnreadableLine.
    """
    start = line.find(_PAYLOAD)
    if start < 0 or not line.endswith(b"}"):
        raise UnreadableLine("no payload at the end of the line")
    try:
        head = _decoder.decode(line)
    except msgspec.DecodeError as error:
        raise UnreadableLine(str(error)) from None
    return head, head.data if head.data is not None else line[start + len(_PAYLOAD) : -1]


class Bucket:
    """The archive bucket, for reading only."""

    def __init__(self, name: str) -> None:
        self._s3: S3Client = boto3.client("s3")
        self._name = name

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix in ascending order."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix)
        for page in pages:
            for item in page.get("Contents", []):
                yield item["Key"]

    def open(self, key: str) -> tuple[dict[str, str], Iterator[bytes]]:
        """The object's metadata and its lines without line breaks, unpacked while they are read.

        The iterator raises UnreadableLine when the object is no gzip file or ends early.
        """
        answer = self._s3.get_object(Bucket=self._name, Key=key)
        return answer["Metadata"], _lines(answer["Body"])


def _lines(body: Any) -> Iterator[bytes]:
    try:
        with gzip.open(body) as unpacked:
            for line in unpacked:
                yield line.rstrip(b"\n")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UnreadableLine(f"not a whole gzip file: {error}") from None
