"""The order in which archived archive objects are read."""

import gc
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from producer.ops.archive_index import ArchiveIndex, Span
from producer.ops.archive_reader import Bucket, Listed

HOUR = 3_600_000
ELEVEN = 1_795_345_200_000  # 2026-11-22T11:00:00Z


class Keys(Bucket):
    """A bucket that is asked for nothing but its keys."""

    def __init__(self, keys: list[str]) -> None:
        self._keys = sorted(keys)

    def objects(self, prefix: str, after: str = "") -> Iterator[Listed]:
        for key in self._keys:
            if key.startswith(prefix) and key > after:
                yield Listed(key, 10, datetime.now(UTC))


def archive_object(hour: int, shard: int, first: int, prefix: str = "readings/") -> str:
    return f"{prefix}date=2026-11-22/hour={hour:02d}/shardId-{shard:012d}/{first:056d}-{0:010d}.ndjson.gz"


def names(items: Iterator[object]) -> list[str]:
    return [item.key for item in items]  # type: ignore[attr-defined]


def test_a_shards_archive_objects_come_by_position_even_where_arrival_times_went_back() -> None:
    in_order = [archive_object(10, 0, 1), archive_object(11, 0, 2), archive_object(10, 0, 3), archive_object(11, 0, 4)]
    with ArchiveIndex(Keys(in_order), "readings/", Span()) as index:
        assert names(index.by_shard()) == names(index.by_time()) == in_order
        assert [item.hour for item in index.by_time()] == ["2026-11-22 10h"] + ["2026-11-22 11h"] * 3


def test_a_parent_comes_before_its_children_and_time_goes_on_through_all_shards() -> None:
    in_order = [
        archive_object(9, 0, 1),
        archive_object(9, 1, 1),
        archive_object(10, 0, 2),
        archive_object(10, 2, 3),
        archive_object(11, 1, 5),
        archive_object(11, 2, 9),
    ]
    with ArchiveIndex(Keys(in_order), "readings/", Span()) as index:
        assert names(index.by_time()) == in_order
        assert index.shards() == {f"shardId-{n:012d}" for n in range(3)}
        assert (index.objects, index.bytes) == (6, 60)


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        (None, None, [9, 10, 11, 12]),
        (
            ELEVEN + 10 * 60_000,
            None,
            [10, 11, 12],
        ),  # an archive object that began at 10:05 may hold what arrived at 11:10
        (ELEVEN - HOUR, ELEVEN, [8, 9, 10, 11]),
        (None, ELEVEN - 1, [9, 10]),
        (ELEVEN + 4 * HOUR, None, []),
    ],
)
def test_archive_objects_that_may_hold_records_of_a_span(start: int | None, end: int | None, hours: list[int]) -> None:
    keys = [archive_object(hour, 0, hour) for hour in range(9, 13)]
    with ArchiveIndex(Keys(keys), "readings/", Span(start, end)) as index:
        assert names(index.by_time()) == [archive_object(hour, 0, hour) for hour in hours if hour > 8]


def test_an_index_that_nobody_closed_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ArchiveIndex(Keys([archive_object(9, 0, 1)]), "readings/", Span())
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_other_keys_are_unexpected_keys_but_for_undeliverable_records() -> None:
    odd = ["dead-letters/x", archive_object(9, 0, 1, "dead-letters/") + "x"]
    keys = [
        *odd,
        archive_object(9, 0, 1, "dead-letters/"),
        "dead-letters/date=1970-01-01/hour=00/undeliverable/ab.ndjson.gz",
    ]
    with ArchiveIndex(Keys(keys), "dead-letters/", Span()) as index:
        assert sorted(index.unexpected_keys()) == sorted(odd)
        assert index.has(archive_object(9, 0, 1, "dead-letters/"))
        assert not index.has("dead-letters/x")
