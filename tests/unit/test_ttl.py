"""Rows expire by their measurement, whatever the device's clock says within bounds that their arrival sets."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.payload.contract import Contract
from consumer.payload.contracts import Contracts
from consumer.payload.reading import Reading
from consumer.sinks.table import DAY, Expiry, Table, expiry
from consumer.telemetry.metrics import Metrics
from tests.unit.fakes import FakeDaemon, FakeDynamoDB, World, record

ARRIVAL = 1_795_604_400_123  # 2026-11-25T11:00:00Z
NOW = ARRIVAL // 1000
ANY_TIME = Contracts([Contract(device="name", time="timeStampEpoch", value="humidity", max_future_seconds=10**10)])
FIVE_YEARS = 5 * 365 * DAY
moments = st.integers(0, 4_102_444_799_999)  # 1970 to 2099


def reading(time_ms: int) -> Reading:
    return Reading("d", time_ms, Decimal(1), None)


@pytest.mark.parametrize(
    ("measured", "at", "bound"),
    [
        (NOW - 5, NOW - 5 + 30 * DAY, None),
        (NOW - 29 * DAY, NOW + DAY, None),  # a backlog that is nearly too old
        (NOW - 30 * DAY, NOW + DAY, "past"),  # would go at once
        (NOW + DAY, NOW + 31 * DAY, None),
        (NOW + DAY + 1, NOW + 31 * DAY, "future"),
        (4_102_444_799, NOW + 31 * DAY, "future"),  # 2099: would be kept for decades
        (946_684_800, NOW + DAY, "past"),  # 2000, a clock without a battery: would be kept permanently
        (0, NOW + DAY, "past"),
    ],
)
def test_a_row_expires_after_its_measurement_within_bounds_of_its_arrival(
    measured: int, at: int, bound: str | None
) -> None:
    assert expiry((reading(measured * 1000), ARRIVAL), 30) == Expiry(at, bound)


def test_with_a_ttl_of_one_day_no_clock_counts_as_wrong_that_is_right() -> None:
    assert expiry((reading((NOW - 60) * 1000), ARRIVAL), 1) == Expiry(NOW - 60 + DAY)
    assert expiry((reading((NOW - DAY) * 1000), ARRIVAL), 1) == Expiry(NOW + DAY // 2, "past")


@given(moments, moments, st.integers(1, 36_500))
def test_no_clock_makes_a_row_expire_at_once_or_never(measured: int, arrival: int, days: int) -> None:
    at, bound = expiry((reading(measured), arrival), days)
    assert at is not None
    since = arrival // 1000
    assert since + (DAY if days > 1 else DAY // 2) <= at <= since + (days + 1) * DAY
    assert at > since - FIVE_YEARS  # what expired longer ago than that DynamoDB never deletes
    assert bound or at == measured // 1000 + days * DAY


def test_without_an_arrival_or_a_ttl_a_row_stays() -> None:
    assert expiry((reading(0), None), 30) == Expiry(None, "no-arrival")
    assert expiry((reading(0), ARRIVAL), 0) == expiry((reading(0), None), 0) == Expiry(None)


async def test_rows_of_wrong_clocks_are_counted() -> None:
    table, metrics = FakeDynamoDB(), Metrics()
    times = [ARRIVAL - 1000, 0, 946_684_800_000, 4_102_444_799_999]
    rows = [(reading(time), ARRIVAL) for time in times]
    await Table(table.send, "rows", 30, 8, metrics).put([*rows, (reading(5), None)], lambda: None)
    counts = {
        bound: metrics.registry.get_sample_value("sensorstream_rows_ttl_bounded_total", {"bound": bound})
        for bound in ("past", "future", "no-arrival")
    }
    assert counts == {"past": 2, "future": 1, "no-arrival": 1}
    expires = [row["ExpiresAt"]["N"] for row in table.rows.values() if "ExpiresAt" in row]
    assert len(expires) == 4
    assert min(map(int, expires)) == NOW + DAY


async def test_a_shard_hands_each_records_arrival_on_and_a_replay_gives_the_same_rows() -> None:
    async def rows(*batches: list[int]) -> dict[tuple[str, str], dict[str, object]]:
        world = World()
        world.ttl_days = 30
        world.contracts = ANY_TIME
        async with FakeDaemon(world) as daemon:
            await daemon.start()
            for batch in batches:
                await daemon.deliver([clocked(number) for number in batch])
        return world.dynamodb.rows

    def clocked(number: int) -> dict[str, object]:
        measured = [946_684_900_000, 4_102_444_799_999, ARRIVAL][number % 3] - number
        data = b'{"name":"d","humidity":%d,"timeStampEpoch":%d}' % (number, measured)
        return record(number, data, arrival=ARRIVAL + number * 60_000)

    once = await rows([1, 2, 3, 4, 5, 6])
    assert {row["ExpiresAt"]["N"] for row in once.values()} == {  # type: ignore[index]
        str(at)
        for n in range(1, 7)
        for at in [[NOW + n * 60 + DAY, NOW + n * 60 + 31 * DAY, (ARRIVAL - n) // 1000 + 30 * DAY][n % 3]]
    }
    assert await rows([1, 2, 3, 4], [1, 2], [3, 4, 5, 6]) == once
