"""What the simulator sends, and what it expects of it, judged by the consumer's own reader."""

import json
import random
from decimal import Decimal
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.payload.decode import decode
from producer.fleet.condition import Condition
from producer.fleet.device import Device
from producer.fleet.malformed import BINARY, MALFORMED, malformed
from producer.fleet.message import Measurement, Message, batch, iso_utc, number_of, single
from producer.fleet.order import Fleet, Mix
from producer.fleet.schedule import due_times

NOW = 1_795_345_942_830
readings = st.builds(
    Measurement,
    device=st.text(min_size=1, max_size=20).filter(lambda name: name.isprintable()),
    time_ms=st.integers(NOW - 10**10, NOW + 10**10),
    value=st.decimals(-1000, 1000, places=1).map(str),
    quoted=st.booleans(),
)
shapes = st.sampled_from(["humidity", "sensorid"])


def taken(message: Message) -> list[tuple[str, int, Decimal | None]]:
    """What the consumer reads in it."""
    return [(r.device, r.time_ms, r.value) for r in decode(message.payload).readings]


def expected(message: Message) -> list[tuple[str, int, Decimal | None]]:
    return [(r.device, r.time_ms, Decimal(r.value)) for r in message.rows]


@given(readings, st.integers(0, 2**53), shapes)
def test_a_reading_arrives_as_it_was_meant(reading: Measurement, number: int, shape: str) -> None:
    message = single(reading, number, shape)  # type: ignore[arg-type]
    assert taken(message) == expected(message)
    assert number_of(message.payload) == number


@given(st.lists(readings, min_size=2, max_size=8), shapes, st.booleans())
def test_a_batch_holds_every_reading_under_one_number(group: list[Measurement], shape: str, lines: bool) -> None:
    message = batch(group, 5, shape, lines=lines)  # type: ignore[arg-type]
    assert taken(message) == expected(message)
    assert number_of(message.payload) == 5


@pytest.mark.parametrize("kind", range(len(MALFORMED) + len(BINARY)))
def test_a_malformed_payload_is_rejected_for_the_reason_it_says(kind: int) -> None:
    message = malformed("soilSensor1", 1_795_345_942_830_532, kind=kind, binary=True)
    assert tuple(r.reason for r in decode(message.payload).rejects) == message.rejects
    assert decode(message.payload).readings == []
    assert number_of(message.payload) == message.number
    assert Condition().of_payload(message.payload, "topic") is None


def test_the_first_message_has_the_seeds_form() -> None:
    device = Device("soilSensor1", "uniform", random.Random(1))
    message = single(device.next_reading(NOW), 7, "humidity")
    document = json.loads(message.payload)
    assert list(document) == ["name", "humidity", "timeStampEpoch", "timeStampIso", "n"]
    assert document["humidity"] == "20"
    assert document["timeStampIso"].startswith("2026-")
    assert "Z" not in document["timeStampIso"]
    assert isinstance(json.loads(single(device.next_reading(NOW), 8, "humidity").payload)["humidity"], int)


@pytest.mark.parametrize(
    ("payload", "alert"),
    [
        ({"name": "a", "humidity": 20}, ("a", "20")),
        ({"name": "a", "humidity": "20"}, ("a", "20")),
        ({"name": "a", "humidity": 34.9}, ("a", "34.9")),
        ({"humidity": 34.9}, ("topic", "34.9")),
        ({"name": "a", "humidity": 35}, None),
        ({"name": "a", "humidity": "wet"}, None),
        ({"name": "a", "humidity": False}, None),
        ({"name": "a"}, None),
        ([{"name": "a", "humidity": 20}], None),
    ],
)
def test_the_alert_rule_converts_as_iot_sql_does(payload: object, alert: tuple[str, str] | None) -> None:
    assert Condition().of_payload(json.dumps(payload).encode(), "topic") == alert


@pytest.mark.parametrize(
    ("humidity", "reported"),
    [
        ("34.99999999999999999999999999999999999999", "34.99999999999999999999999999999999999999"),
        ("35.00000000000000000000000000000000000001", None),
        ("-Infinity", None),
        ("1e-400", "1E-400"),
    ],
)
def test_the_alert_rule_compares_as_decimals(humidity: str, reported: str | None) -> None:
    found = Condition().of_payload(f'{{"name":"a","humidity":{humidity}}}'.encode(), "topic")
    assert found == (("a", reported) if reported else None)


def fleet(count: int, mix: Mix, devices: int = 3) -> list[Message]:
    speakers = Fleet([f"d{i}" for i in range(devices)], mix, first_number=100, seed=1)
    messages = [speakers.next_message(NOW + i) for i in range(count)]
    return messages + list(speakers.remaining())


def test_numbers_and_keys_are_unique() -> None:
    messages = fleet(500, Mix(malformed=0.1, disorder=0.1))
    keys = [(r.device, r.time_ms) for m in messages for r in m.rows]
    assert sorted(m.number for m in messages) == list(range(100, 100 + len(messages)))
    assert len(set(keys)) == len(keys)


def test_repeated_keys_are_marked_and_some_carry_another_value() -> None:
    seen: dict[tuple[str, int], str] = {}
    changed = 0
    for message in fleet(1000, Mix(duplicates=0.2)):
        (row,) = message.rows
        assert message.repeats == ((row.device, row.time_ms) in seen)
        changed += message.repeats and seen[row.device, row.time_ms] != row.value
        seen[row.device, row.time_ms] = row.value
    assert 50 < changed < 150


def test_disorder_lets_a_device_overtake_itself() -> None:
    times = [m.rows[0].time_ms for m in fleet(300, Mix(disorder=0.2), devices=1)]
    assert times != sorted(times)
    assert len(set(times)) == len(times) >= 300


def test_late_readings_are_a_minute_to_an_hour_old() -> None:
    ages = [NOW + i - m.rows[0].time_ms for i, m in enumerate(fleet(300, Mix(late=0.3)))]
    assert 50 < sum(60_000 <= age <= 3_600_000 for age in ages) < 130


def test_drift_raises_few_alerts_and_uniform_many() -> None:
    def alerts(mix: Mix) -> int:
        return sum(Condition().of_payload(m.payload, "topic") is not None for m in fleet(20_000, mix))

    assert 0 < alerts(Mix()) < 600
    assert alerts(Mix(profile="uniform")) > 10_000


@given(st.floats(0.5, 2000), st.floats(0, 3), st.integers())
def test_due_times_ascend_and_keep_the_rate(rate: float, jitter: float, seed: int) -> None:
    times = list(islice(due_times(rate, jitter, random.Random(seed)), 300))
    assert times == sorted(times)
    assert all(i / rate <= due + 1e-9 <= i / rate + jitter + 1e-6 for i, due in enumerate(times) if jitter == 0)
    # Nothing is dropped: message i comes no later than its time and the jitter.
    assert all(due <= i / rate + jitter + 1e-6 for i, due in enumerate(times))


@pytest.mark.parametrize(
    ("time_ms", "text"), [(0, "1970-01-01T00:00:00.000Z"), (1_795_344_496_007, "2026-11-22T10:48:16.007Z")]
)
def test_times_are_written_as_in_the_table(time_ms: int, text: str) -> None:
    assert iso_utc(time_ms) == text
