"""The audit's working memory: what was published and what is there, in a temporary database.

A database, because a run of ten minutes may have a million readings. The comparison itself is comparison.sql.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from producer.fleet.ledger import Entry
from producer.fleet.message import ARRIVAL, iso_utc
from producer.fleet.normal import normal

HERE = Path(__file__).parent
PLACES = 20  # of each kind of finding that a report shows


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


Archived = tuple[str, str, int, int | None, str, int, int | None, str, int | None]
"""An archive line: shard, sequence number, sub-sequence number, message number, reasons joined by commas, CRC-32 of the
original bytes, `document_crc` or None, object key, arrival (ms)."""


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
            rows = [(device, "" if ms == ARRIVAL else iso_utc(ms), normal(value)) for device, ms, value in entry.rows]
            self._db.execute(
                "INSERT OR REPLACE INTO sent VALUES (?,?,?,?,?,?,?)",
                (
                    entry.n,
                    entry.device,
                    entry.at,
                    entry.ack,
                    ",".join(entry.rejects),
                    entry.crc,
                    entry.document,
                ),
            )
            alerts = ((entry.n, i, device, normal(value)) for i, (device, value) in enumerate(entry.alerts))
            self._db.executemany("INSERT OR REPLACE INTO alerting VALUES (?,?,?,?)", alerts)
            self._db.executemany(
                "INSERT INTO expected VALUES (?,?,?,?,?)", ((entry.n, i, *row) for i, row in enumerate(rows))
            )

    def add_streamed(self, records: Iterable[tuple[str, str, int, int | None]]) -> None:
        """(shard, sequence number, sub-sequence number, message number) of stream records."""
        self._db.executemany(
            "INSERT INTO streamed VALUES (?,?,?,?)",
            ((shard, padded(sequence), sub, n) for shard, sequence, sub, n in records),
        )

    def add_lines(self, lines: Iterable[Archived]) -> None:
        self._db.executemany(
            "INSERT INTO line VALUES (?,?,?,?,?,?,?,?,?)",
            ((*each[:1], padded(each[1]), *each[2:-1], each[-1] and iso_utc(each[-1])) for each in lines),
        )

    def settle_times(self) -> None:
        """Gives readings without a time of their own that of their arrival, once all lines are there."""
        self._db.executescript(
            "CREATE INDEX line_n ON line (n);"
            "UPDATE expected SET time = coalesce((SELECT min(arrival) FROM line WHERE n = expected.n), '')"
            "  WHERE time = '';"
        )

    def add_dead(self, lines: Iterable[tuple[str, str, int, int | None, str]]) -> None:
        """(shard, sequence number, sub-sequence number, message number, object key) of dead letters."""
        self._db.executemany("INSERT INTO dead VALUES (?,?,?,?,?)", ((a, padded(b), *rest) for a, b, *rest in lines))

    def add_rows(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """(device, time, `row_text`) of the table's rows."""
        self._db.executemany("INSERT OR REPLACE INTO row VALUES (?,?,?)", ((d, t, normal(v)) for d, t, v in rows))

    def add_alerts(self, alerts: Iterable[tuple[str, str]]) -> None:
        """(device, humidity) of the alerts that came to the subscriber."""
        self._db.executemany("INSERT INTO alert VALUES (?,?)", ((device, normal(value)) for device, value in alerts))

    def take_alerts(self) -> list[tuple[str, str]]:
        """(device, value) of the readings that were published and meet the condition; they are not expected at the
        subscriber any more."""
        found = self._db.execute(
            "SELECT DISTINCT e.device, e.value FROM alerting e JOIN sent s ON s.n = e.n WHERE s.ack"
        ).fetchall()
        self._db.execute("DELETE FROM alerting")
        return found

    def sent_between(self) -> tuple[int, int] | None:
        """Times (ms) of the first and the last publish; None for an empty ledger."""
        first, last = self._one("SELECT min(at), max(at) FROM sent")
        return None if first is None else (first, last)

    def changed_on_the_way(self) -> bool:
        """Whether messages went through the IoT rules, so that their JSON and not their bytes is compared."""
        return bool(self._one("SELECT EXISTS (SELECT * FROM sent WHERE crc IS NULL)")[0])

    def keys(self) -> Iterator[tuple[str, str, str]]:
        """(device, first time, last time) of the rows to look for."""
        yield from self._db.execute(
            "SELECT device, min(time), max(time) FROM expected WHERE time <> '' GROUP BY device"
        )

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
