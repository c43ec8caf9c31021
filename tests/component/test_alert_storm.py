"""A whole fleet under the threshold at once: few messages, nothing missed, and work that is bounded."""

import json
from collections import Counter
from decimal import Decimal

import pytest

from infra.functions.alert import minute
from infra.functions.alert.words import LISTED
from tests.bench.storm import POLICY, Storm
from tests.component.alert_rig import Rig

DEVICES = 300
FEW = 5
"""Messages a minute that are about one device."""


@pytest.fixture
def rig(tables: str) -> Rig:
    return Rig(tables, POLICY)


def history(rig: Rig) -> Counter[tuple[str, str]]:
    notices = [json.loads(row["Notice"]["S"]) for row in rig.rows("history")]
    return Counter((notice["state"], notice["device"]) for notice in notices)


def test_of_a_fleet_under_the_threshold_each_device_is_told_once_in_few_messages(rig: Rig) -> None:
    first, tells, again, stay, *recovery = Storm(rig, DEVICES).run()
    devices = {f"soil{n}" for n in range(DEVICES)}
    assert history(rig) == Counter((state, device) for state in ("open", "recovered") for device in devices)
    assert (first.single, first.digests) == (FEW, 0)
    assert (tells.single, tells.digests, tells.in_digests) == (0, 1, DEVICES - FEW)
    assert [(each.single, each.digests) for each in (again, stay)] == [(0, 0)] * 2
    assert all(each.single <= FEW and each.digests <= 1 for each in recovery)
    assert sum(each.single + each.in_digests for each in recovery) == DEVICES
    told_singly = [device for state, device in rig.told() if state == "open"]
    assert len(set(told_singly)) == FEW
    assert max(len(each["Message"].splitlines()) for each in rig.published) <= LISTED + 3


def test_what_a_fleet_under_the_threshold_takes_is_bounded(rig: Rig) -> None:
    """Requests to DynamoDB: a reading that begins an episode reads, changes and counts; a further one reads. A minute's
    call reads all partitions, looks at each device once, and takes 25 notices away with each request."""
    first, tells, again, stay, *recovery = Storm(rig, DEVICES).run()
    own = 2 * 16 + 6
    assert first.requests <= 3 * DEVICES + FEW
    assert again.requests == DEVICES
    assert tells.requests <= DEVICES + DEVICES // 25 + 1 + own
    assert stay.requests <= DEVICES + own
    assert sum(each.requests for each in recovery) <= 2 * DEVICES + DEVICES // 25 + 1 + len(recovery) * (own + FEW)


def test_a_digest_too_large_for_one_call_is_ended_by_the_next_ones_and_told_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minute, "TAKEN_AWAY", 10)
    function = rig.function()
    for n in range(100):
        function.reading(f"soil{n}", Decimal(20), "20", rig.now)
    function.policy = type(function.policy)((), None, FEW, False)  # only what tells is of interest
    left = []
    for _ in range(20):
        rig.now += 60_000
        ticks = iter(range(rig.now, rig.now + 10**9, 5_000))  # a slow machine: five seconds between any two looks
        function.clock = lambda ticks=ticks: next(ticks)  # type: ignore[misc]
        minute.run(function)
        left.append(len(list(rig.rows("outbox"))))
        if not left[-1]:
            break
    assert left == sorted(left, reverse=True)
    assert len(left) > 2
    assert left[-1] == 0
    assert rig.told()[FEW:] == [("digest", "95")]
