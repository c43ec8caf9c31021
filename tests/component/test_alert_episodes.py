"""One notice for each beginning and each end of an episode: by calls at once, repeated, ended between any two steps."""

import contextlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.functions.alert import minute
from infra.local.emulator import Emulator
from tests.component.alert_rig import T0, Fault, Killed, Rig

DRY = json.dumps({"rules": [{"name": "dry", "hysteresis": 3}], "digest": 5})
MINUTE = 60_000
AT_ONCE = 50
STEPS = ("batch_get_item", "transact_write_items", "update_item", "publish", "batch_write_item")
"""Of a call that tells a notice: read the state, change it, count, publish, take the notice out of the outbox."""
UNDECIDABLE = {("publish", True), ("batch_write_item", False)}
"""SNS has the message, and nobody can know."""
OF_A_DIGEST = (
    ("update_item", 1), ("update_item", 2), ("put_item", 1), ("publish", 1), ("put_item", 2), ("batch_write_item", 1),
)  # fmt: skip
"""Of a minute's call: begin, count, fix the digest, publish, say that it was, take its notices out of the outbox."""
UNDECIDABLE_DIGEST = {("publish", 1, True), ("put_item", 2, False)}


@pytest.fixture
def rig(tables: str) -> Rig:
    return Rig(tables, DRY)


@pytest.fixture
def busy(emulator: Emulator) -> Rig:
    """For many calls at once: only the emulator's transactions are isolated as DynamoDB's are."""
    return Rig(emulator.endpoint, DRY)


def minutes(rig: Rig, count: int = 3) -> None:
    for _ in range(count):
        rig.now += MINUTE
        assert minute.run(rig.function())


def test_a_dry_spell_is_told_when_it_begins_and_when_it_ends(rig: Rig) -> None:
    for value in (34, 30, 20, 34.5):
        rig.reading("soil", value)
        rig.now += 30_000
    rig.row("soil", 37.9)
    minutes(rig, 1)
    assert rig.told() == [("open", "soil")]
    rig.row("soil", 38)
    minutes(rig, 1)
    assert rig.told() == [("open", "soil"), ("recovered", "soil")]
    rig.reading("soil", 34)
    assert rig.told()[2:] == [("open", "soil")]
    assert len({each.split("-")[0] for each in rig.ids()}) == 2


def test_fifty_calls_at_once_tell_one_notice(busy: Rig) -> None:
    at = busy.now
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda n: busy.reading("soil", 20, at - n), range(AT_ONCE)))
    minutes(busy)
    assert busy.told() == [("open", "soil")]


def test_fifty_calls_at_once_that_end_anywhere_and_are_repeated_tell_one_notice(busy: Rig) -> None:
    """As Lambda repeats them, twice; each process ends at a fifth of its steps."""
    faults: list[Fault] = []

    def call(_: int) -> None:
        for chance in (0.2, 0.2, 0.0):
            fault = Fault(chance=chance)
            faults.append(fault)
            with contextlib.suppress(Killed):
                busy.reading("soil", 20, T0, fault)
                return

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(call, range(AT_ONCE)))
    minutes(busy)
    again = sum(fault.published for fault in faults if fault.dead)
    assert len(busy.ids()) == 1
    assert 1 <= sum(busy.ids().values()) <= 1 + again
    assert list(busy.rows("outbox")) == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_call_that_ends_between_two_steps_loses_no_notice_and_doubles_none(rig: Rig, step: str, after: bool) -> None:
    fault = Fault(step, 1, after)
    with pytest.raises(Killed):
        rig.reading("soil", 20, fault=fault)
    for _ in range(3):
        rig.reading("soil", 20, T0)
    minutes(rig)
    assert list(rig.rows("outbox")) == []
    # told again, with the same id, only if the process ended after SNS had the notice and before that was written
    assert list(rig.ids().values()) == [1 + ((step, after) in UNDECIDABLE)]


def digest_calls(rig: Rig) -> Callable[[Fault], bool]:
    """Twelve notices that wait for the minute's call."""
    rig.policy = type(rig.policy)(rig.policy.rules, None, 0, False)
    for n in range(12):
        rig.reading(f"soil{n}", 20)
    rig.now += 2 * MINUTE
    return lambda fault: minute.run(rig.function(fault))


def test_a_digest_has_all_and_is_one(rig: Rig) -> None:
    digest_calls(rig)(Fault())
    assert rig.told() == [("digest", "12")]
    minutes(rig)
    assert rig.told() == [("digest", "12")]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("step", "nth"), OF_A_DIGEST)
def test_a_minutes_call_that_ends_between_two_steps_loses_no_notice_and_doubles_none(
    rig: Rig, step: str, nth: int, after: bool
) -> None:
    call = digest_calls(rig)
    with pytest.raises(Killed):
        call(Fault(step, nth, after))
    minutes(rig)
    assert list(rig.rows("outbox")) == []
    assert rig.told()[0] == ("digest", "12")
    assert list(rig.ids().values()) == [1 + ((step, nth, after) in UNDECIDABLE_DIGEST)]


def test_two_calls_of_a_minute_do_what_one_does(busy: Rig) -> None:
    call = digest_calls(busy)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: call(Fault()), range(20)))
    assert busy.told() == [("digest", "12")]
