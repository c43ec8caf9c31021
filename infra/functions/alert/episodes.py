"""When an episode begins and ends. Pure: no I/O, no clock.

An episode is the time that a device is in the state of a rule: it begins with a measurement beyond the rule's limit,
and ends with one that is back by the hysteresis. Each beginning and each end makes one notice; measurements in between
change nothing.
"""

import hashlib
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from .policy import Policy, Rule

KEEP = 2 * 3_600_000
"""ms that an ended episode is remembered at least, longer than Lambda repeats a call: a late one begins no other."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a rule looks at. Times in ms since the epoch."""

    amount: Decimal  # value, change a minute, or minutes of silence
    value: str | None  # as it was sent
    at: int
    since: int | None = None  # of a silence: the last reading


@dataclass(frozen=True, slots=True)
class State:
    """The current, or the last, episode of a device under a rule."""

    device: str
    rule: str
    episode: str
    open: bool
    changed: int  # when it began or ended, by the function's clock
    at: int  # time of the measurement that did it
    version: int  # counts the changes

    def expires(self, cooldown: int) -> int | None:
        """When it may be forgotten (s since the epoch); None as long as it is open."""
        return None if self.open else (self.changed + max(cooldown * 60_000, KEEP)) // 1000


@dataclass(frozen=True, slots=True)
class Notice:
    """What people are told of a beginning or an end. `id` is one of a kind: who gets it twice may drop one."""

    id: str
    episode: str
    device: str
    rule: str
    kind: str  # the rule's; `removed` of an end whose rule was taken out of the policy
    severity: str
    state: str  # open, silent, recovered
    value: str | None
    limit: str
    at: int  # ms; of a silence that of the last reading
    due: int  # ms; not to be sent before
    told: bool  # False: for the history only

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


def decide(
    policy: Policy, rule: Rule, device: str, state: State | None, measured: Measured, now: int
) -> tuple[State, Notice] | None:
    """The state after this measurement, and the notice of the change; None when it changes nothing."""
    if state and measured.at <= state.at:
        return None  # it was sent before the one that made the state
    excess = rule.excess(measured.amount)
    if excess > 0 and (state is None or (not state.open and now >= state.changed + rule.cooldown * 60_000)):
        return _changed(policy, rule, device, state, measured, now, True)
    if excess <= -rule.hysteresis and state and state.open:
        return _changed(policy, rule, device, state, measured, now, False)
    return None


def removed(state: State, now: int) -> tuple[State, Notice]:
    """The end of an episode whose rule is not in the policy any more, for the history only."""
    notice = Notice(
        id=f"{state.episode}-removed",
        episode=state.episode,
        device=state.device,
        rule=state.rule,
        kind="removed",
        severity="info",
        state="recovered",
        value=None,
        limit="",
        at=now,
        due=now,
        told=False,
    )
    return replace(state, open=False, changed=now, version=state.version + 1), notice


def _changed(
    policy: Policy, rule: Rule, device: str, state: State | None, measured: Measured, now: int, begins: bool
) -> tuple[State, Notice]:
    version = state.version + 1 if state else 1
    if begins or state is None:
        name = f"{rule.name} {device} {measured.at} {now}"
        episode = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:20]
    else:
        episode = state.episode
    what = ("silent" if rule.kind == "silent" else "open") if begins else "recovered"
    notice = Notice(
        id=f"{episode}-{what}",
        episode=episode,
        device=device,
        rule=rule.name,
        kind=rule.kind,
        severity=rule.severity,
        state=what,
        value=measured.value,
        limit=str(rule.limit),
        at=measured.at if measured.since is None else measured.since,
        due=policy.due(rule.severity, now),
        told=begins or rule.recovery,
    )
    return State(device, rule.name, episode, begins, now, measured.at, version), notice
