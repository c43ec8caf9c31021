"""The estimate of docs/deploy.md counts what is paid for."""

import pytest

from infra import cost
from infra.deploy.deployment import DATA

MILLION_A_MONTH = 1 / cost.millions(1)


def test_each_message_pays_for_every_rule_that_it_meets() -> None:
    assert DATA.read_text().count("Type: AWS::IoT::TopicRule\n") == cost.RULES
    messages = next(item for item in cost.ITEMS if item.name.startswith("IoT Core: messages"))
    assert messages.dollars(MILLION_A_MONTH) == pytest.approx(1.00 + 2 * (0.15 + 0.15))


def test_it_says_which_archive_objects_are_too_small_for_tiering() -> None:
    """60 s of one shard, or 10,000 records."""
    assert [round(cost.object_kb(rate)) for rate in (10, 100, 1_000)] == [12, 117, 195]
    assert cost.object_kb(109) < cost.TIERED_KB < cost.object_kb(110)
    (line,) = [line for line in cost.table() if "tiered from 128" in line]
    assert "*117* | *195* | *195*" in line
