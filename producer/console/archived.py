"""Where a record stands in the archive: its object and its line. The operator's role may read it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from consumer.archive.format import KEY, READINGS, Line, ObjectMetadata, folder, parse_line, position_text
from producer.aws.stack import Stack
from producer.aws.stream_reader import shard_of
from producer.fleet.message import iso_utc
from producer.ops.archive_index import MAX_SPAN_MS
from producer.ops.archive_reader import Bucket, parsed
from producer.ops.dead_letters import payload

OBJECTS = 60  # read at most for one look at a device


class ArchivedRecord(NamedTuple):
    """A record's line, its bytes, and its object's key."""

    key: str
    line: Line
    data: bytes

    def as_json(self) -> dict[str, Any]:
        line = self.line
        return {
            "key": self.key,
            "shard": line.shard,
            "position": position_text(line.position),
            "arrival": iso_utc(line.arrival) if line.arrival is not None else None,
            "rejected": line.rejected,
            "rejects": [{"index": each.index, "reason": each.reason, "detail": each.detail} for each in line.rejects],
            "bytes": len(self.data),
            **payload(self.data),
        }


class Archive:
    """Raises one of AWS_ERRORS, and UnreadableLine for an object that is damaged."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._bucket = Bucket(stack.session, stack.bucket)

    def find(self, shard: str, sequence: int, arrival: int) -> ArchivedRecord | None:
        """The record's line; None while its object is not stored. `arrival` in ms."""
        for key in self._keys(shard, arrival):
            found = KEY.fullmatch(key, len(READINGS))
            if found and int(found["first"].partition("-")[0]) <= sequence:
                return self._in_object(key, sequence)
        return None

    def newest(self, device: str, before: int, limit: int) -> tuple[list[ArchivedRecord], int]:
        """The newest archived records under a partition key that arrived before a time (ms), of the last hours that one
        look can reach; and how many objects were read."""
        shard = shard_of(self._stack.session, self._stack.stream, device)
        found: list[ArchivedRecord] = []
        read = 0
        for key in self._keys(shard, before):
            if len(found) >= limit or read == OBJECTS:
                break
            read += 1
            own = [each for each in self._lines(key) if each.line.partition_key == device]
            found += [each for each in reversed(own) if (each.line.arrival or 0) < before]
        return found[:limit], read

    def _in_object(self, key: str, sequence: int) -> ArchivedRecord | None:
        metadata = self._bucket.metadata(key)
        if metadata is None or ObjectMetadata.parse(metadata).last[0] < sequence:
            return None
        return next((each for each in self._lines(key) if each.line.position[0] == sequence), None)

    def _lines(self, key: str) -> Iterator[ArchivedRecord]:
        for line, data in parsed(self._bucket.open(key).lines, parse_line):
            yield ArchivedRecord(key, line, data)

    def _keys(self, shard: str, arrival: int) -> Iterator[str]:
        """The shard's objects that may hold what arrived until then, newest first: of its hour and the one before."""
        for hour in dict.fromkeys((folder(arrival), folder(arrival - MAX_SPAN_MS))):
            yield from sorted((each.key for each in self._bucket.objects(f"{READINGS}{hour}{shard}/")), reverse=True)
