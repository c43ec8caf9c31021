"""Conditional writes that others are in the way of: tried again, with a wait that grows."""

import asyncio
import io
import random
import time
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError

from consumer.archive.compression import Body
from consumer.archive.format import ArchiveObject, ObjectMetadata
from consumer.archive.store import Archive
from consumer.telemetry.metrics import Metrics
from producer.aws.errors import UserError
from producer.ops.redrive_records import Mark, RedriveRecord
from tests.unit.fakes import FakeS3, error

KEY = "readings/a"
GROWING = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits that were asked for, each as long as it may be; none takes any time."""
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(time, "sleep", asked.append)
    monkeypatch.setattr(random, "uniform", lambda _, most: most)
    return asked


def archive_object(epoch: int) -> ArchiveObject:
    body = Body("zstd", epoch)
    body.write([b"{}\n"])
    return ArchiveObject("a", ObjectMetadata((1, 0), (1, 0), 1, epoch), body.read(), Body("zstd", epoch).read())


async def commit(s3: FakeS3, epoch: int = 2) -> None:
    archive = Archive(s3, "bucket", Metrics())  # type: ignore[arg-type]
    await archive.commit(archive_object(epoch), lambda: None)


@pytest.mark.parametrize("replaces", [False, True])
async def test_a_conflict_is_tried_again_after_a_growing_wait(waits: list[float], replaces: bool) -> None:
    s3 = FakeS3()
    if replaces:
        await commit(s3, epoch=1)
    conflicts = iter(GROWING)

    def fail(operation: str, key: str) -> None:
        if operation == "PutObject" and next(conflicts, None):
            raise error("ConditionalRequestConflict", operation)

    s3.fail = fail
    await commit(s3)
    assert waits == GROWING
    assert s3.objects[KEY][1]["epoch"] == "2"


async def test_an_object_that_others_write_and_delete_is_tried_again_after_a_growing_wait(waits: list[float]) -> None:
    """There at each PUT, gone at each HEAD: once is a replay's luck, more often is a quarrel."""
    s3 = FakeS3()
    rounds = iter(range(7))

    def fail(operation: str, key: str) -> None:
        if operation == "PutObject" and next(rounds, None) is not None:
            raise error("PreconditionFailed", operation)

    s3.fail = fail
    await commit(s3)
    assert waits == GROWING
    assert KEY in s3.objects


async def test_an_object_that_others_change_again_and_again_is_tried_again_after_a_growing_wait(
    waits: list[float],
) -> None:
    s3 = FakeS3()
    await commit(s3, epoch=1)
    rounds = iter(range(7))

    def fail(operation: str, key: str) -> None:
        if operation == "PutObject" and (number := next(rounds, None)) is not None:
            body, metadata, _ = s3.objects[key]
            s3.objects[key] = body, metadata, f"etag {number}"

    s3.fail = fail
    await commit(s3)
    assert waits == GROWING
    assert s3.objects[KEY][1]["epoch"] == "2"


class MarkerS3:
    """A bucket that holds one object, or none, and answers the next writes with the given errors."""

    exceptions = boto3.client("s3", region_name="eu-central-1").exceptions

    def __init__(self, *codes: str) -> None:
        self.codes = list(codes)
        self.body: bytes | None = None

    def get_object(self, **_: str) -> dict[str, Any]:
        if self.body is None:
            raise self.exceptions.NoSuchKey({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.body), "ETag": "etag"}

    def put_object(self, *, Body: bytes, **_: str) -> dict[str, Any]:
        if self.codes:
            raise ClientError({"Error": {"Code": self.codes.pop(0)}}, "PutObject")
        self.body = Body
        return {"ETag": "etag"}


def redrive_record(s3: MarkerS3) -> RedriveRecord:
    made = RedriveRecord(cast(Any, s3), "bucket", "dead-letters/a")
    made.marks = {"1.0": Mark("2026-01-01T00:00:00Z", "run")}
    return made


def test_a_redrives_mark_waits_for_conflicts(waits: list[float]) -> None:
    s3 = MarkerS3(*["ConditionalRequestConflict"] * 6)
    redrive_record(s3).save()
    assert waits == GROWING
    assert s3.body


@pytest.mark.parametrize(
    ("codes", "reported"),
    [
        (["ConditionalRequestConflict"] * 99, "again and again"),
        (["NoSuchKey"], "was deleted"),
        (["PreconditionFailed"], "was deleted"),
    ],
)
def test_a_redrives_mark_that_cannot_be_written_is_one_line(
    waits: list[float], codes: list[str], reported: str
) -> None:
    with pytest.raises(UserError, match=reported):
        redrive_record(MarkerS3(*codes)).save()
    assert len(waits) < 20
