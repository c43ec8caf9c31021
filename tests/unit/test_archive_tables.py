"""The archive's tables are the same in Glue (infra/data.yaml) and in `sensorstream sql`, over an archive of every odd
record, and so are the saved queries in Athena and in the guide."""

import gzip
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from infra.deploy.templates import INFRA
from producer.ops.sql import CURATED_COLUMNS, raw_view
from tests.unit.odd import write
from tests.unit.policies import of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GLUE = {"VARCHAR": "string", "BIGINT": "bigint", "INTEGER": "int", "TIMESTAMP": "timestamp", "DOUBLE": "double"}
GLUE |= {"BLOB": "binary", "MAP(VARCHAR, DOUBLE)": "map<string,double>"}


def table(name: str) -> dict[str, Any]:
    """The input of a table of Glue."""
    [found] = [each for each in of("AWS::Glue::Table") if each.properties["TableInput"]["Name"] == name]
    return dict(found.properties["TableInput"])


def columns(name: str) -> list[tuple[str, str]]:
    found = table(name)
    return [(each["Name"], each["Type"]) for each in [*found["StorageDescriptor"]["Columns"], *found["PartitionKeys"]]]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    write(folder)
    return folder


@pytest.fixture
def duck(archive: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with the command's tables."""
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW raw AS {raw_view(f'{archive}/readings/*/*/*/*')}")
        connection.execute(f"CREATE TABLE curated ({CURATED_COLUMNS})")
        yield connection


@pytest.mark.parametrize("name", ["raw", "curated"])
def test_a_table_has_the_same_columns_in_both(duck: duckdb.DuckDBPyConnection, name: str) -> None:
    described = duck.execute(f"DESCRIBE {name}").fetchall()
    assert [(column, GLUE[kind]) for column, kind, *_ in described] == columns(name)


def test_the_regular_expression_of_raw_finds_what_the_command_finds(
    duck: duckdb.DuckDBPyConnection, archive: Path
) -> None:
    """Java's expressions, which Athena's Regex SerDe has, and Python's agree on all that this one uses."""
    expression = re.compile(table("raw")["StorageDescriptor"]["SerdeInfo"]["Parameters"]["input.regex"])
    found = []
    for path in sorted((archive / "readings").rglob("*.ndjson.*")):
        text = (zstd if path.suffix == ".zst" else gzip).decompress(path.read_bytes()).decode()
        assert "\r" not in text  # Hadoop's reader of lines ends one there, too
        for line in text.split("\n")[:-1]:
            match = expression.fullmatch(line)
            assert match, line[:200]
            found.append(match.groups())
    names = [name for name, _ in columns("raw")[: expression.groups]]
    rows = duck.execute(f"SELECT {', '.join(f'CAST({name} AS VARCHAR)' for name in names)} FROM raw").fetchall()  # noqa: S608
    assert len(rows) > 3000
    assert sorted(rows) == sorted(found)


def test_partitions_are_projected_from_the_keys() -> None:
    for name, prefix in (("raw", "readings"), ("curated", "curated")):
        parameters = table(name)["Parameters"]
        place = parameters["storage.location.template"]["Fn::Sub"]
        assert place == f"s3://${{ArchiveBucket}}/{prefix}/date=${{!date}}/hour=${{!hour}}"
        projected = [parameters[f"projection.{key}"] for key in ("enabled", "date.format", "hour.range", "hour.digits")]
        assert projected == ["true", "yyyy-MM-dd", "0,23", "2"]


def test_results_of_queries_expire() -> None:
    [workgroup] = of("AWS::Athena::WorkGroup")
    place = workgroup.properties["WorkGroupConfiguration"]["ResultConfiguration"]["OutputLocation"]["Fn::Sub"]
    [bucket] = [each for each in of("AWS::S3::Bucket") if each.name == "ArchiveBucket"]
    rules = bucket.properties["LifecycleConfiguration"]["Rules"]
    prefix = place.removeprefix("s3://${ArchiveBucket}/")
    assert [rule["ExpirationInDays"] for rule in rules if rule.get("Prefix") == prefix] == [7]


def test_saved_queries_are_those_of_the_guide() -> None:
    guide = (INFRA.parent / "docs/analytics.md").read_text()
    blocks = re.findall(r"```sql\n(.*?)\n```", guide, re.DOTALL)
    saved = [each.properties["QueryString"] for each in of("AWS::Athena::NamedQuery")]
    assert len(saved) >= 6
    assert [query for query in saved if query not in blocks] == []
