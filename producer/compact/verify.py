"""Whether a curated object holds exactly the lines of its archive objects: each is restored and compared.

The archive objects are unpacked by the archive's own reader, not by DuckDB, which has made the rows.
"""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import duckdb

from consumer.archive.format import UnreadableLine
from producer.compact.rows import fetched
from producer.ops.archive_reader import unpacked


class Source(NamedTuple):
    """An archive object that was fetched; `records` as its metadata say, None where they do not."""

    key: str
    file: Path
    records: int | None


class NotEqual(Exception):
    """The curated object is not what it was made of."""


def verify(db: duckdb.DuckDBPyConnection, curated: Path, sources: Iterable[Source]) -> int:
    """Compares line by line, in the order of shards and positions, in which `sources` must be; returns how many.

    Raises NotEqual with the first line that differs, and UnreadableLine.
    """
    db.execute("SELECT line FROM archive_lines($1)", [str(curated)])
    count = 0
    for (key, line), (restored, *_) in zip_longest(_lines(sources), fetched(db), fillvalue=(None, None)):
        if line != restored:
            raise NotEqual(f"{key or 'after the last line'}: archived {_cut(line)}, compacted {_cut(restored)}")
        count += 1
    return count


def _lines(sources: Iterable[Source]) -> Iterator[tuple[str, bytes]]:
    for source in sources:
        count = 0
        with source.file.open("rb") as body:
            for line in unpacked(source.key, body):
                count += 1
                yield source.key, line
        if source.records not in (None, count):
            raise UnreadableLine(f"{count} lines, {source.records} by its metadata")


def _cut(line: bytes | None) -> str:
    return "nothing" if line is None else repr(line[:300])
