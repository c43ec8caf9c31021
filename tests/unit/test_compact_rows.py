"""The rows of compacted hours: what the consumer's own code makes of each record, and every line of the archive."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from consumer.archive.compression import SUFFIXES, Body, Compression
from consumer.archive.format import UnreadableLine, line
from consumer.payload.contract import Contract
from consumer.payload.contracts import DEFAULT, Contracts
from consumer.payload.decode import decode
from consumer.record import Record
from producer.compact import rows
from producer.compact.verify import NotEqual, Source, verify
from tests.bench.compact import generate
from tests.unit.odd import records

T0 = 1_795_604_400_000  # 2026-11-25T11:00:00Z
SHARD = "shardId-000000000000"
NEARLY = [
    b'{"name":"n","humidity":1,"timeStampEpoch":1795604400000,"humidity":2}',
    b'{"name":"n","humidity":1,"timeStampEpoch":1795604400000,"name":"m"}',
    b'{"name":"n","humidity":1,"timeStampEpoch":1795604400000,"timeStampEpoch":1795604400001}',
    b'{"humidity":1e2,"timeStampEpoch":1795604400000,"other":{"name":"inner"},"name":"n"}',
    b'{"name":"n","humidity":1,"timeStampEpoch":1795604400000,"text":"a}b{c"}',
    b'{"name":"n","humidity":1,"timeStampEpoch":1795604400}',
    b'{"name":"n","humidity":1,"timeStampEpoch":1795604400000.0}',
    b'{"name":"n","humidity":1,"timeStampEpoch":1.7956044e12}',
    b'{"name":"n","humidity":1,"timeStampEpoch":"1795604400000"}',
    b'{"name":"n","humidity":1,"timeStampEpoch":"2026-11-25T11:00:00Z"}',
    b'{"name":"n","humidity":true,"timeStampEpoch":1795604400000}',
    b'{"name":"n","humidity":-0.0,"timeStampEpoch":1795604400000}',
    b'{"name":"n","humidity":0.1234567890123456789012345678901234567,"timeStampEpoch":1795604400000}',
    b'{"name":"n","humidity":99999999999999999999999999999999999999,"timeStampEpoch":1795604400000}',
    b'{"name":"n","humidity":1E-130,"timeStampEpoch":1795604400000}',
    b'{"name":"n","humidity":1,"timeStampEpoch":1795700000000}',
    b'{"name":"n","humidity":1,"timeStampEpoch":1795690800000}',
    b'{"name":"n","humidity":1,"timeStampEpoch":1795690800001}',
    b'{"name":17,"humidity":1,"timeStampEpoch":1795604400000}',
    b'{"name":"","humidity":1,"timeStampEpoch":1795604400000}',
    b'{"name":" n ","humidity":1,"timeStampEpoch":1795604400000}',
    b'{"name":"it\'s \\"n\\"","humidity":1,"timeStampEpoch":1795604400000}',
    b'{"name":"%s","humidity":1,"timeStampEpoch":1795604400000}' % (b"n" * 400),
    b'{"name":"%s","humidity":1,"timeStampEpoch":1795604400000}' % (b"n" * 3000),
    b' {"name":"n","humidity":1,"timeStampEpoch":1795604400000}',
    b'{"name" : "n" , "humidity" : 1 , "timeStampEpoch" : 1795604400000 , "temp" : 21.5}',
    b'{"sensorid":"one","value":"7.5","timestamp":1795604400000}',
    b'{"name":"n","humidity":1,"timeStampEpoch":1795604400000,"sensorid":"one","value":2,"timestamp":1795604400000}',
]
"""What is not quite the usual message, or only just."""
CONTRACTS = {
    "default": DEFAULT,
    "measures": Contracts([Contract(device="name", time="timeStampEpoch", value="humidity", measures={"t": "temp"})]),
    "only sensors": Contracts([Contract(device="name", time="$arrival", sensors={"t": "temp", "h": "humidity"})]),
    "past": Contracts([Contract(device="name", time="timeStampEpoch", value="humidity", max_past_seconds=60)]),
    "by key": Contracts(
        [Contract(device="$partitionKey", time="timeStampEpoch", value="humidity", bad_time="arrival")]
    ),
    "quoted": Contracts([Contract(device='"it\'s"', time="timeStampEpoch", value="humidity")]),
}


def of(payloads: list[bytes]) -> list[Record]:
    keys = itertools.cycle(["d", '"payload":', "it's \\", "ü", "", "\x1f"])
    return [Record(data, next(keys), str(10**55 + n), n % 3, T0 + n) for n, data in enumerate(payloads)]


def archived(folder: Path, found: list[Record], size: int = 300, shard: str = SHARD) -> list[Source]:
    """Objects of so many records, zstd and gzip in turns."""
    compressions: Iterator[Compression] = itertools.cycle(("zstd", "gzip"))
    sources = []
    for n, start in enumerate(range(0, len(found), size)):
        compression = next(compressions)
        body = Body(compression, 7)
        body.write(line(shard, record, decode(record.data)) for record in found[start : start + size])
        file = folder / f"{n:08d}.ndjson.{SUFFIXES[compression]}"
        file.write_bytes(body.read())
        sources.append(Source(f"readings/{file.name}", file, len(found[start : start + size])))
    return sources


def written(db: duckdb.DuckDBPyConnection, folder: Path, contracts: Contracts = DEFAULT) -> Path:
    return rows.write(db, folder, sorted(folder.glob("*.ndjson.*")), contracts)


def expected(found: list[Record], contracts: Contracts) -> list[tuple[Any, ...]]:
    """By the consumer's decoder: position, number of the reading, and what it measured."""
    made: list[tuple[Any, ...]] = []
    for record in found:
        arrival = record.approximate_arrival_timestamp
        readings = decode(record.data, contracts, record.partition_key, arrival).readings
        of_record: list[tuple[Any, ...]] = [
            (
                r.device,
                r.time_ms,
                r.value and float(r.value),
                {k: float(v) for k, v in (r.measures or {}).items()} or None,
            )
            for r in readings
        ] or [(None, None, None, None)]
        made += [(record.sequence_number, record.sub_sequence_number, n, *each) for n, each in enumerate(of_record)]
    return sorted(made)


