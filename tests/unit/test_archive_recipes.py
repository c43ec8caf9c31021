"""docs/archive.md: its SQL as it stands there, over an archive of every odd record, written by the consumer's code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from consumer.payload.decode import decode
from tests.unit.odd import SHARD, T0, records, write

ROOT = Path(__file__).parents[2]


def sql(kind: str) -> list[str]:
    """The blocks of one kind in docs/archive.md."""
    blocks = re.findall(r"```sql\n-- (\w+): [^\n]*\n(.*?)```", (ROOT / "docs/archive.md").read_text(), re.DOTALL)
    found = [text for of, text in blocks if of == kind]
    assert found
    return found


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `aws s3 sync` would make it."""
    folder = tmp_path_factory.mktemp("archive")
    write(folder)
    return folder


@pytest.fixture
def duck(archive: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with the documented views."""
    with duckdb.connect() as connection:
        for text in sql("duckdb"):
            if text.startswith("CREATE"):
                connection.execute(text.replace("'archive/", f"'{archive}/"))
        yield connection


def sent() -> list[tuple[str, int, str, bytes]]:
    return [(r.sequence_number, r.sub_sequence_number, r.partition_key, r.data) for r in records()]


def test_every_record_is_read_with_its_fields_and_the_very_bytes_that_were_sent(
    duck: duckdb.DuckDBPyConnection,
) -> None:
    got = duck.execute(
        "SELECT sequence_number, sub_sequence_number, partition_key, data FROM archive"
        " ORDER BY sequence_number, sub_sequence_number"
    ).fetchall()
    assert got == sent()
    wanted = [(decode(record.data).rejected, decode(record.data).payload.decode()) for record in records()]
    assert duck.execute("SELECT rejected, payload FROM archive ORDER BY sequence_number").fetchall() == wanted
    days = duck.execute("SELECT DISTINCT date::VARCHAR, hour, shard, min(epoch_ms(arrival)) FROM archive GROUP BY ALL")
    assert days.fetchall() == [("2026-11-25", 11, SHARD, T0)]


def test_a_condition_on_date_and_hour_reads_those_objects_only(duck: duckdb.DuckDBPyConnection, archive: Path) -> None:
    plan = duck.execute("EXPLAIN SELECT count(*) FROM readings WHERE date = '2026-11-25' AND hour = 10").fetchall()
    assert re.search(r"Scanning Files:\s+0/\d+|EMPTY_RESULT", str(plan)), plan


def test_one_odd_device_hides_no_reading_of_the_others(duck: duckdb.DuckDBPyConnection) -> None:
    good = [r for r in records() if r.partition_key == "good"]
    row = duck.execute("SELECT count(*), count(humidity), sum(humidity) FROM readings WHERE device = 'good'").fetchone()
    assert row is not None
    assert (row[0], row[1], float(row[2])) == (len(good), len(good), sum(n + 0.5 for n in range(len(good))))
    everything = duck.execute("SELECT * FROM readings").fetchall()  # no value, however odd, is an error in any column
    assert len(everything) > len(good)
    found = duck.execute(
        "SELECT device, humidity::VARCHAR FROM readings WHERE device IN ('x', 'y', 'l1', 'l2', 'spaces', 'big', 'long')"
        " AND humidity IS NOT NULL ORDER BY device"
    ).fetchall()
    assert [(device, value.rstrip("0").rstrip(".")) for device, value in found] == [
        ("big", "41.1"),
        ("l1", "1"),
        ("l2", "2"),
        ("long", "1"),
        ("spaces", "1"),
        ("x", "1"),
        ("y", "2"),
    ]
    assert duck.execute("SELECT humidity FROM readings WHERE reading ->> '$.humidity' = 'n/a'").fetchall() == [(None,)]


def test_the_documented_questions_are_answered(duck: duckdb.DuckDBPyConnection) -> None:
    (questions,) = [text for text in sql("duckdb") if not text.startswith("CREATE")]
    answers = [duck.execute(question).fetchall() for question in questions.strip().rstrip(";").split(";\n")]
    assert len(answers) == 2
    assert all(answers)
    reasons = dict(answers[1])
    assert {"not-json", "not-utf8", "wrong-type", "missing-field", "empty"} <= reasons.keys()
    unread = duck.execute("SELECT payload FROM archive WHERE TRY_CAST(payload AS JSON) IS NULL").fetchall()
    assert unread == []  # what the consumer takes for JSON, DuckDB does, too


def test_dead_letters_are_read_by_the_same_recipe(archive: Path) -> None:
    view = sql("duckdb")[0].replace("'archive/readings/", f"'{archive}/dead-letters/")
    with duckdb.connect() as connection:
        connection.execute(view)
        got = connection.execute("SELECT data FROM archive WHERE rejected > 0 ORDER BY sequence_number NULLS LAST")
        wanted = [record.data for record in records() if decode(record.data).rejected]
        assert [data for (data,) in got.fetchall()] == [*wanted, b"\xf3\x89\x9a\xc2broken"]
        years = connection.execute("SELECT DISTINCT year(date) FROM archive ORDER BY 1").fetchall()
        assert years == [(1970,), (2026,)]


def test_the_views_for_athena_say_the_same(archive: Path, duck: duckdb.DuckDBPyConnection) -> None:
    """Their bodies by DuckDB, with those functions that are called otherwise there."""
    table, *views = sql("athena")
    lines: Any = re.search(r"FROM (read_csv\(.*?\n    \))", sql("duckdb")[0], re.DOTALL)
    duck.execute("CREATE MACRO json_extract_scalar(j, p) AS CASE WHEN json_valid(j) THEN json_extract_string(j, p) END")
    duck.execute("CREATE MACRO to_utf8(t) AS encode(t)")
    source = lines[1].replace("'archive/", f"'{archive}/")
    duck.execute(f"CREATE VIEW sensorstream_lines AS SELECT date AS day, hour, line FROM {source}")  # noqa: S608
    for view in views:
        duck.execute(view)
    for ours, theirs in (("archive", "sensorstream_archive"),):
        columns = "sequence_number, sub_sequence_number, shard, partition_key, rejected, payload, data"
        both = [duck.execute(f"SELECT {columns} FROM {name} ORDER BY 1").fetchall() for name in (ours, theirs)]  # noqa: S608
        assert both[0] == both[1]
    for view in ("sensorstream_archive", "sensorstream_readings"):
        assert duck.execute(f"SELECT * FROM {view}").fetchall()  # noqa: S608
    row = duck.execute("SELECT count(*), sum(humidity) FROM sensorstream_readings WHERE device = 'good'").fetchone()
    assert row == duck.execute("SELECT count(*), sum(humidity) FROM readings WHERE device = 'good'").fetchone()
    (template,) = re.findall(r"'storage.location.template' = 's3://BUCKET/(.*)'", table)
    place = template.replace("${day}", "2026-11-25").replace("${hour}", "11")
    assert [path.name for path in (archive / place).iterdir()] == [SHARD]


def test_a_line_is_never_refused_by_the_tables_regular_expression() -> None:
    """`.` alone would stop at U+2028 and the like, and Athena's Regex SerDe makes such lines NULL."""
    (found,) = re.findall(r"'input.regex' = '(.*)'", sql("athena")[0])
    match = re.fullmatch(found, "a\u2028b\u2029c\u0085d\re")
    assert match is not None
    assert match[1] == match[0]
