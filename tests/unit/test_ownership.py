"""The states of a conversation: events in, state out, for every pair of them."""

from itertools import product

import pytest

from consumer.pipeline.ownership import ENDS, Event, IllegalTransition, OwnershipLost, OwnershipState, State, step
from consumer.telemetry.metrics import Metrics

NEW, CLAIMING, OWNED, LOST, FINISHED, CLOSED = State
ILLEGAL = None

#                           NEW       CLAIMING  OWNED     LOST      FINISHED  CLOSED
EXPECTED: dict[Event, tuple[State | None, ...]] = {
    Event.INITIALIZE: (CLAIMING, ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL),
    Event.CLAIMED: (ILLEGAL, OWNED, ILLEGAL, LOST, ILLEGAL, ILLEGAL),
    Event.CLAIM_REFUSED: (ILLEGAL, LOST, ILLEGAL, LOST, ILLEGAL, ILLEGAL),
    Event.REPLACED: (ILLEGAL, LOST, LOST, LOST, FINISHED, CLOSED),
    Event.FENCED: (ILLEGAL, ILLEGAL, LOST, LOST, ILLEGAL, ILLEGAL),
    Event.STALLED: (ILLEGAL, ILLEGAL, LOST, LOST, ILLEGAL, ILLEGAL),
    Event.CHECKPOINT_REFUSED: (ILLEGAL, ILLEGAL, LOST, LOST, ILLEGAL, ILLEGAL),
    Event.LEASE_LOST: (FINISHED, ILLEGAL, FINISHED, FINISHED, FINISHED, ILLEGAL),
    Event.HANDED_OVER: (FINISHED, ILLEGAL, FINISHED, FINISHED, FINISHED, ILLEGAL),
    Event.SHARD_END: (ILLEGAL, ILLEGAL, FINISHED, FINISHED, ILLEGAL, ILLEGAL),
    Event.CONVERSATION_ENDED: (CLOSED, CLOSED, CLOSED, CLOSED, FINISHED, ILLEGAL),
}


@pytest.mark.parametrize(("state", "event"), [*product(State, Event)], ids=lambda each: each.value)
def test_every_event_in_every_state(state: State, event: Event) -> None:
    expected = EXPECTED[event][list(State).index(state)]
    if expected is ILLEGAL:
        with pytest.raises(IllegalTransition, match=f"{event.value} in a conversation that is {state.value}"):
            step(state, event)
    else:
        assert step(state, event) is expected


def ownership(*events: Event, running: bool = True) -> OwnershipState:
    made = OwnershipState(lambda: running, Metrics())
    for event in events:
        made.on(event)
    return made


def lost(state: OwnershipState) -> Event:
    with pytest.raises(OwnershipLost) as raised:
        state.guard()
    return raised.value.event


def test_only_an_owner_whose_process_is_running_may_write() -> None:
    ownership(Event.INITIALIZE, Event.CLAIMED).guard()
    assert lost(ownership(Event.INITIALIZE, Event.CLAIMED, running=False)) is Event.STALLED
    assert lost(ownership(Event.INITIALIZE, Event.CLAIMED, Event.REPLACED)) is Event.REPLACED


def test_the_end_of_ownership_is_counted_once_under_its_first_reason() -> None:
    state = ownership(Event.INITIALIZE, Event.CLAIMED, Event.REPLACED, Event.FENCED, Event.LEASE_LOST)
    counts = {reason: state._metrics.ownership_ended.labels(reason)._value.get() for reason in ENDS}
    assert {reason: count for reason, count in counts.items() if count} == {"replaced": 1}
