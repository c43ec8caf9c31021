"""The number of devices, estimated in a few bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.sinks.devices import KEPT_STEPS, SLOTS, STEP_SECONDS, Devices

MINUTE = 60.0


def names(number: int, prefix: str = "soilSensor") -> list[str]:
    return [f"{prefix}{each}" for each in range(number)]


@pytest.mark.parametrize(("number", "off"), [(0, 0.0), (1, 0.0), (1_000, 0.03), (100_000, 0.02), (600_000, 0.03)])
def test_the_count_is_near_the_truth_however_often_each_speaks(number: int, off: float) -> None:
    devices = Devices()
    for _ in range(2):
        devices.add(names(number), 1000.0)
    assert devices.count(1000.0) == pytest.approx(number, rel=off)


def test_a_device_counts_for_a_minute_after_its_last_word() -> None:
    devices = Devices()
    devices.add(["silent", "talker"], 1000.0)
    devices.add(["talker"], 1030.0)
    assert devices.count(1000.0 + MINUTE) == 2
    assert devices.count(1000.0 + MINUTE + STEP_SECONDS) == 1
    assert devices.count(1030.0 + MINUTE + STEP_SECONDS) == 0


def test_reused_marks_do_not_count_devices_again() -> None:
    devices = Devices()
    devices.add(names(100), 0.0)
    for step in range(1, 600):
        assert devices.count(step * STEP_SECONDS) == (pytest.approx(100, abs=2) if step < KEPT_STEPS else 0)


def test_after_any_silence_no_device_is_left() -> None:
    for steps in range(KEPT_STEPS, 600):
        devices = Devices()
        devices.add(names(10), 0.0)
        assert devices.count(steps * STEP_SECONDS) == 0


@given(st.lists(st.tuples(st.text(max_size=3), st.floats(0, 20))))
def test_times_that_pass_in_any_steps_give_the_devices_of_the_last_minute(readings: list[tuple[str, float]]) -> None:
    devices, now, last = Devices(), 0.0, dict[str, float]()
    for name, pause in readings:
        now += pause
        devices.add([name], now)
        last[name] = now
    recent = sum(seen // STEP_SECONDS > now // STEP_SECONDS - KEPT_STEPS for seen in last.values())
    # So few that two hardly ever share a slot.
    assert abs(devices.count(now) - recent) <= 1


def test_more_devices_than_it_can_distinguish_are_many() -> None:
    devices = Devices()
    devices.add(names(20 * SLOTS), 0.0)
    assert devices.count(0.0) > 8 * SLOTS
