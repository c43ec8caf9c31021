"""The list of devices: each is in it before its reading is answered, and is written no more often than it must be."""

import json
from collections.abc import Sequence
from dataclasses import fields
from decimal import Decimal
from types import SimpleNamespace
from typing import cast

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from consumer.aws import retry
from consumer.payload.reading import Reading
from consumer.payload.times import timestamp
from consumer.settings import Settings
from consumer.sinks import device_list
from consumer.sinks import table as sensor_table
from consumer.sinks.device_list import MAX_NAMES, PHASES, DeviceList, Written
from consumer.sinks.rows import BUCKETS, Arrived, list_request
from consumer.sinks.table import Table
from consumer.telemetry.metrics import Metrics
from infra.functions.api import store
from tests.unit.fakes import T0, FakeDynamoDB, error
from tests.unit.test_metrics import value

SECONDS = 300
USUAL = cast(int, next(field.default for field in fields(Settings) if field.name == "devices_seconds"))


class Clock:
    """Of the sensor table."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(sensor_table, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(retry, "FIRST_DELAY", 0.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def listing(metrics: Metrics | None = None) -> tuple[FakeDynamoDB, Table]:
    table = FakeDynamoDB()
    return table, Table(table.send, "rows", 0, 4, metrics or Metrics(), DeviceList("devices", SECONDS))


def arrived(*devices: str, at: int = 0) -> Sequence[Arrived]:
    return [(Reading(device, T0 + at + n, Decimal(n), None), T0 + at + n + 500) for n, device in enumerate(devices)]


async def test_each_device_of_a_delivery_is_listed_with_its_last_reading(clock: Clock) -> None:
    table, sink = listing()
    await sink.put(arrived("a", "b", "a"), lambda: None)
    entries = {name: (row["Value"]["N"], row["Seen"]["S"]) for name, row in table.entries.items()}
    assert entries == {"a": ("2", timestamp(T0 + 502)), "b": ("1", timestamp(T0 + 501))}
    assert sorted(table.rows) == [("a", timestamp(T0)), ("a", timestamp(T0 + 2)), ("b", timestamp(T0 + 1))]


async def test_entries_share_the_requests_of_the_rows(clock: Clock) -> None:
    table, sink = listing()
    await sink.put(arrived(*(f"d{n}" for n in range(30))), lambda: None)
    assert (len(table.rows), len(table.entries), table.requests) == (30, 30, 3)


async def test_a_device_is_written_again_once_an_interval(clock: Clock) -> None:
    table, sink = listing()
    for second in range(10 * SECONDS):
        clock.now = 1000.0 + second
        await sink.put(arrived("a"), lambda: None)
    assert 10 <= table.listed <= 11


async def test_what_was_not_written_is_written_with_the_next_reading(clock: Clock) -> None:
    table, sink = listing()

    def refuse() -> None:
        raise error("ValidationException", "BatchWriteItem")

    def lost() -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        await sink.put(arrived("a"), lost)
    table.fail = refuse
    with pytest.raises(ClientError, match="ValidationException"):
        await sink.put(arrived("a"), lambda: None)
    table.fail = lambda: None
    assert table.entries == {}
    await sink.put(arrived("a"), lambda: None)
    assert set(table.entries) == {"a"}


async def test_what_either_table_leaves_of_a_batch_is_sent_again_and_counted_as_its_own(clock: Clock) -> None:
    metrics = Metrics()
    table, sink = listing(metrics)
    lefts = iter([[0], [1, 2], [], [0]])  # of the rows, of the entries, in turns
    table.unprocessed = lambda items: [items[n] for n in next(lefts, []) if n < len(items)]
    every = [f"d{n}" for n in range(12)]
    await sink.put(arrived(*every), lambda: None)
    assert {device for device, _ in table.rows} == set(table.entries) == set(every)
    assert value(metrics, "throttles_total", sink="table") == 1
    assert value(metrics, "throttles_total", sink="devices") == 3


async def test_the_entries_of_many_devices_are_spread_over_the_interval(clock: Clock) -> None:
    table, sink = listing()
    every = [f"d{n}" for n in range(3000)]
    await sink.put(arrived(*every), lambda: None)
    clock.now += SECONDS  # all of them once, whenever the first interval ended
    await sink.put(arrived(*every), lambda: None)
    most = 0
    for _ in range(PHASES):
        clock.now += SECONDS / PHASES
        before = table.listed
        await sink.put(arrived(*every), lambda: None)
        most = max(most, table.listed - before)
    assert most <= 3 * len(every) / PHASES


@given(
    st.lists(st.tuples(st.floats(0, 1000), st.lists(st.text("abcdef", min_size=1, max_size=2), max_size=9))),
    st.integers(0, 6),
)
def test_no_device_is_taken_for_written_that_was_not_written_this_interval(
    events: list[tuple[float, list[str]]], room: int
) -> None:
    written, last, now = Written(SECONDS, room), dict[str, float](), 0.0
    for pause, seen in events:
        now += pause
        lacking = set(written.lacking(seen, now))
        for name in set(seen) - lacking:
            assert now - last[name] < SECONDS
        written.add(lacking, now)
        last |= dict.fromkeys(lacking, now)
        assert sum(len(known) for known in written._known) <= room


def test_at_a_reading_every_thirty_seconds_one_write_in_thirty_is_of_the_list() -> None:
    written = Written(USUAL)
    rounds = range(0, 10 * USUAL, 30)
    writes = 0
    for now in rounds:
        lacking = written.lacking(["a", "b"], now)
        written.add(lacking, now)
        writes += len(lacking)
    assert writes / len(rounds) / 2 <= 1 / 30 + 1 / len(rounds)


def test_as_many_devices_are_remembered_as_a_worker_has_readings_in_an_interval() -> None:
    assert 3000 * USUAL <= MAX_NAMES


def test_devices_without_room_are_written_at_each_reading_and_the_others_as_before() -> None:
    written = Written(SECONDS, 2)
    for second in range(3):
        lacking = written.lacking(["a", "b", "c"], second)
        assert lacking == (["a", "b", "c"] if second == 0 else ["c"])
        written.add(lacking, second)


def test_devices_that_are_remembered_by_their_hash_alone_are_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_list, "NEAR", 10 * PHASES)
    written, every = Written(SECONDS), [f"d{n}" for n in range(10_000)]
    written.add(written.lacking(every, 0.0), 0.0)
    assert sum(map(len, written._near)) == 10 * PHASES
    assert written.lacking([*every, "new"], 0.0) == ["new"]
    assert set(written.lacking(every, float(SECONDS))) == set(every)


def test_what_was_found_lacking_in_an_earlier_interval_is_not_remembered_for_this_one() -> None:
    written = Written(SECONDS)
    assert written.lacking(["a"], 0.0) == ["a"]
    assert written.lacking(["a"], 2.0 * SECONDS) == ["a"]  # another shard's delivery, while the first was written
    written.add(["a"], 0.0)
    assert written.lacking(["a"], 2.0 * SECONDS) == ["a"]


def test_an_entry_has_the_rows_attributes_and_its_partition() -> None:
    reading = Reading('ü"', T0, Decimal("1.50"), {"m": Decimal(2)})
    item = json.loads(list_request(reading, None))["PutRequest"]["Item"]
    assert item["SensorId"] == {"S": 'ü"'}
    assert item["Seen"] == item["Timestamp"]
    assert (item["Value"], item["Measures"]) == ({"N": "1.50"}, {"M": {"m": {"N": "2"}}})
    assert 0 <= int(item["Bucket"]["N"]) < BUCKETS == store.BUCKETS


def test_the_partitions_are_about_equally_full() -> None:
    counts = [0] * BUCKETS
    for n in range(16_000):
        request = list_request(Reading(f"sensor-{n}", T0, Decimal(1), None), T0)
        counts[int(json.loads(request)["PutRequest"]["Item"]["Bucket"]["N"])] += 1
    assert max(counts) < 1.2 * 1000
