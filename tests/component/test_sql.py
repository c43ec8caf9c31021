"""`sensorstream sql`: what the consumer's code has archived, asked by date and hour, within a limit, read only."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from consumer.archive.writer import RotationPolicy
from producer.aws.errors import UserError
from producer.aws.stack import Stack
from producer.cli import main
from producer.ops.archive_index import Span
from producer.ops.bucket_files import BucketFiles
from producer.ops.sql import Archive
from tests.component.archives import HOUR, put, records
from tests.component.recovery import site as new_site
from tests.conftest import Deployed

T0 = 1_795_604_400_000  # 2026-11-25T11:00:00Z
HOURS, DEVICES = 30, 4
ROTATION = RotationPolicy(records=3, size=1 << 20, window_ms=60_000)


def payloads() -> Iterator[tuple[int, str, bytes]]:
    """30 hours with a reading of each device, then an array, and what is no JSON."""
    for hour in range(HOURS):
        for device in range(DEVICES):
            at = T0 + hour * HOUR + device
            yield at, f'd"{device}', b'{"name":"d%d","humidity":%d.5,"timeStampEpoch":%d}' % (device, hour % 6, at)
    yield at, "odd", b"no json"
    yield at, "odd", b'[{"name":"x","humidity":1,"timeStampEpoch":%d}]' % at


@dataclass(frozen=True)
class Site:
    """A stack with an archive."""

    stack: Stack
    sizes: dict[str, int]  # by key

    def bytes_of(self, part: str) -> int:
        return sum(size for key, size in self.sizes.items() if part in key)


@pytest.fixture(scope="module")
def site(stack: Deployed) -> Iterator[Site]:
    with new_site(stack) as made:
        found = put(made.stack, records(payloads()), ROTATION)
        yield Site(made.stack, {each.key: len(each.body) for each in found})


def asked(site: Site, capsys: pytest.CaptureFixture[str], query: str, *options: str) -> list[dict[str, Any]]:
    assert main(["sql", query, "--json", "--stack", site.stack.name, *options]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["count"] == len(answer["rows"])
    return list(answer["rows"])


def refused(site: Site, capsys: pytest.CaptureFixture[str], query: str, *options: str) -> str:
    assert main(["sql", query, "--stack", site.stack.name, *options]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("sensorstream: ")
    assert told.err.count("\n") == 1, told.err
    return told.err


def test_each_record_is_a_row_of_raw(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    rows = asked(site, capsys, "SELECT * FROM raw ORDER BY sequence_number")
    assert len(rows) == HOURS * DEVICES + 2
    assert list(rows[0]) == [
        "shard", "sequence_number", "sub_sequence_number", "partition_key", "arrival_ms", "rejected", "rejects", "data",
        "payload", "date", "hour",
    ]  # fmt: skip
    assert {row["partition_key"] for row in rows} == {'d\\"0', 'd\\"1', 'd\\"2', 'd\\"3', "odd"}
    [malformed] = [row for row in rows if row["rejected"]]
    assert (malformed["payload"], malformed["data"]) == ("null", "bm8ganNvbg==")
    assert json.loads(malformed["rejects"])[0]["reason"] == "not-json"


def test_the_functions_of_athena_are_known(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    query = """SELECT json_extract_scalar(payload, '$.name') AS device, avg(CAST(json_extract_scalar(payload,
        '$.humidity') AS double)) AS mean, count_if(rejected > 0) AS rejected, 7 / 2 AS whole,
        CAST(from_unixtime(1795604400) AS varchar) AS at FROM raw
        WHERE rejected IS NULL GROUP BY 1 ORDER BY 2 DESC, 1"""
    assert asked(site, capsys, query)[:1] == [
        {"device": "d0", "mean": 3.0, "rejected": 0, "whole": 3, "at": "2026-11-25 11:00:00"}
    ]


def test_what_has_no_object_yet_is_an_empty_table(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(site, capsys, "SELECT device, date, hour FROM curated") == []
    assert asked(site, capsys, "SELECT * FROM raw", "--from", "2030-01-01") == []
    assert asked(site, capsys, "SELECT 1 AS one") == [{"one": 1}]


def test_the_tables_are_in_a_database_of_the_stacks_name(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    name = site.stack.name.replace("-", "_")
    assert asked(site, capsys, f"SELECT count(*) AS n FROM {name}.raw") == [{"n": HOURS * DEVICES + 2}]  # noqa: S608


def test_people_and_spreadsheets_get_tables(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    query = "SELECT partition_key, count(*) AS n FROM raw WHERE rejected IS NULL GROUP BY 1 ORDER BY 2 DESC, 1"
    assert main(["sql", query, "--stack", site.stack.name]) == 0
    told = capsys.readouterr()
    assert [line.split() for line in told.out.splitlines()[:2]] == [["partition_key", "n"], ['d\\"0', "30"]]
    assert told.err.endswith("objects read\n")
    assert main(["sql", query, "--csv", "--stack", site.stack.name]) == 0
    assert list(csv.reader(io.StringIO(capsys.readouterr().out)))[:2] == [["partition_key", "n"], ['d\\"0', "30"]]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("selec 1", 'syntax error at or near "selec"'),
        ("SELECT nope FROM raw", 'Candidate bindings: "date"'),
        ("SELECT * FROM rwa", "Table with name rwa does not exist!"),
        ("SELECT 1; SELECT 2", "one SELECT is needed"),
        ("", "one SELECT is needed"),
        ("COPY raw TO 'file.csv'", "one SELECT is needed"),
        ("CREATE TABLE t (a INT)", "one SELECT is needed"),
        ("SELECT CAST(payload AS INT) FROM raw", "Could not convert string"),
        ("SELECT * FROM read_csv('/etc/passwd')", "Cannot access file"),
    ],
)
def test_a_wrong_query_is_one_line(site: Site, capsys: pytest.CaptureFixture[str], query: str, said: str) -> None:
    assert said in refused(site, capsys, query)


@pytest.mark.parametrize(
    ("condition", "part"),
    [
        ("date = '2026-11-26'", "date=2026-11-26/"),
        ("date >= '2026-11-25' AND hour = 12", "hour=12/"),
        ("date = '2026-11-25' AND hour = 13 AND payload LIKE '%d1%'", "date=2026-11-25/hour=13/"),
    ],
)
def test_a_condition_on_date_and_hour_limits_what_is_read(
    site: Site, capsys: pytest.CaptureFixture[str], condition: str, part: str
) -> None:
    assert main(["sql", f"SELECT payload FROM raw WHERE {condition}", "--stack", site.stack.name]) == 0  # noqa: S608
    objects = sum(part in key for key in site.sizes)
    assert 0 < objects < len(site.sizes)
    said = f"{site.bytes_of(part) / 1e6:,.1f} MB of {objects} objects read"
    assert said in capsys.readouterr().err


def test_from_and_to_leave_other_hours_out(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--from", "2026-11-25T12:30:00Z", "--to", "2026-11-25T14:00:00Z"]
    assert [row["hour"] for row in asked(site, capsys, "SELECT DISTINCT hour FROM raw ORDER BY 1", *options)] == [
        12,
        13,
    ]


def test_above_the_limit_nothing_is_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    every, day = site.bytes_of(""), site.bytes_of("date=2026-11-25")

    def fails(*_: object) -> bytes:
        raise AssertionError("read")

    with Archive(site.stack, Span(), every - 1) as archive, monkeypatch.context() as patched:
        patched.setattr(BucketFiles, "fetch", fails)
        with pytest.raises(UserError, match=rf"MB in {len(site.sizes)} objects; give it a condition on date"):
            archive.ask("SELECT count(*) FROM raw")
    with Archive(site.stack, Span(), every - 1) as archive:
        assert list(archive.ask("SELECT count(*) FROM raw WHERE date = '2026-11-25'").rows) == [(13 * DEVICES,)]
    twice = "SELECT count(*) FROM raw a JOIN raw b USING (sequence_number) WHERE a.date = '2026-11-25'"
    with Archive(site.stack, Span(), day + every - 1) as archive, pytest.raises(UserError):
        archive.ask(twice)
