"""Reads what the consumer keeps in the archive bucket: archive objects and dead letters, NDJSON in zstd or gzip."""

import gzip
import io
import sys
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import boto3
from botocore.exceptions import ClientError

from consumer.archive.fence import belongs
from consumer.archive.format import DEAD_LETTERS, READINGS, UnreadableLine
from consumer.aws.codes import NO_SUCH_OBJECT, code

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PREFETCHED, PREFETCHED_BYTES = 8, 32 * 1024 * 1024  # objects that are fetched before they are read
PIECE = 1 << 20  # bytes of lines that are unpacked at once: one by one they cost twice as much
SomeLine = TypeVar("SomeLine")


def parsed(
    lines: Iterable[bytes], parse: Callable[[bytes], tuple[SomeLine, bytes]]
) -> Iterator[tuple[SomeLine, bytes]]:
    """`parse` for each line of an object. Raises UnreadableLine with the line's number."""
    number = 1
    try:
        for text in lines:
            yield parse(text)
            number += 1
    except UnreadableLine as error:
        raise UnreadableLine(f"line {number}: {error}") from None


class Listed(NamedTuple):
    """An object as the bucket lists it."""

    key: str
    size: int
    modified: datetime
    etag: str = ""


class Sized(Protocol):
    """What an object is called, and how long it is."""

    @property
    def key(self) -> str: ...
    @property
    def size(self) -> int: ...


SomeObject = TypeVar("SomeObject", bound=Sized)


class Opened(NamedTuple):
    """An object's metadata and its lines without line breaks; the iterator raises UnreadableLine when the object
    is incomplete, or was deleted after it was listed."""

    metadata: dict[str, str]
    lines: Iterator[bytes]


class Bucket:
    """The archive bucket, for reading only."""

    def __init__(self, session: boto3.Session, name: str) -> None:
        self._s3: S3Client = session.client("s3")
        self._name = name

    def objects(self, prefix: str, after: str = "") -> Iterator[Listed]:
        """What lies below a prefix, in ascending order of the keys; only what comes after the key `after`."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix, StartAfter=after)
        for page in pages:
            for item in page.get("Contents", []):
                yield Listed(item["Key"], item["Size"], item["LastModified"], item["ETag"])

    def open(self, key: str) -> Opened:
        """One object, fetched whole, so that no connection waits for who reads only its first lines; unpacked while
        they are read."""
        answer = self._s3.get_object(Bucket=self._name, Key=key)
        return Opened(answer["Metadata"], unpacked(key, io.BytesIO(answer["Body"].read())))

    def open_each(
        self, objects: Iterable[SomeObject], fetch: Callable[[str], Opened] | None = None
    ) -> Iterator[tuple[SomeObject, Opened]]:
        """The objects in the order given. The next few are fetched meanwhile, so that many small objects do not cost
        a round trip each; at most PREFETCHED of them or PREFETCHED_BYTES are held."""
        waiting: deque[tuple[SomeObject, Future[Opened]]] = deque()
        held = 0
        with ThreadPoolExecutor(PREFETCHED) as pool:
            for item in objects:
                waiting.append((item, pool.submit(fetch or self._fetch, item.key)))
                held += item.size
                while len(waiting) > PREFETCHED or (waiting and held > PREFETCHED_BYTES):
                    first, fetched = waiting.popleft()
                    yield first, fetched.result()
                    held -= first.size
            for first, fetched in waiting:
                yield first, fetched.result()

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return self.metadata(key) is not None

    def metadata(self, key: str) -> dict[str, str] | None:
        """What an object says of itself; None when it is not there."""
        try:
            return self._s3.head_object(Bucket=self._name, Key=key)["Metadata"]
        except ClientError as error:
            if code(error) in NO_SUCH_OBJECT:
                return None
            raise

    def open_dead_letters(self, objects: Iterable[SomeObject]) -> Iterator[tuple[SomeObject, Opened]]:
        """`open_each` for dead-letter objects: one that is no archive object's any more (`belongs`) has
        no lines.

        The archive object is asked after the dead letters were fetched: its answer is the newer one.
        """
        yield from self.open_each(objects, self._fetch_dead_letters)

    def _fetch_dead_letters(self, key: str) -> Opened:
        opened = self._fetch(key)
        if belongs(self.metadata(READINGS + key.removeprefix(DEAD_LETTERS)), opened.metadata):
            return opened
        return Opened(opened.metadata, iter(()))

    def days_kept(self, prefix: str) -> int | None:
        """After how many days the bucket's lifecycle takes objects below a prefix away; None for never."""
        try:
            rules = self._s3.get_bucket_lifecycle_configuration(Bucket=self._name)["Rules"]
        except ClientError as error:
            if code(error) == "NoSuchLifecycleConfiguration":
                return None
            raise
        prefixes = [(rule.get("Filter", {}).get("Prefix") or rule.get("Prefix") or "", rule) for rule in rules]
        days = [rule["Expiration"]["Days"] for of, rule in prefixes if prefix.startswith(of) and "Expiration" in rule]
        return min(days, default=None)

    def _fetch(self, key: str) -> Opened:
        try:
            return self.open(key)
        except self._s3.exceptions.NoSuchKey:
            return Opened({}, _Failing(UnreadableLine("it was taken away after it was listed")))


class _Failing(Iterator[bytes]):
    """Lines that cannot be had."""

    def __init__(self, error: UnreadableLine) -> None:
        self._error = error

    def __next__(self) -> bytes:
        raise self._error


def unpacked(key: str, body: Any) -> Iterator[bytes]:
    """The lines of an object, read from `body`, without line breaks. Raises UnreadableLine."""
    try:
        with zstd.open(body) if key.endswith(".zst") else gzip.open(body) as text:
            begun = b""  # of a line
            while piece := text.read1(PIECE):
                *lines, begun = (begun + piece).split(b"\n")
                yield from lines
        if begun:
            yield begun
    except (gzip.BadGzipFile, EOFError, zlib.error, zstd.ZstdError) as error:
        raise UnreadableLine(f"not a whole object: {error}") from None
