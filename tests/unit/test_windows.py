"""The arithmetic of rollups: exact, and the same however the readings are grouped."""

import random
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from consumer.payload.reading import Reading
from consumer.payload.values import number
from consumer.sinks.windows import MAX_NUMBERS, VALUE, Key, Window, windows
from tests.unit.fakes import T0

numbers = st.builds(
    lambda digits, exponent: number(f"{digits}E{exponent}", ""),
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.integers(-130, 87),
)
"""Any that a reading may have."""
readings = st.lists(
    st.builds(
        Reading,
        st.just("d"),
        st.integers(T0, T0 + 9),
        st.none() | numbers,
        st.none() | st.dictionaries(st.sampled_from("ab"), numbers, min_size=1),
    ),
    min_size=1,
    max_size=12,
)


def fold(found: Sequence[Reading]) -> Window:
    result: dict[Key, Window] = {}
    windows(found, 60, result)
    assert list(result) == [("d", T0)]
    return result["d", T0]


@given(readings, st.randoms(use_true_random=False))
def test_a_window_is_the_same_however_its_readings_are_grouped(found: list[Reading], rng: random.Random) -> None:
    cuts = sorted(rng.sample(range(1, len(found)), rng.randrange(len(found))))
    parts = [fold(found[i:j]) for i, j in zip([0, *cuts], [*cuts, len(found)], strict=True)]
    while len(parts) > 1:  # in any order of association
        place = rng.randrange(len(parts) - 1)
        parts[place : place + 2] = [parts[place].merged(parts[place + 1])]
    assert parts[0] == fold(found) == reduce(Window.merged, [fold([reading]) for reading in found])


@given(readings, st.randoms(use_true_random=False))
def test_only_the_last_of_equal_times_depends_on_the_order(found: list[Reading], rng: random.Random) -> None:
    shuffled = rng.sample(found, len(found))
    one, other = fold(found), fold(shuffled)
    assert (one.first, one.last, one.readings) == (other.first, other.last, other.readings)
    for name, summary in one.numbers.items():
        also = other.numbers[name]
        assert (summary.at, summary.low, summary.high, summary.total, summary.count) == (
            also.at, also.low, also.high, also.total, also.count,
        )  # fmt: skip
        if sum(name in (each.measures or {}) or not name for each in found if each.time_ms == summary.at) == 1:
            assert summary.last == also.last


@given(readings)
def test_a_window_holds_what_its_readings_are(found: list[Reading]) -> None:
    window = fold(found)
    times = [reading.time_ms for reading in found]
    assert (window.first, window.last, window.readings) == (min(times), max(times), len(found))
    for name in (VALUE, "a", "b"):
        kept = [
            (reading.time_ms, place, value)
            for place, reading in enumerate(found)
            if (value := (reading.measures or {}).get(name) if name else reading.value) is not None
        ]
        if not kept:
            assert name not in window.numbers
            continue
        summary, values = window.numbers[name], [value for _, _, value in kept]
        assert Fraction(summary.total) == sum(map(Fraction, values))  # exactly
        assert (summary.low, summary.high, summary.count) == (min(values), max(values), len(values))
        assert (summary.at, summary.last) == (max(kept)[0], max(kept)[2])


def test_a_reading_is_in_the_window_of_its_time() -> None:
    found: dict[Key, Window] = {}
    times = [T0 - 1, T0, T0 + 59_999, T0 + 60_000, T0 - 60_000]
    windows([Reading("d", at, Decimal(1), None) for at in times], 60, found)
    windows([Reading("e", T0, Decimal(1), None)], 60, found)
    assert {key: window.readings for key, window in found.items()} == {
        ("d", T0 - 60_000): 2, ("d", T0): 2, ("d", T0 + 60_000): 1, ("e", T0): 1,
    }  # fmt: skip


def test_numbers_of_too_many_names_are_counted_and_left_out() -> None:
    def with_names(first: int, count: int) -> Window:
        names = [f"n{number}" for number in range(first, first + count)]
        return fold([Reading("d", T0, Decimal(7), dict.fromkeys(names, Decimal(1)))])

    window = with_names(0, MAX_NUMBERS + 5)
    assert (len(window.numbers), window.left_out, window.numbers[VALUE].count) == (MAX_NUMBERS, 6, 1)
    both = with_names(0, 150).merged(with_names(100, 150))
    assert (len(both.numbers), both.left_out) == (MAX_NUMBERS, 51)
    assert both.numbers["n120"].count == 2
