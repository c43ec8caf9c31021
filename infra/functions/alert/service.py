"""Alerts by a policy: readings to episodes, episodes to notices, each told once.

A change of state is one transaction with the notice of it, so each beginning and each end of an episode has exactly one
notice, however often and wherever this runs. To tell it takes two steps, publish and take it out of the outbox, and
SNS cannot say whether it has a message. So after a crash just between these, or an answer of SNS that was lost, the
notice is sent again, with the same `id` in its attributes. All else is told once.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from . import words
from .episodes import Measured, Notice, State, decide, removed
from .fleet import Fleet, Point
from .policy import Policy, Rule
from .store import Store

PROMPT = 10_000
"""ms from a notice's making during which its maker may begin to send it. It takes until the end of the function's call
at most, which the lease outlasts."""
LEASE = 60_000  # ms; longer than the function's timeout
TRIES = 20
"""Of a change, each after another call has changed the same state."""


@dataclass(frozen=True, slots=True)
class Words:
    field: str
    when: str
    unit: str


class Alerts:
    """`publish` takes the arguments of SNS's Publish but the topic; `clock` gives ms since the epoch."""

    def __init__(
        self,
        policy: Policy,
        store: Store,
        fleet: Fleet,
        publish: Callable[..., object],
        words: Words,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.policy, self.store, self.fleet, self.clock = policy, store, fleet, clock
        self._publish, self._words = publish, words

    def reading(self, device: str, value: Decimal, sent: str, at: int) -> None:
        """What follows from a reading of that time (ms), whose value was sent as that text."""
        seen = min(at, self.clock())  # a device whose clock is ahead must not outdo its own next readings
        rules = self.policy.of(device, "threshold", "change")
        before = self.fleet.before(device, at) if any(rule.kind == "change" for rule in rules) else None
        for rule in rules:
            amount = value if rule.kind == "threshold" else change(before, Point(at, value))
            if amount is not None and (notice := self.observe(device, rule, Measured(amount, sent, seen))):
                self._tell_at_once(notice)

    def observe(
        self, device: str, rule: Rule, measured: Measured, lease: int = LEASE, known: State | None = None
    ) -> Notice | None:
        """Brings the state up to date with a measurement; returns the notice if there is one to be told. `known` is
        the state as it was read just now: it need not be read again unless another call has changed it."""
        for attempt in range(TRIES):
            now = self.clock()
            state = known if known and not attempt else self.store.states(device, [rule.name]).get(rule.name)
            changed = decide(self.policy, rule, device, state, measured, now)
            if not changed:
                return None
            after, notice = changed
            if self.store.change(state, after, notice, rule.cooldown, now + lease):
                return notice if notice.told else None
            time.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 5)))  # noqa: S311 (spreads those that contend)
        raise TimeoutError(f"the state of {device} under {rule.name} was changed by others {TRIES} times")

    def remove(self, state: State) -> None:
        """Ends an episode whose rule is not in the policy any more, unless another call has just changed it."""
        after, notice = removed(state, self.clock())
        self.store.change(state, after, notice, cooldown=0, lease=0)

    def tell(self, notice: Notice) -> None:
        """Publishes one notice, and takes it out of the outbox."""
        w = self._words
        self._send(words.single(notice, w.field, w.when, w.unit))
        self.store.told([notice])

    def tell_together(self, name: str, notices: list[Notice]) -> None:
        """Publishes a digest."""
        w = self._words
        self._send(words.digest(name, notices, w.field, w.when, w.unit))

    def _send(self, message: dict[str, Any]) -> None:
        self._publish(**words.chat(message) if self.policy.chat else message)

    def _tell_at_once(self, notice: Notice) -> None:
        """Unless it is for later, or there are many this minute: then the minute's call does."""
        now = self.clock()
        few = notice.due <= now and self.store.count(now // 60_000) <= self.policy.digest
        if few and self.clock() < now + PROMPT:
            self.tell(notice)


def change(before: Point | None, after: Point) -> Decimal | None:
    """The change a minute between two readings of a device; None without an earlier one."""
    if before is None or before.at >= after.at:
        return None
    return (after.value - before.value) * 60_000 / (after.at - before.at)
