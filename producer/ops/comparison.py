"""The audit's working memory: what was published and what is there, in a temporary database.

A database, because a run of ten minutes may have a million readings. The comparison itself is comparison.sql.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from producer.fleet.ledger import Entry
from producer.fleet.message import iso_utc

HERE = Path(__file__).parent
PLACES = 20  # of each kind of finding that a report shows
MAX_DIGITS = 20  # digits beyond which a number is written with an exponent


@dataclass(slots=True)
class Finding:
    """One kind of fault: how often, and the first places."""

    count: int = 0
    places: list[str] = field(default_factory=list)
    untold: int = 0  # further places


class Findings(dict[str, Finding]):
    """Faults by kind, each kind with its number and its first PLACES places. Empty: all is well."""

    def add(self, kind: str, place: str, count: int = 1) -> None:
        """`count` faults at one place."""
        finding = self.setdefault(kind, Finding())
        finding.count += count
        if len(finding.places) < PLACES:
            finding.places.append(place)
        else:
            finding.untold += 1

    def as_json(self) -> dict[str, Any]:
        return {kind: {"count": f.count, "places": f.places} for kind, f in self.items()}

    def as_lines(self) -> Iterator[str]:
        """For people."""
        for kind, finding in self.items():
            yield ""
            yield f"{kind.replace('_', ' ')}: {finding.count}"
            yield from (f"  {place}" for place in finding.places)
            if finding.untold:
                yield f"  ... and {finding.untold} more"


class Comparison:
    """Filled by the `add_*` methods, then `compare`d once."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds the database while it is needed."""
        self._db = sqlite3.connect(folder / "audit.sqlite")
        # Only this process reads it, and it is not needed after a crash.
        self._db.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + (HERE / "tables.sql").read_text()
        )

    def close(self) -> None:
        self._db.close()

    def add_sent(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            rows = [(device, iso_utc(ms), normal(value)) for device, ms, value in entry.rows]
            self._db.execute(
                "INSERT OR REPLACE INTO sent VALUES (?,?,?,?,?,?,?)",
                (
                    entry.n,
                    entry.device,
                    entry.at,
                    entry.ack,
                    ",".join(entry.rejects),
                    entry.crc,
                    content(rows) if entry.crc is None else None,
                ),
            )
            alerts = ((entry.n, i, device, normal(value)) for i, (device, value) in enumerate(entry.alerts))
            self._db.executemany("INSERT OR REPLACE INTO alerting VALUES (?,?,?,?)", alerts)
            self._db.executemany(
                "INSERT INTO expected VALUES (?,?,?,?,?)", ((entry.n, i, *row) for i, row in enumerate(rows))
            )

    def add_streamed(self, records: Iterable[tuple[str, str, int | None]]) -> None:
        """(shard, sequence number, message number) of stream records."""
        self._db.executemany(
            "INSERT INTO streamed VALUES (?,?,?)", ((shard, padded(sequence), n) for shard, sequence, n in records)
        )

    def add_lines(self, lines: Iterable[tuple[str, str, int, int | None, str, int, int | None, str]]) -> None:
        """(shard, sequence number, sub-sequence number, message number, reasons joined by commas, CRC-32 of the
        original bytes, `content` of the readings or None, object key) of archive lines."""
        self._db.executemany(
            "INSERT INTO line VALUES (?,?,?,?,?,?,?,?)", ((a, padded(b), *rest) for a, b, *rest in lines)
        )

    def add_dead(self, lines: Iterable[tuple[str, str, int, int | None, str]]) -> None:
        """(shard, sequence number, sub-sequence number, message number, object key) of dead letters."""
        self._db.executemany("INSERT INTO dead VALUES (?,?,?,?,?)", ((a, padded(b), *rest) for a, b, *rest in lines))

    def add_rows(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """(device, time, value) of the table's rows."""
        self._db.executemany("INSERT OR REPLACE INTO row VALUES (?,?,?)", ((d, t, normal(v)) for d, t, v in rows))

    def add_alerts(self, alerts: Iterable[tuple[str, str]]) -> None:
        """(device, humidity) of the alerts that came to the subscriber."""
        self._db.executemany("INSERT INTO alert VALUES (?,?)", ((device, normal(value)) for device, value in alerts))

    def sent_between(self) -> tuple[int, int] | None:
        """Times (ms) of the first and the last publish; None for an empty ledger."""
        first, last = self._one("SELECT min(at), max(at) FROM sent")
        return None if first is None else (first, last)

    def changed_on_the_way(self) -> bool:
        """Whether messages went through the IoT rules, so that their readings and not their bytes are compared."""
        return bool(self._one("SELECT EXISTS (SELECT * FROM sent WHERE crc IS NULL)")[0])

    def keys(self) -> Iterator[tuple[str, str, str]]:
        """(device, first time, last time) of the rows to look for."""
        yield from self._db.execute("SELECT device, min(time), max(time) FROM expected GROUP BY device")

    def compare(self) -> tuple[dict[str, int], Findings]:
        """The counts, and what was found."""
        self._db.executescript((HERE / "comparison.sql").read_text())
        found = Findings()
        for kind in self._views("found_"):
            for (place,) in self._db.execute(f"SELECT place FROM found_{kind}"):  # noqa: S608 - our own view
                found.add(kind, place)
        counts = {name: self._one(f"SELECT n FROM count_{name}")[0] for name in self._views("count_")}  # noqa: S608
        return counts, found

    def _views(self, prefix: str) -> list[str]:
        """Names without their prefix, in the order of the file."""
        names = self._db.execute("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY rowid")
        return [name.removeprefix(prefix) for (name,) in names if name.startswith(prefix)]

    def _one(self, query: str) -> tuple[int, ...]:
        (row,) = self._db.execute(query)
        return tuple(row)


def padded(sequence: str) -> str:
    return sequence.zfill(56)


def normal(value: str) -> str:
    """One text for one number (20.10 and 2.01e1 are 20.1); other values are unchanged."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        return value
    if not number.is_finite():
        return value
    if not number:
        return "0"
    number = Context(prec=len(value), Emax=MAX_EMAX, Emin=MIN_EMIN).normalize(number)  # the usual one keeps 28 digits
    return f"{number:f}" if abs(number.adjusted()) < MAX_DIGITS else str(number)


def content(rows: Iterable[tuple[str, str, str]]) -> int:
    """A checksum of readings (device, time, value), to compare what an IoT rule has re-encoded."""
    return zlib.crc32("\n".join("\t".join(row) for row in rows).encode())
