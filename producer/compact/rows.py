"""From archive lines to the sorted rows of a curated object, out of core, by DuckDB (rows.sql).

DuckDB itself reads the usual line, as consumer/payload/shortcut.py does; the consumer's own code reads all others.
"""

import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import duckdb

from consumer.payload.contract import READY, Contract
from consumer.payload.contracts import Contracts
from consumer.payload.times import END_MS, FIRST_MS
from consumer.payload.values import SHORT
from producer.compact import unusual

ROW_GROUP: Final = 16_384
"""Rows. A reader takes whole groups: with so few, a device's hour is in one or two of them."""
MEMORY: Final = "1GB"
PORTION: Final = 32 * 1024 * 1024
"""Bytes of archive objects whose lines are sorted in memory; unpacked they are some ten times as large."""
FETCHED: Final = 2_000  # rows at once
PARQUET: Final = f"TO $file (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {ROW_GROUP})"
_SIMPLE_KEY: Final = re.compile(r"[\w .:/-]+", re.ASCII)


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that spills into the folder what is more than MEMORY."""
    config = {"memory_limit": MEMORY, "temp_directory": str(folder / "spill"), "default_null_order": "nulls_last"}
    db = duckdb.connect(config={**config, "preserve_insertion_order": "false"})
    db.execute("SET enable_progress_bar = false")
    return db


def write(db: duckdb.DuckDBPyConnection, folder: Path, objects: Sequence[Path], contracts: Contracts) -> Path:
    """Makes the rows of these archive objects (.ndjson.zst, .ndjson.gz) one Parquet file in `folder`; returns its path.

    First as many objects at a time as fit in memory, sorted; then all of these. A sort that needs the disk is several
    times quicker when what it gets is in order for long stretches.

    Raises UnreadableLine for a line that is none, and duckdb.Error for an object that is none.
    """
    define(db, contracts)
    made: list[str] = []
    for number, some in enumerate(_portions(objects)):
        made += _sorted(db, folder / f"sorted-{number}", some, contracts)
    if len(made) == 1:
        return Path(made[0])
    merged = folder / "merged.parquet"
    db.execute(f"COPY (FROM merged($files)) {PARQUET}", {"file": str(merged), "files": made})
    for file in made:
        Path(file).unlink()
    return merged


def _portions(objects: Sequence[Path]) -> Iterator[list[str]]:
    some: list[str] = []
    size = 0
    for path in objects:
        size += path.stat().st_size
        if some and size > PORTION:
            yield some
            some, size = [], path.stat().st_size
        some.append(str(path))
    yield some


def _sorted(db: duckdb.DuckDBPyConnection, name: Path, objects: list[str], contracts: Contracts) -> list[str]:
    """A sorted file of what DuckDB reads, and if it has left out lines, another of these."""
    usual, odd, rest = (f"{name}.{kind}" for kind in ("usual", "json", "unusual"))
    db.execute(f"COPY (FROM usual_sorted($objects)) {PARQUET}", {"file": usual, "objects": objects})
    db.execute("SELECT line FROM read_parquet($1) WHERE reading IS NULL", [usual])
    longest = unusual.write((line.encode() for (line,) in fetched(db)), contracts, Path(odd))
    if not longest:
        return [usual]
    db.execute(f"COPY (FROM unusual_sorted($odd, $longest)) {PARQUET}", {"file": rest, "odd": odd, "longest": longest})
    Path(odd).unlink()
    return [usual, rest]


def define(db: duckdb.DuckDBPyConnection, contracts: Contracts) -> None:
    """Makes the macros of rows.sql."""
    text = files("producer.compact").joinpath("rows.sql").read_text()
    for name, value in _usual(contracts).items():
        text = text.replace(f"<{name}>", value.replace("'", "''"))
    db.execute(text)


def fetched(db: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    """The rows of the last query."""
    while found := db.fetchmany(FETCHED):
        yield from found


def _usual(contracts: Contracts) -> dict[str, str]:
    """What rows.sql has to know of the first contract. If that is not a simple one, no line is usual."""
    entry = contracts.entries[0]
    contract = READY.get(entry) if isinstance(entry, str) else entry
    keys = _keys(contract) if contract and contracts.shortcut else None
    device, time, value = keys or ("none", "none", "none")
    ahead = contract.max_future_seconds * 1000 if contract else 0
    limits = {"longest": SHORT + 2, "first": FIRST_MS, "last": END_MS - 1, "ahead": ahead}
    return {
        "device": device,
        "time": time,
        "value": value,
        "usual": "true" if keys and contract and contract.max_past_seconds is None else "false",
    } | {name: str(limit) for name, limit in limits.items()}


def _keys(contract: Contract) -> tuple[str, str, str] | None:
    """Where a message has device, time and value, if these are keys that need no quotes."""
    keys = contract.device, contract.time, contract.value or ""
    return keys if all(map(_SIMPLE_KEY.fullmatch, keys)) else None
