"""Which dead letters have been sent again: `redriven/<key of the dead-letter object>.json` in the archive bucket.

A redrive record is written before the first record is sent and completed afterwards, each time only if no other process
has written it. So two redrives never send the same record, and one that was killed leaves a trace: records that
were claimed and not completed may or may not be in the stream.
"""

import time
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import ClientError

from consumer.archive.format import DEAD_LETTERS
from consumer.aws.codes import CHANGED, CONFLICT, NO_SUCH_OBJECT, code
from consumer.aws.retry import delay
from producer.aws.errors import UserError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

REDRIVEN = "redriven/"
CONFLICTS = 12
"""Tries of a write that meets others: up to half a minute."""


class Mark(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One dead letter: when it was claimed and by which run; its new place once it is in the stream."""

    at: str
    run: str
    shard: str | None = None
    sequence_number: str | None = None

    @property
    def sent(self) -> bool:
        return self.sequence_number is not None


Marks = dict[str, Mark]
"""By position, `<sequence number>.<sub-sequence number>`."""


def redrive_record_key(dead_letters: str) -> str:
    """The redrive record's key for the key of a dead-letter object."""
    return f"{REDRIVEN}{dead_letters.removeprefix(DEAD_LETTERS)}.json"


class RedriveRecord:
    """The redrive record of one dead-letter object, as it was when it was read."""

    def __init__(self, s3: "S3Client", bucket: str, dead_letters: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self.key = redrive_record_key(dead_letters)
        self._etag: str | None = None
        self.marks: Marks = {}
        try:
            answer = self._s3.get_object(Bucket=bucket, Key=self.key)
        except self._s3.exceptions.NoSuchKey:
            return
        self._etag = answer["ETag"]
        try:
            self.marks = msgspec.json.decode(answer["Body"].read(), type=Marks)
        except msgspec.DecodeError as error:
            raise UserError(f"{self.key} is not a redrive record: {error}") from None

    def save(self) -> None:
        """Writes `marks`. Raises UserError when another redrive has written meanwhile, or does so all the time."""
        body = msgspec.json.format(msgspec.json.encode(self.marks), indent=1)
        for attempt in range(CONFLICTS):
            try:
                self._etag = self._put(body)
            except ClientError as error:
                if code(error) in CONFLICT:
                    time.sleep(delay(attempt))
                    continue
                if code(error) not in CHANGED | NO_SUCH_OBJECT:
                    raise
                self._etag = self._own(body)
            return
        raise UserError(f"{self.key} is written by others again and again; is another redrive at work?")

    def _put(self, body: bytes) -> str:
        if self._etag:
            return self._s3.put_object(Bucket=self._bucket, Key=self.key, Body=body, IfMatch=self._etag)["ETag"]
        return self._s3.put_object(Bucket=self._bucket, Key=self.key, Body=body, IfNoneMatch="*")["ETag"]

    def _own(self, body: bytes) -> str:
        """The ETag of what stands there if we wrote it: the SDK tries again when an answer is lost, and meets it."""
        try:
            stored = self._s3.get_object(Bucket=self._bucket, Key=self.key)
        except self._s3.exceptions.NoSuchKey:
            raise UserError(f"{self.key} was deleted while this redrive was at work; start it again") from None
        if stored["Body"].read() != body:
            raise UserError(f"another redrive is at work on the same dead letters ({self.key})")
        return stored["ETag"]
