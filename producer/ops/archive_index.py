"""What the archive consists of, in the order of the stream: its keys, sorted in a temporary database.

The keys sort by hour first, and arrival times may go back a little at an hour's end; so the listing alone does not give
a shard's archive objects in the order of their sequence numbers. A database, because a year of a large stream has
millions of archive objects.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

from consumer.archive.format import KEY, UNDELIVERABLE, folder
from producer.ops.archive_reader import Bucket, Listed

MAX_SPAN_MS = 65 * 60_000
"""An archive object's records arrived within so long: ARCHIVE_MAX_SECONDS is 3600 at most, and clocks differ a
little."""


@dataclass(frozen=True, slots=True)
class Span:
    """From (including) and to (excluding) which arrival, in ms; None: unlimited."""

    start: int | None = None
    end: int | None = None

    def holds(self, ms: int | None) -> bool:
        """A record without an arrival time counts as of 1970, as its archive object's key has it."""
        at = ms or 0
        return (self.start is None or at >= self.start) and (self.end is None or at < self.end)


class Item(NamedTuple):
    """An object of the index; `hour` is text such as `2026-11-22 10h`."""

    key: str
    size: int
    shard: str
    hour: str


class ArchiveIndex:
    """The objects below one prefix that may hold records of a span. A context manager: its file goes with it."""

    def __init__(self, bucket: Bucket, prefix: str, span: Span) -> None:
        # No name: a file that SQLite takes away itself, whatever ends us. Read by one thread at a time, but not always
        # the same.
        self._db = sqlite3.connect("", check_same_thread=False)
        self._db.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE object (shard TEXT, first TEXT, hour TEXT, key TEXT, size INTEGER);"
            "CREATE TABLE unexpected (key TEXT);"
        )
        self._prefix = prefix
        self._add(within(bucket, prefix, span))
        self._db.execute("CREATE UNIQUE INDEX object_key ON object (key)")
        self.objects, self.bytes = self._db.execute("SELECT count(*), coalesce(sum(size), 0) FROM object").fetchone()

    def _add(self, listed: Iterable[Listed]) -> None:
        for item in listed:
            if found := KEY.fullmatch(item.key, len(self._prefix)):
                date, hour, shard, first = found.groups()
                row = (shard, first, f"{date} {hour}h", item.key, item.size)
                self._db.execute("INSERT INTO object VALUES (?,?,?,?,?)", row)
            else:
                self._db.execute("INSERT INTO unexpected VALUES (?)", (item.key,))

    def by_shard(self) -> Iterator[Item]:
        """Shard by shard, in each by position."""
        yield from self._items("SELECT key, size, shard, hour FROM object ORDER BY shard, first, key")

    def by_time(self) -> Iterator[Item]:
        """Hour by hour; within it shard by shard, in each by position.

        A shard's archive objects are in the order of their positions in any case, and a parent comes before its
        children: these have higher numbers, and their records arrive after its end.
        """
        yield from self._items(
            "SELECT key, size, shard, at FROM (SELECT *, max(hour) OVER (PARTITION BY shard ORDER BY first) AS at"
            " FROM object) ORDER BY at, shard, first, key"
        )

    def shards(self) -> set[str]:
        return {shard for (shard,) in self._db.execute("SELECT DISTINCT shard FROM object")}

    def has(self, key: str) -> bool:
        return self._db.execute("SELECT 1 FROM object WHERE key = ?", (key,)).fetchone() is not None

    def unexpected_keys(self) -> Iterator[str]:
        """Keys that are not those of archive objects."""
        for (key,) in self._db.execute("SELECT key FROM unexpected ORDER BY key"):
            yield key

    def _items(self, query: str) -> Iterator[Item]:
        for row in self._db.execute(query):
            yield Item(*row)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()


def within(bucket: Bucket, prefix: str, span: Span) -> Iterator[Listed]:
    """What the bucket lists below a prefix, of all hours whose archive objects may hold records of the span."""
    after = "" if span.start is None else f"{prefix}{folder(span.start - MAX_SPAN_MS)}"
    last = "" if span.end is None else f"{prefix}{folder(span.end)}~"
    for item in bucket.objects(prefix, after):
        if last and item.key > last:
            return
        if not item.key.startswith(UNDELIVERABLE):
            yield item
