"""`sensorstream compact`: an hour of the archive becomes one Parquet object that holds every line, whatever fails."""

import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from consumer.archive.format import READINGS
from consumer.archive.writer import RotationPolicy
from consumer.payload.contracts import DEFAULT
from producer.cli import main
from producer.compact import rows
from producer.compact.hour import Changed, Store, compact
from producer.compact.layout import CURATED, Hour
from producer.compact.metric import METRIC
from producer.compact.run import Run
from producer.ops.archive_index import Span
from producer.ops.archive_reader import Bucket
from producer.ops.bucket_files import BucketFiles
from tests.component.archives import put, records
from tests.component.recovery import Site
from tests.component.recovery import site as new_site
from tests.conftest import Deployed

T0 = 1_795_604_400_000  # 2026-11-25T11:00:00Z
HOUR = Hour("date=2026-11-25/hour=11/")
AT = ["--hour", "2026-11-25T11:00Z"]
ROTATION = RotationPolicy(records=4, size=1 << 20, window_ms=3_600_000)
PAYLOADS = [
    b'{"name":"d1","humidity":41.50,"timeStampEpoch":1795604400000}',
    b'{"name":"d0","humidity":1.5,"timeStampEpoch":1795604400001}',
    b"malformed",
    b"\xff\x00",
    b'[{"name":"d1","humidity":1,"timeStampEpoch":1795604400000},\n{"name":"d2","humidity":"2","timeStampEpoch":1795604400000}]',
    '{"name":"ü\'\\"","humidity":41.10000000000000000012345,"timeStampEpoch":1795604400000}'.encode(),
]


@pytest.fixture
def site(stack: Deployed) -> Iterator[Site]:
    with new_site(stack) as made:
        yield made


def fill(site: Site, first: int = 10**55, arrival: int = T0) -> None:
    keys = ["d1", "it's \"\\", "ü"]
    put(site.stack, records(((arrival, keys[n % 3], data) for n, data in enumerate(PAYLOADS)), first), ROTATION)


