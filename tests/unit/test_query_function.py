"""The pure parts of the query API: times, buckets, page tokens."""

import base64
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.payload.reading import Reading
from consumer.payload.times import timestamp as written
from consumer.sinks.rollup_rows import attributes
from consumer.sinks.windows import Key, Window, windows
from infra.functions.api import page
from infra.functions.api.parameters import FIRST, LAST, duration, moment, timestamp
from infra.functions.api.series import Grid, Part, buckets
from infra.functions.api.values import plain
from infra.functions.api.windows import merged

TIMES = st.integers(FIRST, LAST)
NUMBERS = st.builds(
    lambda digits, exponent, sign: Decimal((sign, tuple(map(int, str(digits))), exponent)),
    st.integers(0, 10**38 - 1), st.integers(-130, 88), st.integers(0, 1),
)  # fmt: skip


@given(TIMES)
def test_a_time_is_read_as_it_is_written(at: int) -> None:
    assert moment(timestamp(at)) == at
    assert len(timestamp(at)) == len("2026-11-22T10:48:16.123Z")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-11-22T10:48Z", "2026-11-22T10:48:00.000Z"),
        ("2026-11-22T10:48:16.0001Z", "2026-11-22T10:48:16.001Z"),
        ("2026-11-22T10:48:16-05:30", "2026-11-22T16:18:16.000Z"),
        ("0001-01-01T00:00:00+14:00", timestamp(FIRST)),
        ("9999-12-31T23:59:59.9999-12:00", timestamp(LAST)),
    ],
)
def test_a_time_counts_to_the_millisecond(text: str, same: str) -> None:
    assert timestamp(moment(text)) == same


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-22", "20261122T104816Z", "2026-11-22 10:48:16Z", "٢026-11-22T10:48Z"]
)
def test_another_text_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="such as 2026"):
        moment(text)


def test_a_duration_has_a_unit() -> None:
    assert [duration(text) for text in ("500ms", "30s", "5m", "1h", "1d")] == [
        500,
        30_000,
        300_000,
        3_600_000,
        86_400_000,
    ]


@given(TIMES, st.integers(1, 10**9), st.integers(1, 10**7), st.data())
def test_a_bucket_holds_its_times_and_ends_where_the_next_begins(low: int, length: int, every: int, data: Any) -> None:
    grid = data.draw(
        st.sampled_from([Grid.of(low, low + length, every, 1), Grid.of(low, low + length, None, 1 + every % 1000)])
    )
    at = data.draw(st.integers(low, low + length - 1))
    start = grid.start(at)
    assert low <= start <= at < start + grid.every
    assert start == low or (start - grid.origin) % grid.every == 0
    assert grid.start(start) == start


@given(st.lists(st.tuples(st.integers(0, 999), NUMBERS), max_size=30))
def test_buckets_have_exact_extremes_and_the_mean_to_38_digits(values: list[tuple[int, Decimal]]) -> None:
    values.sort(key=lambda value: value[0])
    found = buckets(Grid.of(0, 1000, 100, 1), ((at, Part.reading(value)) for at, value in values))
    starts = sorted({at // 100 * 100 for at, _ in values})
    assert [start for start, _ in found] == starts
    for start, bucket in found:
        within = [number for at, number in values if at // 100 * 100 == start]
        assert (bucket["count"], bucket["min"], bucket["max"]) == (len(within), min(within), max(within))
        mean = sum(map(Fraction, within), Fraction()) / len(within)
        assert abs(Fraction(bucket["mean"]) - mean) <= abs(mean) * Fraction(1, 10**37)


POSITIONS = st.lists(st.one_of(st.none(), st.integers(), st.text()), max_size=3)


@given(POSITIONS, POSITIONS, POSITIONS)
def test_a_page_is_good_for_its_request_alone(request: list[Any], other: list[Any], position: list[Any]) -> None:
    token = page.token(request, position)
    assert page.position(request, token) == position
    if other != request:
        with pytest.raises(ValueError, match="not a page"):
            page.position(other, token)


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode())))
def test_what_was_not_made_here_is_no_page(text: str) -> None:
    with pytest.raises(ValueError, match="not a page"):
        page.position(["readings"], text)


def test_a_deeply_nested_page_is_none() -> None:
    text = base64.urlsafe_b64encode(b"x" * page.CHECKSUM + b"[" * 100_000).decode()
    with pytest.raises(ValueError, match="not a page"):
        page.position(["readings"], text)


@given(TIMES.filter(lambda at: at >= 0))
def test_times_are_written_as_the_consumer_does(at: int) -> None:
    assert timestamp(at) == written(at)


READINGS = st.tuples(
    st.integers(0, 2),
    st.builds(
        lambda at, value, rssi: Reading("d", 1_795_341_600_000 + at, value, {"rssi": rssi} if rssi else None),
        st.integers(0, 59_999), st.one_of(st.none(), NUMBERS), st.one_of(st.none(), NUMBERS),
    ),
)  # fmt: skip


@given(st.lists(READINGS, min_size=1, max_size=20, unique_by=lambda each: each[1].time_ms))
def test_rows_of_several_shards_say_together_what_one_row_would(readings: list[tuple[int, Reading]]) -> None:
    start = "2026-11-22T10:00:00Z"

    def rows(shards: list[list[Reading]]) -> list[dict[str, Any]]:
        made = []
        for number, shard in enumerate(shards):
            found: dict[Key, Window] = {}
            windows(shard, 60, found)
            made += [plain({"M": attributes(window)}) | {"Window": f"{start}/60/{number}"} for window in found.values()]
        return made

    one = rows([[reading for _, reading in readings]])
    several = rows([[reading for shard, reading in readings if shard == number] for number in range(3)])
    assert merged(several) == merged(one)
    assert merged(one)[0][1]["readings"] == len(readings)
