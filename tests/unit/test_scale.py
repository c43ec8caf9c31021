"""What docs/performance.md says of scale: the goals, by the committed result, and that this can be had again."""

import pytest

from tests.bench import scale
from tests.bench.scale import SIZES
from tests.bench.scale_report import LOSSES, load, section


@pytest.mark.parametrize("size", load()["sizes"], ids=lambda size: f"{size['workers']}x{size['shards']}")
def test_reads_do_not_grow_faster_than_the_fleet_and_losses_are_noticed_in_time(size: dict[str, object]) -> None:
    found = dict(size)
    if found["workers"] < found["shards"]:  # type: ignore[operator]
        assert found["ours_per_shard_minute"] <= 2  # type: ignore[operator]
    for name in LOSSES:
        if name in found:
            assert found[name]["max"] <= 30  # type: ignore[index]


def test_there_is_a_figure_for_every_size() -> None:
    assert [(size["workers"], size["shards"]) for size in load()["sizes"]] == list(SIZES)


def test_the_reads_of_a_worker_are_the_same_at_any_size() -> None:
    each = [size["ours_per_worker_minute"] for size in load()["sizes"] if size["shards"] == 10 * size["workers"] > 10]
    assert len(each) == 3
    assert max(each) < 1.15 * min(each)


def test_the_reads_of_a_worker_depend_on_its_leases_and_not_on_the_fleet() -> None:
    each = [scale.run(["steady"], size, 10 * size, 1)["steady"]["ours_per_worker_minute"] for size in (8, 24)]
    assert max(each) < 1.1 * min(each)


def test_the_section_has_a_line_for_each_size() -> None:
    text = section(load())
    assert all(text.count(f"\n| {size['workers']:,} | {size['shards']:,} |") == 2 for size in load()["sizes"])


@pytest.mark.parametrize("name", LOSSES)
def test_a_small_fleet_recovers(name: str) -> None:
    assert max(scale.run([name], 7, 21, 1)[name]) <= 30


def test_the_result_can_be_had_again() -> None:
    """The clock is virtual and the chances are drawn from a seed."""
    committed = next(size for size in load()["sizes"] if (size["workers"], size["shards"]) == (10, 10))
    found = scale.run(["steady"], 10, 10, 1)["steady"]
    assert found == {name: committed[name] for name in found}
