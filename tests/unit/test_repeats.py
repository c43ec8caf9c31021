"""A line that comes again and again is told once in a while, with how often it came."""

from consumer.repeats import MOST, WINDOW, Repeats, shape


def test_one_line_a_window_with_the_count_of_the_others() -> None:
    now = [0.0]
    repeats = Repeats(lambda: now[0])
    told = []
    for second in range(int(WINDOW) * 2 + 1):
        now[0] = float(second)
        for _ in range(4):
            told.append(repeats.take("WARN", f"shardId-{second:012d}: refused, request 1f-{second}a"))
    assert [each for each in told if each is not None] == [0, 4 * 60 - 1, 4 * 60 - 1]


def test_lines_of_another_kind_are_told_at_once() -> None:
    repeats = Repeats(lambda: 0.0)
    assert [repeats.take(text) for text in ("a", "a", "b", "a", "b 1", "b 2")] == [0, None, 0, None, 0, None]


def test_its_memory_is_bounded_and_the_oldest_goes_first() -> None:
    repeats = Repeats(lambda: 0.0)
    for number in range(10 * MOST):
        assert repeats.take(chr(0x4E00 + number)) == 0
    assert len(repeats._told) == MOST
    assert repeats.take(chr(0x4E00 + 10 * MOST - 1)) is None
    assert repeats.take(chr(0x4E00)) == 0


def test_the_shape_has_no_numbers_ids_or_times() -> None:
    one = shape("x-1: Request ID: 7c9e6679-7425-40de-944b-e07fc1f90ae7, 2026-11-25T14:00:01Z")
    assert one == shape("x-23: Request ID: 8c9e6679-1425-40de-944b-e07fc1f90ae7, 2025-01-05T01:59:59Z")
