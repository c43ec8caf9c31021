"""Where compacted hours are, and what their objects say of themselves: docs/archive-format.md."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from consumer.archive.format import READINGS
from consumer.payload.contracts import Contracts
from producer.ops.archive_index import MAX_SPAN_MS
from producer.ops.archive_reader import Listed

CURATED: Final = "curated/"
FORMAT: Final = "1"
"""Of the rows (rows.sql). An hour of another one is written again."""


class Hour(NamedTuple):
    """An hour's folder of the archive, by the first record's arrival (UTC): `date=2026-11-25/hour=13/`."""

    folder: str

    @property
    def prefix(self) -> str:
        """Of its archive objects."""
        return READINGS + self.folder

    @property
    def key(self) -> str:
        """Of its curated object."""
        return f"{CURATED}{self.folder}readings.parquet"

    @property
    def begin_ms(self) -> int:
        return int(datetime.strptime(self.folder, "date=%Y-%m-%d/hour=%H/").replace(tzinfo=UTC).timestamp() * 1000)

    @property
    def finished_ms(self) -> int:
        """From when on no archive object of it is open any more. A consumer that is behind may store some later."""
        return self.begin_ms + 3_600_000 + MAX_SPAN_MS

    def __str__(self) -> str:
        return f"{self.folder[5:15]} {self.folder[21:23]}h"


class Curated(NamedTuple):
    """What a curated object says of itself (S3 user metadata)."""

    inputs: str
    """Digest of all that its content depends on: `inputs`."""
    objects: int
    lines: int
    readings: int

    def metadata(self) -> dict[str, str]:
        return {name: str(value) for name, value in self._asdict().items()}

    @classmethod
    def parse(cls, metadata: dict[str, str]) -> "Curated":
        """Of an object that this program has not written: nothing."""
        counts = (metadata.get(name, "") for name in ("objects", "lines", "readings"))
        return cls(metadata.get("inputs", ""), *(int(count) if count.isdecimal() else 0 for count in counts))


def inputs(objects: Iterable[Listed], contracts: Contracts) -> str:
    """The digest of what a curated object is made of: its archive objects' keys and ETags, format and contracts."""
    digest = hashlib.sha256(FORMAT.encode() + msgspec.json.encode(contracts.entries))
    for each in sorted(objects):
        digest.update(f"\n{each.key} {each.etag}".encode())
    return digest.hexdigest()
