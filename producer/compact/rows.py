"""From archive lines to the sorted rows of a curated object, out of core, by DuckDB (rows.sql).

DuckDB itself reads the usual line, as consumer/payload/shortcut.py does; the consumer's own code reads all others.
"""

import re
from collections.abc import Iterator
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
FETCHED: Final = 2_000  # rows at once
PARQUET: Final = f"TO $file (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {ROW_GROUP})"
_SIMPLE_KEY: Final = re.compile(r"[\w .:/-]+", re.ASCII)


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that spills into the folder what is more than MEMORY."""
    config = {"memory_limit": MEMORY, "temp_directory": str(folder / "spill"), "default_null_order": "nulls_last"}
    db = duckdb.connect(config={**config, "preserve_insertion_order": "false"})
    db.execute("SET enable_progress_bar = false")
    return db


def write(db: duckdb.DuckDBPyConnection, folder: Path, contracts: Contracts) -> Path:
    """Makes the rows of the archive objects in `folder` (*.ndjson.zst, *.ndjson.gz) a Parquet file; returns its path.

    Raises UnreadableLine for a line that is none, and duckdb.Error for an object that is none.
    """
    define(db, folder, contracts)
    usual, odd, merged = folder / "usual.parquet", folder / "unusual.json", folder / "merged.parquet"
    db.execute(f"COPY (FROM usual_sorted) {PARQUET}", {"file": str(usual)})
    db.execute("SELECT line FROM read_parquet($1) WHERE line IS NOT NULL", [str(usual)])
    if not unusual.write((line.encode() for (line,) in fetched(db)), contracts, odd):
        return usual
    both = {"usual": str(usual), "unusual": str(odd)}
    db.execute(f"COPY (FROM all_sorted($usual, $unusual)) {PARQUET}", {"file": str(merged), **both})
    return merged


def define(db: duckdb.DuckDBPyConnection, folder: Path, contracts: Contracts) -> None:
    """Makes the views and macros of rows.sql."""
    text = files("producer.compact").joinpath("rows.sql").read_text()
    for name, value in {"folder": str(folder), **_usual(contracts)}.items():
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
