"""A line that comes again and again is logged once in a while, with how often it came."""

from consumer.telemetry.repeats import MAX_SHAPES, WINDOW, Repeats, shape


class Logged:
    """Repeats with a clock set by hand, and what it logged."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[tuple[str, int]] = []
        self.repeats: Repeats[str] = Repeats(lambda line, count: self.lines.append((line, count)), lambda: self.now)

    def add(self, *lines: str) -> None:
        for line in lines:
            self.repeats.add(line, line)


def test_one_line_a_window_with_the_count_of_the_others() -> None:
    logged = Logged()
    for second in range(int(WINDOW) * 2 + 1):
        logged.now = float(second)
        logged.add(*(f"shardId-{second:012d}: refused, request 1f-{second}a" for _ in range(4)))
    assert [count for _, count in logged.lines] == [0, 4 * 60 - 1, 4 * 60 - 1]


def test_lines_of_another_kind_are_logged_at_once() -> None:
    logged = Logged()
    logged.add("a", "a", "b", "a", "b 1", "b 2")
    assert logged.lines == [("a", 0), ("b", 0), ("b 1", 0)]


def test_no_line_is_left_out_of_the_counts() -> None:
    logged = Logged()
    logged.add("a 1", "a 2", "b", "a 3")
    logged.repeats.flush()
    assert logged.lines == [("a 1", 0), ("b", 0)]
    logged.now = WINDOW
    logged.repeats.flush()
    assert logged.lines[2:] == [("a 3", 1)]  # the third, and one before it
    logged.add("c", "c", "c")
    logged.repeats.flush(end=True)
    assert logged.lines[3:] == [("c", 0), ("c", 1)]
    logged.repeats.flush(end=True)
    assert len(logged.lines) == 5


def test_its_memory_is_bounded_and_what_is_dropped_is_logged_before() -> None:
    logged = Logged()
    texts = [chr(0x4E00 + number) for number in range(10 * MAX_SHAPES)]
    for text in texts:
        logged.add(text, text)
    assert len(logged.repeats._kinds) == MAX_SHAPES
    assert [line for line, _ in logged.lines].count(texts[0]) == 2
    assert len(logged.lines) == 10 * MAX_SHAPES + 9 * MAX_SHAPES


def test_the_shape_has_no_numbers_ids_or_times() -> None:
    one = shape("x-1: Request ID: 7c9e6679-7425-40de-944b-e07fc1f90ae7, 2026-11-25T14:00:01Z")
    assert one == shape("x-23: Request ID: 8c9e6679-1425-40de-944b-e07fc1f90ae7, 2025-01-05T01:59:59Z")
