"""SQL over a stack's archive, by DuckDB in this process: the tables and columns that Glue has (docs/analytics.md)."""

import base64
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from importlib.resources import files
from typing import Any, NamedTuple, Self
from uuid import UUID

import duckdb

from consumer.archive.format import READINGS
from producer.aws.errors import UserError
from producer.aws.stack import Stack
from producer.compact.layout import CURATED
from producer.ops.archive_index import Span
from producer.ops.bucket_files import BucketFiles, megabytes, too_much

FETCHED = 1000  # rows at once
SETTINGS = (
    "allowed_directories = ['archive://']",
    "enable_external_access = false",
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "enable_progress_bar = false",
    "integer_division = true",
)
"""Nothing but the bucket is read, and nothing is written; 7 / 2 is 3, as in Athena."""
MACROS = (
    "json_extract_scalar(j, p) AS CASE WHEN json_valid(j) THEN json_extract_string(j, p) END",
    "from_unixtime(s) AS make_timestamp(CAST(CAST(s AS DOUBLE) * 1000000 AS BIGINT))",
    "to_utf8(t) AS encode(t)",
    "approx_percentile(x, p) AS approx_quantile(x, p)",
    "element_at(m, k) AS m[k]",
    "count_if(c) AS count(*) FILTER (WHERE c)",
)
"""Functions that are called otherwise than in Athena, or answer otherwise."""
LINES = (
    "read_csv('{place}', columns = {'line': 'VARCHAR'}, header = false, auto_detect = false, "
    "delim = E'\\x01', quote = '', escape = '', new_line = '\\n', strict_mode = false, max_line_size = 33554432, "
    "hive_partitioning = true, hive_types = {'date': VARCHAR, 'hour': INT})"
)
PARQUET = "read_parquet('archive://curated/*', hive_partitioning = true, hive_types = {'date': VARCHAR, 'hour': INT})"
CURATED_COLUMNS = (
    "device VARCHAR, measured TIMESTAMP, value DOUBLE, measures MAP(VARCHAR, DOUBLE), reading INT, shard VARCHAR, "
    "sequence_number VARCHAR, sub_sequence_number BIGINT, partition_key VARCHAR, arrival TIMESTAMP, rejected INT, "
    "rejects VARCHAR, data BLOB, payload VARCHAR, line VARCHAR, date VARCHAR, hour INT"
)


def database(stack: str) -> str:
    """The name of the Glue database of a stack."""
    return stack.replace("-", "_")


def raw_view(place: str | None) -> str:
    """The SELECT of the table `raw`, over the archive objects there; None: over none."""
    none = "(SELECT '' AS line, '' AS date, 0 AS hour WHERE false)"
    lines = none if place is None else LINES.replace("{place}", place)
    return files("producer.ops").joinpath("raw.sql").read_text().replace("{lines}", lines)


class Answer(NamedTuple):
    """The names of the columns, those that are numbers, and the rows, which are read while they are taken."""

    columns: list[str]
    numbers: set[str]
    rows: Iterator[tuple[Any, ...]]


class Archive:
    """A stack's archive as tables, for one query. A context manager."""

    def __init__(self, stack: Stack, span: Span, max_bytes: int) -> None:
        self._files = BucketFiles(stack.session, stack.bucket, span, max_bytes)
        self._db = duckdb.connect()
        self._db.register_filesystem(self._files)
        for setting in SETTINGS:
            self._db.execute(f"SET {setting}")
        name = f'"{database(stack.name)}"'
        self._db.execute(f"CREATE SCHEMA IF NOT EXISTS {name}; USE {name}")
        for macro in MACROS:
            self._db.execute(f"CREATE MACRO {macro}")

    @property
    def read(self) -> str:
        """What the query has read of the bucket, for people."""
        return f"{megabytes(self._files.bytes)} of {self._files.opened} objects read"

    def ask(self, query: str) -> Answer:
        """Raises UserError for what is no query, or a wrong one, or reads too much; so do the answer's rows."""
        with self._explained():
            _check(self._db, query)
            tables = {name.rpartition(".")[2].lower() for name in self._db.get_table_names(query)}
            if "raw" in tables:
                self._make_raw()
                self._refuse_too_much(query)
            if "curated" in tables:
                self._make_curated()
            result = self._db.execute(query)
        columns = result.description or []
        numbers = {name for name, kind, *_ in columns if str(kind) == "NUMBER"}
        return Answer([column[0] for column in columns], numbers, self._fetched(result))

    def _fetched(self, result: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
        while True:
            with self._explained():
                found = result.fetchmany(FETCHED)
            if not found:
                return
            yield from found

    def _make_raw(self) -> None:
        found = self._files.files(READINGS)
        self._db.execute(
            "CREATE TABLE main.listed AS SELECT unnest($1) AS date, unnest($2) AS hour, unnest($3) AS size",
            [[file.date for file in found], [file.hour for file in found], [file.size for file in found]],
        )
        self._db.execute(f"CREATE VIEW raw AS {raw_view('archive://readings/*' if found else None)}")

    def _make_curated(self) -> None:
        if self._files.files(CURATED):
            self._db.execute(f"CREATE VIEW curated AS SELECT * FROM {PARQUET}")  # noqa: S608
        else:
            self._db.execute(f"CREATE TABLE curated ({CURATED_COLUMNS})")

    def _refuse_too_much(self, query: str) -> None:
        """Archive objects are read whole, so what those that the plan scans have is known beforehand."""
        plan = json.loads(self._db.execute(f"EXPLAIN (FORMAT JSON) {query}").fetchall()[0][1])
        objects = size = 0
        for scan in _scans(plan):
            among = scan.get("File Filters", "true").replace(")(", ") AND (")
            counted = self._db.execute(f"SELECT count(*), coalesce(sum(size), 0) FROM main.listed WHERE {among}")  # noqa: S608
            [(more, of_them)] = counted.fetchall()
            objects, size = objects + more, size + int(of_them)
        if size > self._files.max_bytes:
            raise UserError(too_much(f"{megabytes(size)} in {objects} objects"))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            if self._files.failed:
                raise self._files.failed from None
            said = str(error).partition("\n\nLINE ")[0]
            raise UserError(" ".join(said.split())) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()


def _check(db: duckdb.DuckDBPyConnection, query: str) -> None:
    kinds = [statement.type for statement in db.extract_statements(query)]
    if kinds != [duckdb.StatementType.SELECT]:
        raise UserError("one SELECT is needed; nothing can be written")


def _scans(nodes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What a plan says of each scan of archive objects."""
    for node in nodes:
        if node["name"].strip() == "READ_CSV":
            yield node["extra_info"]
        yield from _scans(node["children"])


def plain(value: Any) -> Any:
    """A value as JSON can have it: times in ISO-8601 (UTC), bytes in base64, what is no number null."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case bytes():
            return base64.b64encode(value).decode()
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta() | UUID():
            return str(value)
        case list() | tuple():
            return [plain(each) for each in value]
        case dict():
            return {str(name): plain(each) for name, each in value.items()}
    return value
