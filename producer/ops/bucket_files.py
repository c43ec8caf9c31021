"""A bucket as files for DuckDB, read only, by the SDK's client of S3: DuckDB's own would have to be downloaded.

An archive object is fetched whole; of a Parquet file only the parts that DuckDB asks for.
"""

import io
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from botocore.exceptions import ClientError
from fsspec import AbstractFileSystem

from consumer.archive.format import folder
from consumer.aws.codes import NO_SUCH_OBJECT, code
from producer.aws.errors import UserError
from producer.ops.archive_index import Span

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PARQUET = ".parquet"
HOUR_MS = 3_600_000
BLOCK = 64 * 1024  # the least that is read of a Parquet file at once


class File(NamedTuple):
    """An object as the bucket lists it; date and hour are those of its key."""

    key: str
    date: str
    hour: int
    size: int
    etag: str
    modified: datetime


class BucketFiles(AbstractFileSystem):  # type: ignore[misc] # fsspec has no types
    """What lies below `files(prefix)`, of which at most `max_bytes` may be read.

    DuckDB makes its own exception of one that is raised in here; the cause is in `failed`.
    """

    protocol = "archive"
    cachable = False

    def __init__(self, session: boto3.Session, bucket: str, span: Span, max_bytes: int) -> None:
        super().__init__()
        self._s3: S3Client = session.client("s3")
        self._bucket = bucket
        self._span = span
        self._known: dict[str, File] = {}
        self.max_bytes = max_bytes
        self.bytes = self.opened = 0
        self.failed: Exception | None = None

    def files(self, prefix: str) -> list[File]:
        """All objects below a prefix such as `readings/`, of the hours that the span touches."""
        found = [file for file in self._listed(prefix) if file.size]
        self._known |= {file.key: file for file in found}
        return found

    def _listed(self, prefix: str) -> Iterator[File]:
        after = "" if self._span.start is None else f"{prefix}{folder(self._span.start)}"
        last = "" if self._span.end is None else f"{prefix}{folder(self._span.end - 1)}~"
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix, StartAfter=after)
        for page in pages:
            for item in page.get("Contents", []):
                parts = dict(part.split("=") for part in item["Key"].split("/") if part.count("=") == 1)
                if last and item["Key"] > last:
                    return
                if parts.keys() == {"date", "hour"} and parts["hour"].isdecimal():
                    yield File(
                        item["Key"], parts["date"], int(parts["hour"]), item["Size"], item["ETag"], item["LastModified"]
                    )

    def glob(self, path: str, **_: Any) -> list[str]:
        """The listed files below `archive://PREFIX*`."""
        prefix = self._strip_protocol(path).removesuffix("*")
        return [f"{self.protocol}://{key}" for key in self._known if key.startswith(prefix)]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """What fsspec wants to know of a file."""
        file = self._known[self._strip_protocol(path)]
        return {"name": file.key, "size": file.size, "type": "file"}

    def modified(self, path: str) -> datetime:
        """When it was written."""
        return self._known[self._strip_protocol(path)].modified

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.BufferedIOBase:
        file = self._known[path]
        self.opened += 1
        if path.endswith(PARQUET):
            return io.BufferedReader(_Ranges(self, file), BLOCK)
        return io.BytesIO(self.fetch(file))

    def fetch(self, file: File, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of an object as it was listed. Raises UserError when it has changed, or above the limit."""
        wanted = {} if length is None else {"Range": f"bytes={start}-{start + length - 1}"}
        try:
            self.bytes += file.size if length is None else length
            if self.bytes > self.max_bytes:
                raise UserError(too_much(f"more than {megabytes(self.max_bytes)}"))
            answer = self._s3.get_object(Bucket=self._bucket, Key=file.key, IfMatch=file.etag, **wanted)  # type: ignore[arg-type]
            return answer["Body"].read()
        except ClientError as error:
            changed = code(error) in NO_SUCH_OBJECT | {"PreconditionFailed", "412"}
            self.failed = UserError(f"{file.key} was replaced while it was read; ask again") if changed else error
            raise self.failed from None
        except Exception as error:
            self.failed = error
            raise


class _Ranges(io.RawIOBase):
    """An object of which only parts are fetched."""

    def __init__(self, files: BucketFiles, file: File) -> None:
        self._files = files
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._file.size - self._at)
        if length <= 0:
            return 0
        buffer[:length] = self._files.fetch(self._file, self._at, length)
        self._at += length
        return length


def megabytes(count: int) -> str:
    return f"{count / 1_000_000:,.1f} MB"


def too_much(what: str) -> str:
    return (
        f"the query reads {what}; give it a condition on date and hour, or --from and --to, or allow more with --max-mb"
    )
