"""The ledger survives crashes, and says which alerts and bytes are to be expected."""

import zlib
from decimal import Decimal
from pathlib import Path

import pytest

from producer.aws.errors import UserError
from producer.fleet.condition import Condition
from producer.fleet.ledger import Entry, Ledger, entry, read
from producer.fleet.message import Measurement, single

NOW = 1_795_345_942_830
LOW = single(Measurement("soilSensor1", NOW, "20", quoted=True), 1, "humidity")


def test_entries_come_back_and_are_summed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ledger"
    entries = [Entry(1, "a", 5, rows=[("a", 5, "1.50")], alerts=[("a", "1.50")]), Entry(2, "a", 6, ack=False)]
    with Ledger(path) as ledger:
        for line in entries:
            ledger.record(line)
    assert list(read(path)) == entries
    assert (ledger.published, ledger.readings, ledger.uncertain, ledger.alerts) == (1, 1, 1, 1)


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Ledger(path) as ledger:
        ledger.record(Entry(1, "a", 5))
    with path.open("ab") as file:
        file.write(b'{"n":2,"dev')
    with Ledger(path) as ledger:
        ledger.record(Entry(3, "a", 5))
    assert [line.n for line in read(path)] == [1, 3]


def test_messages_through_the_rules_raise_alerts_and_are_not_compared_byte_for_byte() -> None:
    line = entry(LOW, NOW, ack=True, attempts=1, condition=Condition(), through_rules=True)
    assert line.alerts == [("soilSensor1", "20")]
    assert line.crc is None
    higher = Condition(threshold=Decimal(20))
    assert entry(LOW, NOW, ack=True, attempts=1, condition=higher, through_rules=True).alerts == []


def test_messages_straight_into_the_stream_raise_none_and_are() -> None:
    line = entry(LOW, NOW, ack=True, attempts=1, condition=Condition(), through_rules=False)
    assert (line.alerts, line.crc) == ([], zlib.crc32(LOW.payload))


def test_a_missing_ledger_is_a_line_for_the_user(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the ledger"):
        list(read(tmp_path / "none"))
    with pytest.raises(UserError, match="cannot write the ledger"):
        Ledger(tmp_path)
