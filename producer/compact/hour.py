"""One hour of the archive as one Parquet object: fetched, sorted, verified line by line, and then made visible.

Nothing of it is visible before the one request that completes the upload, and that succeeds only over the version that
was looked at before. So a run that is killed leaves the old object or the new one, and of two runs at a time one is
told that it was late.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import duckdb
from botocore.exceptions import ClientError

from consumer.archive.format import KEY, UnreadableLine
from consumer.aws.codes import NO_SUCH_OBJECT, code
from consumer.payload.contracts import Contracts
from producer.aws.errors import UserError
from producer.compact import rows
from producer.compact.layout import Curated, Hour, inputs
from producer.compact.verify import Source, verify
from producer.ops.archive_reader import Listed

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

FETCHERS = 8
PART = 64 * 1024 * 1024  # bytes; 10,000 of them at most
DISK = 12  # times the archive objects' size: they themselves, two Parquet files, what a sort has put on disk
CHANGED = NO_SUCH_OBJECT | {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchUpload", "412", "409"}


class Changed(Exception):
    """The archive, or the curated object, is not what it was when it was looked at."""


class Store:
    """The archive bucket, as far as compaction needs it."""

    def __init__(self, session: boto3.Session, bucket: str) -> None:
        self._s3: S3Client = session.client("s3")
        self._bucket = bucket

    def curated(self, hour: Hour) -> tuple[Curated, str] | None:
        """What the hour's object says of itself, and its ETag; None when there is none."""
        try:
            found = self._s3.head_object(Bucket=self._bucket, Key=hour.key)
        except ClientError as error:
            if code(error) in NO_SUCH_OBJECT:
                return None
            raise
        return Curated.parse(found["Metadata"]), found["ETag"]

    def fetch(self, objects: Sequence[Listed], folder: Path) -> list[Source]:
        """The objects as files. Raises Changed when one is not as it was listed."""
        with ThreadPoolExecutor(FETCHERS) as pool, _changed():
            paths = (folder / f"{n:08d}.{each.key.split('.', 1)[1]}" for n, each in enumerate(objects))
            return list(pool.map(self._fetch, objects, paths))

    def _fetch(self, each: Listed, path: Path) -> Source:
        answer = self._s3.get_object(Bucket=self._bucket, Key=each.key, IfMatch=each.etag)
        with path.open("wb") as file:
            shutil.copyfileobj(answer["Body"], file)
        records = answer["Metadata"].get("records", "")
        return Source(each.key, path, int(records) if records.isdecimal() else None)

    def put(self, hour: Hour, file: Path, says: Curated, etag: str | None) -> None:
        """Makes the file the hour's object, in the place of the version `etag`. Raises Changed when there is another.

        An upload that does not come to its end is not visible; the bucket's lifecycle takes it away.
        """
        place: Any = {"Bucket": self._bucket, "Key": hour.key}
        kind = "application/vnd.apache.parquet"
        upload = self._s3.create_multipart_upload(**place, Metadata=says.metadata(), ContentType=kind)["UploadId"]
        parts: list[Any] = []
        with file.open("rb") as body:
            while part := body.read(PART):
                number = len(parts) + 1
                answer = self._s3.upload_part(**place, UploadId=upload, PartNumber=number, Body=part)
                parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        over: Any = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        with _changed():
            self._s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts}, **over)


@contextmanager
def _changed() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if code(error) in CHANGED:
            raise Changed from None
        raise


def compact(store: Store, hour: Hour, objects: Sequence[Listed], contracts: Contracts, etag: str | None) -> Curated:
    """Writes the hour's object out of all its archive objects, in the place of the version `etag`; returns what it says
    of itself.

    Raises UnreadableLine for an archive object that is none, NotEqual when the result is not what it was made of,
    Changed, and UserError when the disk is too small.
    """
    objects = sorted(objects, key=_by_shard)
    with tempfile.TemporaryDirectory(prefix="sensorstream-compact-") as name:
        folder = Path(name)
        needed, free = DISK * sum(each.size for each in objects), shutil.disk_usage(folder).free
        if free < needed:
            raise UserError(
                f"{hour} needs {needed / 1e9:.1f} GB in {folder.parent}, {free / 1e9:.1f} GB are free (TMPDIR)"
            )
        sources = store.fetch(objects, folder)
        with rows.connect(folder) as db:
            try:
                file = rows.write(db, folder, [source.file for source in sources], contracts)
            except duckdb.Error as error:
                raise _explained(error, sources) from None
            lines = verify(db, file, sources)
            counted = db.execute("SELECT count(device) FROM read_parquet($1)", [str(file)]).fetchall()
        says = Curated(inputs(objects, contracts), len(objects), lines, counted[0][0])
        store.put(hour, file, says, etag)
        return says


def _by_shard(each: Listed) -> tuple[str, str]:
    found = KEY.fullmatch(each.key, each.key.index("/") + 1)
    return (found["shard"], found["first"]) if found else ("", each.key)


def _explained(error: duckdb.Error, sources: Sequence[Source]) -> UserError | UnreadableLine:
    """DuckDB names its files; people know the objects."""
    text = str(error).partition("\n")[0]
    for source in sources:
        text = text.replace(str(source.file), source.key)
    return UserError(text) if isinstance(error, duckdb.OutOfMemoryException) else UnreadableLine(text)