@pytest.mark.parametrize(
    ("contracts", "portion"),
    [*((each, rows.PORTION) for each in CONTRACTS.values()), (DEFAULT, 1)],
    ids=[*CONTRACTS, "in portions of an object"],
)
def test_readings_are_what_the_consumer_reads_and_every_line_comes_back(
    contracts: Contracts, portion: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "PORTION", portion)
    found = [*records(), *of(NEARLY)]
    found = [
        Record(r.data, r.partition_key, str(10**55 + n), n % 3, r.approximate_arrival_timestamp)
        for n, r in enumerate(found)
    ]
    sources = archived(tmp_path, found)
    with rows.connect(tmp_path) as db:
        file = written(db, tmp_path, contracts)
        assert verify(db, file, sources) == len(found)
        got = db.execute(
            "SELECT sequence_number, sub_sequence_number, reading, device, epoch_ms(measured), value, measures"
            " FROM read_parquet($1) ORDER BY 1, 2, 3",
            [str(file)],
        ).fetchall()
        assert got == expected(found, contracts)
        order = db.execute("SELECT device, measured FROM read_parquet($1)", [str(file)]).fetchall()
        assert order == sorted(order, key=lambda row: (row[0] is None, (row[0] or "").encode(), row[1]))


def test_the_usual_message_is_read_without_python_and_unusual_ones_are_not_kept_as_lines(tmp_path: Path) -> None:
    usual = of([b'{"name":"n","temp":1,"humidity":%d.5,"timeStampEpoch":%d}' % (n, T0 + n) for n in range(50)])
    usual = [Record(r.data, "d", r.sequence_number, 0, r.approximate_arrival_timestamp) for r in usual]
    sources = archived(tmp_path, usual)
    with rows.connect(tmp_path) as db:
        rows.define(db, DEFAULT)
        objects = [str(source.file) for source in sources]
        [(unusual,)] = db.execute("SELECT count(line) FROM usual_rows($1)", [objects]).fetchall()
        assert unusual == 0
    odd = [Record(b"\xff", "d", str(10**55 + 60), 0, T0), Record(b'{"name":"\xc3\xbc"}', "d", str(10**55 + 61), 0, T0)]
    archived(tmp_path, [*usual, *odd])
    with rows.connect(tmp_path) as db:
        file = written(db, tmp_path)
        counted = db.execute("SELECT count(*), count(line) FROM read_parquet($1)", [str(file)]).fetchall()
        assert counted == [(52, 0)]


