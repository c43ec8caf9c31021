"""Whether a conversation may write for its shard: its states, and every transition between them.

    NEW --initialize--> CLAIMING --claimed--> OWNED --lease lost, handed over, shard end--> FINISHED
                            |                   |                                              ^
                            '--refused, replaced, fenced ...--> LOST --lease lost, handed over-'

Only an owner writes. A conversation that has lost its shard only answers the daemon's actions, until the daemon's final
one. A claim that succeeds after the conversation was replaced does not restore ownership.
"""

import logging
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from consumer.telemetry.metrics import Metrics

log = logging.getLogger(__name__)


class State(Enum):
    """The state of a conversation."""

    NEW = "new"
    CLAIMING = "claiming"
    OWNED = "owned"
    LOST = "lost"
    """Another worker owns the shard, or may; the daemon has not reported that yet."""
    FINISHED = "finished"
    """The daemon's final action is handled: the end of the pipe is expected."""
    CLOSED = "closed"
    """The conversation ended without a final action."""


class Event(Enum):
    """What changes a conversation's state; for events that end ownership the value is the reason in log and metric."""

    INITIALIZE = "initialize"
    CLAIMED = "claimed"
    CLAIM_REFUSED = "claim-refused"
    """This worker does not own the lease (any more)."""
    REPLACED = "replaced"
    """A later conversation of the same shard in this process."""
    FENCED = "fenced"
    """The archive holds an object of a newer owner."""
    STALLED = "stalled"
    """This process was suspended for longer than its leases last."""
    CHECKPOINT_REFUSED = "checkpoint-refused"
    """The KCL reports that the lease is lost."""
    LEASE_LOST = "lease-lost"
    HANDED_OVER = "handed-over"
    SHARD_END = "shard-end"
    CONVERSATION_ENDED = "conversation-ended"
    """The daemon, its connector or this run has ended."""


EXPECTED: Final = frozenset({Event.LEASE_LOST, Event.HANDED_OVER, Event.SHARD_END, Event.CONVERSATION_ENDED})
ENDS: Final = tuple(event.value for event in Event if event not in (Event.INITIALIZE, Event.CLAIMED))
"""The reasons for which ownership, or a claim to it, ends."""

TRANSITIONS: Final[Mapping[State, Mapping[Event, State]]] = {
    State.NEW: {
        Event.INITIALIZE: State.CLAIMING,
        Event.LEASE_LOST: State.FINISHED,
        Event.HANDED_OVER: State.FINISHED,
        Event.CONVERSATION_ENDED: State.CLOSED,
    },
    State.CLAIMING: {
        Event.CLAIMED: State.OWNED,
        Event.CLAIM_REFUSED: State.LOST,
        Event.REPLACED: State.LOST,
        Event.CONVERSATION_ENDED: State.CLOSED,
    },
    State.OWNED: {
        Event.REPLACED: State.LOST,
        Event.FENCED: State.LOST,
        Event.STALLED: State.LOST,
        Event.CHECKPOINT_REFUSED: State.LOST,
        Event.LEASE_LOST: State.FINISHED,
        Event.HANDED_OVER: State.FINISHED,
        Event.SHARD_END: State.FINISHED,
        Event.CONVERSATION_ENDED: State.CLOSED,
    },
    State.LOST: {  # replaced while a claim, a write or a checkpoint was under way
        Event.CLAIMED: State.LOST,
        Event.CLAIM_REFUSED: State.LOST,
        Event.REPLACED: State.LOST,
        Event.FENCED: State.LOST,
        Event.STALLED: State.LOST,
        Event.CHECKPOINT_REFUSED: State.LOST,
        Event.LEASE_LOST: State.FINISHED,
        Event.HANDED_OVER: State.FINISHED,
        Event.SHARD_END: State.FINISHED,
        Event.CONVERSATION_ENDED: State.CLOSED,
    },
    State.FINISHED: {
        Event.REPLACED: State.FINISHED,
        Event.LEASE_LOST: State.FINISHED,  # after a hand-over
        Event.HANDED_OVER: State.FINISHED,
        Event.CONVERSATION_ENDED: State.FINISHED,
    },
    State.CLOSED: {
        Event.REPLACED: State.CLOSED,
    },
}


class IllegalTransition(Exception):
    """An event that cannot occur in this state."""


class OwnershipLost(Exception):
    """This conversation has lost its shard (or may have), by `event`: it must write nothing more."""

    def __init__(self, event: Event) -> None:
        super().__init__(event.value)
        self.event = event


def step(state: State, event: Event) -> State:
    """The state after an event. Raises IllegalTransition."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(f"{event.value} in a conversation that is {state.value}") from None


class OwnershipState:
    """One conversation's state, changed by its shard."""

    def __init__(self, running: Callable[[], bool], metrics: "Metrics") -> None:
        """`running` is False when this process may have been suspended for longer than its leases last."""
        self._running = running
        self._metrics = metrics
        self.state = State.NEW

    @property
    def live(self) -> bool:
        """Whether the shard is owned: claimed, and not lost or released since."""
        return self.state is State.OWNED

    @property
    def finished(self) -> bool:
        """Whether the daemon's final action is handled, so that the end of the pipe is expected."""
        return self.state is State.FINISHED

    def on(self, event: Event) -> None:
        """Changes the state; logs and counts why ownership, or a claim to it, ends. Raises IllegalTransition."""
        before, self.state = self.state, step(self.state, event)
        if before in (State.CLAIMING, State.OWNED) and not self.live:
            level = logging.INFO if event in EXPECTED else logging.WARNING
            log.log(level, "ownership ended", extra={"reason": event.value})
            self._metrics.ownership_ended.labels(event.value).inc()

    def guard(self) -> None:
        """Called before every write; raises OwnershipLost when another worker may own the shard by now."""
        if not self.live:  # during a write only a later conversation can end it
            raise OwnershipLost(Event.REPLACED)
        if not self._running():
            raise OwnershipLost(Event.STALLED)
