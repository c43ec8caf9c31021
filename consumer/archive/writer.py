"""The open archive object: which records it takes, and where it ends. Pure: no I/O, no clock.

Invariant 2. An archive object starts at the first record after the checkpoint. Where it ends is a function of the
records alone (their count, bytes and arrival times), never of the wall clock or of delivery boundaries. Its key is made
of the shard and its first position. PUT, then checkpoint, one archive object at a time: so a replay after any crash
gives the same objects, and each record is in the archive exactly once. Only an idle shard and a shutdown close an
object earlier: see fence.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from consumer.archive.compression import Body, Compression
from consumer.archive.format import ArchiveObject, ObjectMetadata, key, line
from consumer.payload.reading import Decoded
from consumer.record import Position, Record


@dataclass(frozen=True, slots=True)
class RotationPolicy:
    """Where archive objects end: after `records` records or `size` bytes of lines, or before a record that arrived
    `window_ms` after the first. May differ between owners; the fence keeps that safe."""

    records: int
    size: int
    window_ms: int


Item = tuple[Position, Record, Decoded]
"""A record of the shard, at this position."""


class ObjectWriter:
    """One open archive object. Holds compressed lines, so its memory is a fraction of the records taken."""

    def __init__(
        self,
        shard: str,
        epoch: int,
        compression: Compression,
        rotation: RotationPolicy,
        position: Position,
        first: Record,
        rollup_seconds: int = 0,
    ) -> None:
        self._shard = shard
        self._epoch = epoch
        self._compression: Compression = compression
        self._rotation = rotation
        self._rollup_seconds = rollup_seconds
        self.first = self.last = position
        self.arrival = first.approximate_arrival_timestamp or 0
        self.records = 0
        self._dead_records = 0
        self._size = 0
        self._lines = Body(compression, epoch)
        self._dead: Body | None = None  # created when needed: gzip takes a quarter of a megabyte
        self.want: Position | None = None
        """The last record of an adopted object: ours must not be closed before it holds that record."""

    def take(self, records: Iterable[Item]) -> int:
        """Adds the next records of the shard, up to where this object ends; returns how many.

        It ends with the last of them if it is `full`, else before the next one.
        """
        texts: list[bytes] = []
        for position, record, decoded in records:
            arrival = record.approximate_arrival_timestamp
            if arrival is not None and arrival - self.arrival >= self._rotation.window_ms and not self.want:
                break
            text = line(self._shard, record, decoded)
            texts.append(text)
            if decoded.rejected:
                self._dead = self._dead or Body(self._compression, self._epoch)
                self._dead.write([text])
                self._dead_records += 1
            self.last = position
            self.records += 1
            self._size += len(text)
            if self.full:
                break
        self._lines.write(texts)
        return len(texts)

    @property
    def full(self) -> bool:
        """Whether the archive object is to be committed before another record is taken."""
        if self.want:
            return self.last >= self.want
        return self.records >= self._rotation.records or self._size >= self._rotation.size

    @property
    def closable(self) -> bool:
        """Whether an idle shard or a shutdown may close it here."""
        return self.want is None or self.last >= self.want

    def expired(self, now: float) -> bool:
        """Whether its window is over at `now` (ms since the epoch), so that an idle, caught-up shard closes it."""
        return self.closable and now - self.arrival >= self._rotation.window_ms

    def close(self) -> ArchiveObject:
        """The archive object with the records so far. Writing can go on (as after Adopt)."""
        return ArchiveObject(
            key=key(self._shard, self.first, self.arrival, self._compression),
            metadata=ObjectMetadata(
                self.first, self.last, self.records, self._epoch, self._dead_records or None, self._rollup_seconds
            ),
            body=self._lines.read(),
            dead_letters=(self._dead or Body(self._compression, self._epoch)).read(),
        )