def told(site: Site, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    assert main(["compact", *arguments, "--stack", site.stack.name, "--json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def outcomes(found: dict[str, Any]) -> list[tuple[str, int, int | None]]:
    return [(hour["outcome"], hour["objects"], hour["lines"]) for hour in found["hours"]]


def stored(site: Site) -> bytes:
    """The hour's curated object."""
    body: bytes = site.session.client("s3").get_object(Bucket=site.stack.bucket, Key=HOUR.key)["Body"].read()
    return body


def run(store: Store, site: Site) -> None:
    """As the command does: over the version that is there now."""
    objects = list(Bucket(site.session, site.stack.bucket).objects(HOUR.prefix))
    found = store.curated(HOUR)
    compact(store, HOUR, objects, DEFAULT, found and found[1])


def test_an_hour_becomes_one_object_and_nothing_is_done_twice(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    fill(site)
    assert outcomes(told(site, capsys, *AT, "--dry-run")) == [("to-write", 2, None)]
    assert site.keys(CURATED) == []
    assert outcomes(told(site, capsys, *AT)) == [("written", 2, 6)]
    before = site.session.client("s3").head_object(Bucket=site.stack.bucket, Key=HOUR.key)
    assert outcomes(told(site, capsys, *AT)) == [("current", 2, 6)]
    after = site.session.client("s3").head_object(Bucket=site.stack.bucket, Key=HOUR.key)
    assert after["LastModified"] == before["LastModified"]
    assert site.keys(CURATED) == [HOUR.key]
    main(
        [
            "sql",
            "SELECT device, avg(value) AS mean FROM curated GROUP BY 1 ORDER BY 1",
            "--json",
            "--stack",
            site.stack.name,
        ]
    )
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["device"] for row in rows] == ["d0", "d1", "d2", "ü'\"", None]
    assert rows[1]["mean"] == 21.25


def test_a_late_object_is_taken_in_and_other_contracts_read_again(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(site)
    told(site, capsys, *AT)
    fill(site, first=2 * 10**55)
    assert outcomes(told(site, capsys, *AT)) == [("written", 4, 12)]
    other = ["--reading-contracts", '[{"device":"name","time":"timeStampEpoch","measures":["humidity"]}]']
    assert outcomes(told(site, capsys, *AT, *other)) == [("written", 4, 12)]


def test_what_is_gone_from_the_archive_stays_in_the_compacted_hour(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(site)
    told(site, capsys, *AT)
    before = stored(site)
    site.session.client("s3").delete_object(Bucket=site.stack.bucket, Key=site.keys(READINGS)[0])
    assert outcomes(told(site, capsys, *AT)) == [("kept", 1, 6)]
    assert stored(site) == before


def test_only_finished_hours_of_the_span_are_compacted(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for hour in range(3):
        fill(site, (hour + 1) * 10**55, T0 + hour * 3_600_000)
    monkeypatch.setattr("time.time", lambda: HOUR.finished_ms / 1000 + 3600)
    found = told(site, capsys, "--dry-run")
    assert ([hour["hour"] for hour in found["hours"]], found["unfinished"]) == (
        ["2026-11-25 11h", "2026-11-25 12h"],
        1,
    )
    found = told(site, capsys, "--from", "2026-11-25T12:30Z", "--to", "2026-11-25T13:00Z")
    assert [hour["hour"] for hour in found["hours"]] == [
        "2026-11-25 11h",
        "2026-11-25 12h",
    ]  # 11h may reach beyond 12:05
    monkeypatch.setattr("time.time", lambda: HOUR.finished_ms / 1000 + 7200)
    found = told(site, capsys, "--last", "70m")
    assert [(hour["hour"][-3:], hour["outcome"]) for hour in found["hours"]] == [("12h", "current"), ("13h", "written")]


def test_nothing_and_wrong_options_are_told(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(site, capsys)["hours"] == []
    for words, why in (
        (AT, "holds no archive object of 2026-11-25 11h"),
        ([*AT, "--last", "1h"], "not with --hour"),
        (["--last", "1h", "--from", "2026-11-25"], "one of them"),
    ):
        assert main(["compact", *words, "--stack", site.stack.name]) == 2
        assert why in capsys.readouterr().err


def test_a_broken_object_is_a_finding_and_nothing_is_written(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    fill(site)
    key = site.keys(READINGS)[0]
    site.session.client("s3").put_object(Bucket=site.stack.bucket, Key=key, Body=b"no object")
    found = told(site, capsys, *AT, code=1)
    assert (found["hours"][0]["outcome"], list(found["findings"])) == ("failed", ["archive_object_wrong"])
    assert site.keys(CURATED) == []


def counted(site: Site) -> list[float]:
    """How often the metric was sent that the alarms go by, and the sum of its values."""
    found = site.session.client("cloudwatch").get_metric_statistics(
        Namespace="Sensor",
        MetricName=METRIC,
        Dimensions=[{"Name": "Application", "Value": f"{site.stack.name}-consumer"}],
        StartTime=datetime.now(UTC) - timedelta(hours=1),
        EndTime=datetime.now(UTC) + timedelta(hours=1),
        Period=7200,
        Statistics=["SampleCount", "Sum"],
    )["Datapoints"]
    return [value for point in found for value in (point["SampleCount"], point["Sum"])]


def test_a_run_tells_how_many_hours_are_not_compacted_even_if_it_breaks_off(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(site)
    told(site, capsys)
    assert counted(site) == []
    told(site, capsys, "--cloudwatch", "Sensor")
    assert counted(site) == [1, 0]
    fill(site, 2 * 10**55)
    assert told(site, capsys, "--dry-run", "--cloudwatch", "Sensor")["missing"] == 1
    assert counted(site) == [2, 1]
    name = f"/sensorstream/{site.stack.name}/ArchiveBucket"
    site.session.client("ssm").put_parameter(Name=name, Value="there-is-none", Type="String", Overwrite=True)
    assert main(["compact", "--cloudwatch", "Sensor", "--stack", site.stack.name]) == 2
    assert counted(site) == [3, 2]


def test_an_hour_that_is_too_large_does_not_hold_up_the_next_one(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(1, 9):
        fill(site, n * 10**55)
    fill(site, 9 * 10**55, T0 + 3_600_000)
    size = sum(each.size for each in Bucket(site.session, site.stack.bucket).objects(HOUR.prefix))
    monkeypatch.setattr("producer.compact.hour.DISK", 2 * shutil.disk_usage(tempfile.gettempdir()).free / size)
    found = told(site, capsys, code=1)
    assert outcomes(found) == [("failed", 16, None), ("written", 2, 6)]
    assert (list(found["findings"]), found["missing"]) == (["hour_too_large"], 1)
    assert "GB are free" in found["findings"]["hour_too_large"]["places"][0]


def test_killed_before_or_after_any_request_the_old_or_the_new_object_is_there(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("producer.compact.hour.PART", 5 << 20)
    fill(site)
    run(Store(site.session, site.stack.bucket), site)
    old = stored(site)
    fill(site, first=2 * 10**55)
    seen: list[str] = []
    store = Store(site.session, site.stack.bucket)
    interrupt(store, lambda name: seen.append(name))
    with pytest.MonkeyPatch.context() as patch:  # all requests of a run, without its last one
        patch.setattr(store, "put", lambda *_: None)
        run(store, site)
    assert seen[0] == "before HeadObject"
    requests = [*seen, *(f"{when} {name}" for name in PUT for when in ("before", "after"))]
    for n, name in enumerate(requests[:-1]):
        count = iter(range(n, -1, -1))

        def kill(_: str, count: Iterator[int] = count) -> None:
            if next(count, 1) == 0:
                raise Killed

        store = Store(site.session, site.stack.bucket)
        interrupt(store, kill)
        with pytest.raises(Killed):
            run(store, site)
        assert stored(site) == old, name
    store = Store(site.session, site.stack.bucket)
    interrupt(store, lambda name: kill_at(name, "after CompleteMultipartUpload"))
    with pytest.raises(Killed):
        run(store, site)
    new = stored(site)
    assert new != old
    assert lines_in(tmp_path / "new", new) == 12


class Killed(BaseException):
    """The end of the process."""


PUT = ("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")


def kill_at(name: str, where: str) -> None:
    if name == where:
        raise Killed


def interrupt(store: Store, at: Callable[[str], None]) -> None:
    """Calls `at` before and after each of the store's requests."""
    events = store._s3.meta.events
    events.register("before-call.s3", lambda model, **_: at(f"before {model.name}"))
    events.register("after-call.s3", lambda model, **_: at(f"after {model.name}"))


def lines_in(file: Path, body: bytes) -> int:
    file.write_bytes(body)
    with duckdb.connect() as db:
        query = "SELECT count(*) FROM read_parquet($1) WHERE reading = 0"
        [(count,)] = db.execute(query, [str(file)]).fetchall()
    return int(count)


def test_of_two_runs_at_a_time_the_later_one_looks_again(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    fill(site)
    first, second = Store(site.session, site.stack.bucket), Store(site.session, site.stack.bucket)
    done = threading.Event()

    def other(name: str) -> None:
        if name == "before CompleteMultipartUpload" and not done.is_set():
            done.set()
            run(second, site)

    interrupt(first, other)
    with pytest.raises(Changed):
        run(first, site)
    assert done.is_set()
    assert outcomes(told(site, capsys, *AT)) == [("current", 2, 6)]


def test_the_command_whose_version_was_replaced_meanwhile_looks_again(site: Site) -> None:
    """It has read what the archive was; the other one has taken in what came since."""
    fill(site)
    run(Store(site.session, site.stack.bucket), site)
    fill(site, first=2 * 10**55)
    late = Run(site.stack, DEFAULT, dry=False)
    asked: list[str] = []

    def other(name: str) -> None:
        asked.append(name)
        if asked.count("before CompleteMultipartUpload") == 1 and name == "before CompleteMultipartUpload":
            fill(site, first=3 * 10**55)
            run(Store(site.session, site.stack.bucket), site)

    interrupt(late._store, other)
    found = late.hour(HOUR).as_json()
    assert outcomes(found) == [("current", 6, 18)]
    assert (found["ok"], found["missing"]) == (True, 0)
    assert asked.count("before CompleteMultipartUpload") == 1
    assert site.keys(CURATED) == [HOUR.key]


def test_a_query_stops_at_the_limit_on_a_file_of_which_it_reads_parts(
    site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Of 3 MB of random numbers, in row groups by device."""
    hour = "SELECT lpad((n // 100)::VARCHAR, 6, '0') AS device, random() AS value FROM range(400000) t(n) ORDER BY n"
    with duckdb.connect() as db:
        db.execute(f"COPY ({hour}) {rows.PARQUET}", {"file": str(tmp_path / "hour")})
    assert (tmp_path / "hour").stat().st_size > 2_500_000
    site.session.client("s3").upload_file(str(tmp_path / "hour"), site.stack.bucket, HOUR.key)
    asked = ["sql", "--max-mb", "1", "--json", "--stack", site.stack.name]
    assert main([*asked, "SELECT count(value) AS n FROM curated WHERE device = '001234'"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == [{"n": 100}]
    assert main([*asked, "SELECT sum(value) FROM curated"]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert "the query reads more than 1.0 MB" in told.err


def test_one_device_reads_less_than_a_hundredth_of_a_large_hour(site: Site, tmp_path: Path) -> None:
    """Of 2,000,000 readings of 20,000 devices, with the row groups of the product and the reader of `sql`."""
    hour = [
        "SELECT lpad((n // 100)::VARCHAR, 6, '0') AS device, make_timestamp_ms($start + n % 100) AS measured,",
        "hash(n)::DOUBLE AS value, md5(n::VARCHAR) || md5((-n)::VARCHAR) AS payload FROM range(2000000) t(n)",
        "ORDER BY ALL",
    ]
    with duckdb.connect() as db:
        db.execute(f"COPY ({' '.join(hour)}) {rows.PARQUET}", {"start": T0, "file": str(tmp_path / "hour")})
    site.session.client("s3").upload_file(str(tmp_path / "hour"), site.stack.bucket, HOUR.key)
    files = BucketFiles(site.session, site.stack.bucket, Span(), 1 << 40)
    [file] = files.files(CURATED)
    with duckdb.connect() as db:
        db.register_filesystem(files)
        query = "SELECT count(*), count(payload) FROM read_parquet($1) WHERE device = '012345'"
        assert db.execute(query, [f"archive://{HOUR.key}"]).fetchall() == [(100, 100)]
    assert files.bytes < file.size / 100, f"{files.bytes} of {file.size}"
