"""Rollups: what a row says, and that it counts each archive object once, whoever comes in between."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from consumer.archive.writer import RotationPolicy
from consumer.aws import retry
from consumer.payload.reading import Reading
from consumer.sinks.rollup_rows import Counted, parse
from consumer.sinks.rollups import KEPT, ForeignRow, RollupTable, ShardRollups
from consumer.sinks.windows import Window
from consumer.telemetry.metrics import Metrics, total
from tests.unit.fakes import SHARD, T0, FakeDaemon, FakeRollups, World, error, record

START = "2026-01-01T12:00:00Z"
SUM = f"-69.{'9' * 130}"
"""-70 and 1E-130"""


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "MAX_DELAY", 0.001)


class Owner:
    """An owner of the shard with an epoch."""

    def __init__(self, table: FakeRollups, epoch: int, days: int = 0) -> None:
        self.metrics = Metrics()
        self.epoch = epoch
        self._rollups = ShardRollups(RollupTable(table.send, "rollups", days, 4, self.metrics))

    async def commit(
        self, first: int, *values: int, device: str = "d", guard: Callable[[], None] = lambda: None
    ) -> None:
        """An archive object that begins with record `first`; each value is a reading, that many ms after T0."""
        self._rollups.add((Reading(device, T0 + value, Decimal(value), None) for value in values), 60)
        await self._rollups.commit(SHARD, (first, 0), self.epoch, guard)


def numbers(table: FakeRollups, device: str = "d") -> tuple[str, ...]:
    """Count, sum, minimum, maximum and last value."""
    value = table.rows[device, f"{START}/60/{SHARD}"]["Value"]["M"]
    return tuple(value[name]["N"] for name in ("Count", "Sum", "Min", "Max", "Last"))


async def test_a_row_says_what_its_readings_are() -> None:
    table = FakeRollups()
    rollups = ShardRollups(RollupTable(table.send, "rollups", 2, 4, Metrics()))
    rollups.add(
        [Reading("d", T0 + 5, Decimal("20.10"), {"rssi": Decimal(-70)}), Reading("d", T0 + 2, Decimal(7), None)], 60
    )
    rollups.add([Reading("d", T0 + 9, None, {"rssi": Decimal("1E-130")})], 60)
    await rollups.commit(SHARD, (12, 3), 5, lambda: None)
    [row] = table.rows.values()
    assert row == {
        "SensorId": {"S": "d"},
        "Window": {"S": f"{START}/60/{SHARD}"},
        "ExpiresAt": {"N": str(T0 // 1000 + 60 + 2 * 86_400)},
        "Counted": {"S": "12.3/5"},
        "Readings": {"N": "3"},
        "First": {"S": "2026-01-01T12:00:00.002Z"},
        "Last": {"S": "2026-01-01T12:00:00.009Z"},
        "Value": {
            "M": {
                "Last": {"N": "20.10"},
                "Min": {"N": "7"},
                "Max": {"N": "20.10"},
                "Sum": {"N": "27.10"},
                "Count": {"N": "2"},
                "At": {"S": "2026-01-01T12:00:00.005Z"},
            }
        },
        "Measures": {
            "M": {
                "rssi": {
                    "M": {
                        "Last": {"N": "1E-130"},
                        "Min": {"N": "-70"},
                        "Max": {"N": "1E-130"},
                        "Sum": {"S": SUM},  # more digits than a number has there
                        "Count": {"N": "2"},
                    }
                }
            }
        },
    }
    found = parse(row)
    assert (found.counted, found.before) == (Counted((12, 3), 5), None)
    assert found.window.numbers["rssi"].total == Decimal(SUM)


async def test_a_row_that_was_read_is_the_one_that_was_written() -> None:
    table = FakeRollups()
    owner = Owner(table, 1)
    await owner.commit(1, 10, 30, 20)
    await owner.commit(4, 40)
    [row] = table.rows.values()
    found = parse(row)
    assert found.counted == Counted((4, 0), 1)
    assert isinstance(found.before, Window)
    assert (found.before.readings, found.window.readings) == (3, 4)


async def test_objects_of_an_owner_are_added_without_asking_for_the_row() -> None:
    table = FakeRollups()
    owner = Owner(table, 1)
    await owner.commit(1, 10, 20)
    await owner.commit(3, 5)
    await owner.commit(4, 50)
    assert numbers(table) == ("4", "85", "5", "50", "50")
    assert (table.requests, total(owner.metrics.rollups), total(owner.metrics.rollups_changed)) == (3, 3, 0)


async def test_the_next_owner_takes_the_row_as_it_stands() -> None:
    table = FakeRollups()
    second = Owner(table, 2)
    await Owner(table, 1).commit(1, 10, 20)
    await second.commit(3, 5)
    assert numbers(table) == ("3", "35", "5", "20", "20")
    assert total(second.metrics.rollups_changed) == 1


async def test_a_longer_object_takes_the_place_of_the_one_that_it_replaces() -> None:
    table = FakeRollups()
    await Owner(table, 1).commit(1, 1)
    await Owner(table, 2).commit(2, 10, 20)
    await Owner(table, 3).commit(2, 10, 20, 30)
    assert numbers(table) == ("4", "61", "1", "30", "30")


@pytest.mark.parametrize("first", [1, 2])
async def test_an_owner_that_comes_back_changes_nothing(first: int) -> None:
    table = FakeRollups()
    old = Owner(table, 1)
    await old.commit(1, 1)
    await Owner(table, 2).commit(2, 10, 20)
    await old.commit(first, 10)
    assert numbers(table) == ("3", "31", "1", "20", "20")


async def test_positions_are_numbers() -> None:
    table = FakeRollups()
    await Owner(table, 9).commit(9, 1)
    await Owner(table, 10).commit(10, 2)
    await Owner(table, 11).commit(10, 2, 3)
    assert numbers(table)[:2] == ("3", "6")


async def test_a_lost_answer_counts_nothing_twice() -> None:
    table = FakeRollups()
    owner = Owner(table, 1)
    await owner.commit(1, 10)
    table.lose = 2
    await owner.commit(2, 20)
    await owner.commit(3, 30)
    assert numbers(table) == ("3", "60", "10", "30", "30")


async def test_failures_that_may_pass_are_tried_again() -> None:
    table = FakeRollups()
    table.failures = [
        error(name) for name in ("ThrottlingException", "InternalServerError", "ResourceNotFoundException")
    ]
    owner = Owner(table, 1)
    await owner.commit(1, 10)
    assert numbers(table)[0] == "1"
    assert owner.metrics.throttles.labels("rollups")._value.get() == 1


async def test_what_cannot_pass_is_raised_after_all_requests_have_ended() -> None:
    table = FakeRollups()
    owner = Owner(table, 1)
    table.failures = [error("ValidationException")]
    owner._rollups.add((Reading(f"d{n}", T0, Decimal(n), None) for n in range(20)), 60)
    with pytest.raises(type(error("x")), match="ValidationException"):
        await owner._rollups.commit(SHARD, (1, 0), 1, lambda: None)
    assert table.working == 0
    await owner._rollups.commit(SHARD, (1, 0), 1, lambda: None)  # as often as it is asked for
    assert {row["Readings"]["N"] for row in table.rows.values()} == {"1"}
    assert len(table.rows) == 20


async def test_the_guard_is_asked_before_each_request() -> None:
    table = FakeRollups()

    def lost() -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        await Owner(table, 1).commit(1, 10, guard=lost)
    assert (table.requests, table.rows) == (0, {})


async def test_a_row_that_was_deleted_is_begun_again() -> None:
    """DynamoDB deletes rows that have expired."""
    table = FakeRollups()
    owner = Owner(table, 1)
    await owner.commit(1, 10)
    table.rows.clear()
    await owner.commit(2, 20)
    await owner.commit(3, 30)
    assert numbers(table)[:2] == ("2", "50")


@pytest.mark.parametrize("there", [{"Counted": {"S": "x"}}, {"Counted": {"S": "1.0/1"}}, {"Other": {"S": "y"}}])
async def test_a_row_of_another_program_is_named(there: dict[str, Any]) -> None:
    table = FakeRollups()
    key = "d", f"{START}/60/{SHARD}"
    table.rows[key] = {"SensorId": {"S": "d"}, "Window": {"S": key[1]}, **there}
    with pytest.raises(ForeignRow, match=f"rollups: 'd', {START}/60/{SHARD}: another program has written this row"):
        await Owner(table, 1).commit(2, 10)


async def test_what_is_remembered_of_rows_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.sinks.rollups.KEPT", 3)
    assert KEPT == 10_000
    table = FakeRollups()
    owner = Owner(table, 1)
    for number in range(1, 9):
        await owner.commit(number, number, device=f"d{number}")
    assert list(owner._rollups._rows) == [(f"d{number}", f"{START}/60/{SHARD}") for number in (6, 7, 8)]


async def test_a_shard_counts_an_archive_object_before_its_checkpoint() -> None:
    world, table = World(RotationPolicy(3, 1 << 20, 60_000)), FakeRollups()
    world.rollups = RollupTable(table.send, "rollups", 0, 4, world.metrics)
    world.leases.seconds = world.leases.counted = 60
    async with FakeDaemon(world) as daemon:
        await daemon.start()
        table.written = lambda: seen.append((len(daemon.checkpoints), len(world.s3.objects)))
        seen: list[tuple[int, int]] = []
        await daemon.deliver([record(n) for n in range(1, 8)])
        assert seen == [(0, 1), (1, 2)]
        assert daemon.checkpoints == [(3, 0), (6, 0)]
    assert numbers(table)[:2] == ("6", "21")
    assert world.dynamodb.values() == [str(n) for n in range(1, 8)]


async def test_with_rollups_alone_no_reading_has_a_row() -> None:
    world, table = World(), FakeRollups()
    world.has_rows = False
    world.rollups = RollupTable(table.send, "rollups", 0, 4, world.metrics)
    world.leases.seconds = world.leases.counted = 60
    async with FakeDaemon(world) as daemon:
        await daemon.start()
        await daemon.deliver([record(n) for n in range(1, 5)])
    assert world.dynamodb.rows == {}
    assert numbers(table)[:2] == ("4", "10")


async def test_an_adopted_object_is_counted_with_all_its_records() -> None:
    """The earlier owner was lost before it had counted."""
    world, table = World(RotationPolicy(6, 1 << 20, 60_000)), FakeRollups()
    async with FakeDaemon(world) as daemon:
        await daemon.start()
        daemon.errors = ["ShutdownException"]
        await daemon.deliver([record(n) for n in range(1, 7)])
    world.cut = RotationPolicy(4, 1 << 20, 60_000)
    world.rollups = RollupTable(table.send, "rollups", 0, 4, world.metrics)
    world.leases.seconds = world.leases.counted = 60
    async with FakeDaemon(world) as daemon:
        await daemon.start()
        await daemon.deliver([record(n) for n in range(1, 6)])
        assert table.rows == {}
        await daemon.deliver([record(6), record(7)])
    assert numbers(table)[:2] == ("6", "21")


async def test_the_setting_takes_effect_behind_an_owners_own_checkpoint() -> None:
    """What an earlier owner has begun to count is counted to its end, in the same windows, or not at all."""
    world, table = World(RotationPolicy(2, 1 << 20, 60_000)), FakeRollups()
    world.rollups = RollupTable(table.send, "rollups", 0, 4, world.metrics)
    for seconds, numbers in ((3600, [1, 2]), (60, [3, 4, 5, 6]), (0, [7, 8, 9, 10])):
        world.leases.seconds = seconds
        async with FakeDaemon(world) as daemon:
            await daemon.start()
            await daemon.deliver([record(n) for n in numbers])
    counted = {row["Window"]["S"].split("/")[1]: row["Value"]["M"]["Sum"]["N"] for row in table.rows.values()}
    assert counted == {"3600": "7", "60": "26"}