def test_an_hour_that_does_not_fit_in_memory_is_sorted_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """400,000 rows take more than the memory, of which reading takes a third."""
    monkeypatch.setattr(rows, "MEMORY", "96MB")
    monkeypatch.setattr(rows, "PORTION", 2_000_000)
    sources = generate(tmp_path, 400_000, 100)
    with rows.connect(tmp_path) as db:
        db.execute("SET threads = 1")
        file = written(db, tmp_path)
        assert verify(db, file, sources) == 400_000
        [(out_of_order,)] = db.execute(
            "SELECT count(*) FILTER (WHERE (device, measured) < before) FROM"
            " (SELECT device, measured, lag((device, measured)) OVER () AS before FROM read_parquet($1))",
            [str(file)],
        ).fetchall()
        assert out_of_order == 0


@pytest.mark.parametrize(
    "change",
    [
        "SELECT * REPLACE (replace(payload, '7.5', '7.50') AS payload) FROM good",
        "SELECT * REPLACE (arrival + INTERVAL 1 millisecond AS arrival) FROM good",
        "SELECT * FROM good WHERE value <> 18.5",
        "SELECT * FROM good UNION ALL SELECT * FROM good WHERE value = 18.5",
        "SELECT * REPLACE (CASE WHEN value = 18.5 THEN 'e' ELSE partition_key END AS partition_key) FROM good",
        "SELECT * REPLACE (CASE WHEN value = 49.5 THEN 1 ELSE reading END AS reading) FROM good",
    ],
)
def test_a_corruption_is_found(change: str, tmp_path: Path) -> None:
    found = of([b'{"name":"n","humidity":%d.5,"timeStampEpoch":%d}' % (n, T0 + n) for n in range(50)])
    sources = archived(tmp_path, found)
    with rows.connect(tmp_path) as db:
        file = written(db, tmp_path)
        assert verify(db, file, sources) == 50
        db.execute("CREATE TABLE good AS FROM read_parquet($1)", [str(file)])
        db.execute(f"COPY ({change}) TO $1 (FORMAT parquet)", [str(tmp_path / "bad.parquet")])
        with pytest.raises(NotEqual, match=r"archived .*, compacted "):
            verify(db, tmp_path / "bad.parquet", sources)


def test_an_object_that_lacks_lines_is_not_taken_for_whole(tmp_path: Path) -> None:
    [source] = archived(tmp_path, of([b"{}", b"{}"]))
    with rows.connect(tmp_path) as db:
        file = written(db, tmp_path)
        with pytest.raises(UnreadableLine, match="2 lines, 3 by its metadata"):
            verify(db, file, [source._replace(records=3)])


@pytest.mark.parametrize("body", [b"no object", b'{"shard":1}\n'], ids=["not compressed", "not a line"])
def test_what_is_no_archive_object_is_an_error(body: bytes, tmp_path: Path) -> None:
    if body.endswith(b"\n"):
        packed = Body("gzip", 1)
        packed.write([body])
        body = packed.read()
    (tmp_path / "00000000.ndjson.gz").write_bytes(body)
    with rows.connect(tmp_path) as db, pytest.raises((UnreadableLine, duckdb.Error)):
        written(db, tmp_path)
