"""What stands still is noticed."""

import asyncio

import pytest

from consumer.watch import Pulse


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock to be set by hand, in seconds."""
    now = [100.0]
    monkeypatch.setattr(Pulse, "_now", staticmethod(lambda: now[0]))
    return now


def test_a_process_that_stood_still_longer_than_a_lease_stays_asleep_until_restarted(clock: list[float]) -> None:
    pulse = Pulse(lease_seconds=10)
    clock[0] += 10
    assert pulse.awake()
    clock[0] += 1
    assert not pulse.awake()
    clock[0] = 100.5  # whatever the clock says now, the leases may be gone
    assert not pulse.awake()
    pulse.restarted()
    assert pulse.awake()


def test_the_gap_is_told_once_the_loop_runs_again(clock: list[float]) -> None:
    failures: list[BaseException] = []

    async def run() -> None:
        pulse = Pulse(lease_seconds=10)
        told = asyncio.Event()

        def fail(error: BaseException) -> None:
            failures.append(error)
            told.set()

        clock[0] += 11
        task = asyncio.create_task(pulse.run(fail))
        await told.wait()
        task.cancel()

    asyncio.run(run())
    assert "stood still for more than 10 s" in str(failures[0])
