"""What is due once a minute: recoveries, silent devices, and the notices that could not be told at once.

One call at a time, by a row of the table that says until when one is under way; the function's timeout is shorter. So
nobody else touches the notices whose makers' leases have ended. Each part is bounded: what a call does not come to, the
next one does. What cannot be read is reported by an error at the end, when all the rest is done.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from .episodes import Measured, Notice, State
from .malformed import MALFORMED, Report
from .policy import KINDS, Rule
from .service import Alerts, change
from .store import Digest
from .words import digest_name

MINUTE = 55_000
"""ms that a call is taken to be under way: longer than the function's timeout, shorter than the schedule's minute."""
RECOVERIES, SILENCES, TELLING = 15_000, 25_000, 45_000
"""ms from a call's begin until which it looks at open episodes, then for silent devices, then takes away what was told:
each has time left however much the one before it has to do."""
AT_ONCE = 8  # devices
CHUNK = 64
TAKEN_AWAY = 1_000  # notices between two looks at the clock
GONE = 7 * 86_400_000
"""ms without a reading after which a device is taken to be gone for good: no silence begins."""
T = TypeVar("T")


def run(alerts: Alerts) -> bool:
    """Does what is due; False if another call of this minute is under way, or has been. ValueError, after all else was
    done, for rows that cannot be read: the alarm on the function's errors tells."""
    now = alerts.clock()
    if not alerts.store.begin(now, now + MINUTE):
        return False
    wrong: list[str] = []
    try:
        states = alerts.store.open_states(wrong.append)
        _look_for_ends(alerts, states, now + RECOVERIES, wrong.append)
        _look_for_silence(alerts, states, now + SILENCES, wrong.append)
    finally:  # a failure to look must not keep the notices
        _tell(alerts, now + TELLING, wrong.append)
    if wrong:
        raise ValueError(f"{len(wrong)} rows or devices cannot be read, all others were: {'; '.join(wrong[:5])}")
    return True


def _look_for_ends(alerts: Alerts, states: list[State], until: int, report: Report) -> None:
    """Whether open episodes are over. Begins elsewhere each minute, in case that there are too many for one."""
    start = until // 60_000 * 997 % len(states) if states else 0
    _each(alerts, states[start:] + states[:start], lambda state: _look_at(alerts, state), until, report)


def _look_at(alerts: Alerts, state: State) -> None:
    rule = next((each for each in alerts.policy.of(state.device, *KINDS) if each.name == state.rule), None)
    if rule is None:
        alerts.remove(state)
    elif measured := _measure(alerts, rule, state.device):
        alerts.observe(state.device, rule, measured, lease=0, known=state)


def _measure(alerts: Alerts, rule: Rule, device: str) -> Measured | None:
    if rule.kind == "silent":
        seen = alerts.fleet.last_seen(device)
        return None if seen is None else _silence(seen, alerts.clock())
    newest = alerts.fleet.newest(device)
    if not newest:
        return None
    amount = newest[0].value if rule.kind == "threshold" else change(newest[1] if newest[1:] else None, newest[0])
    at = min(newest[0].at, alerts.clock())  # as of a reading: the device's clock may be ahead
    return None if amount is None else Measured(amount, str(newest[0].value), at)


def _silence(seen: int, now: int) -> Measured:
    return Measured(Decimal(max(0, now - seen)) / 60_000, None, now, since=seen)


def _look_for_silence(alerts: Alerts, states: list[State], until: int, report: Report) -> None:
    """The list of devices is read once; who seems silent there is looked at, since the list is behind."""
    if not any(rule.kind == "silent" for rule in alerts.policy.rules):
        return
    now, known = alerts.clock(), {(state.device, state.rule) for state in states}
    suspects = [
        (device, rule)
        for device, seen in alerts.fleet.devices(report)
        for rule in alerts.policy.of(device, "silent")
        if rule.limit * 60_000 < now - seen < GONE and (device, rule.name) not in known
    ]

    def look(suspect: tuple[str, Rule]) -> None:
        device, rule = suspect
        if measured := _measure(alerts, rule, device):
            alerts.observe(device, rule, measured, lease=0)

    _each(alerts, suspects, look, until, report)


def _each(alerts: Alerts, things: Sequence[T], look: Callable[[T], None], until: int, report: Report) -> None:
    """Looks at one after the other, some at once, as long as there is time; reports those that cannot be read."""

    def safely(thing: T) -> None:
        try:
            look(thing)
        except MALFORMED as error:
            report(f"{thing}: {error!r}"[:500])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for i in range(0, len(things), CHUNK):
            if alerts.clock() > until:
                print(f"looked at {i} of {len(things)}; the next minute goes on")
                return
            list(pool.map(safely, things[i : i + CHUNK]))


def _tell(alerts: Alerts, until: int, report: Report) -> None:
    """One by one, if there are few this minute; else as one digest. What a call has begun to tell comes first."""
    now, last = min(alerts.clock(), until), alerts.store.digest()  # a digest's time is well before the next call's
    waiting = [each for each in alerts.store.waiting(report) if each.lease <= now]
    if last and (begun := [each.notice for each in waiting if last.has(each)]):
        _tell_together(alerts, last, begun, until)
        return
    due = [each.notice for each in waiting if each.notice.due <= now]
    if due and (len(due) == 1 or alerts.store.count(now // 60_000, len(due)) <= alerts.policy.digest):
        for notice in due:
            alerts.tell(notice)
    elif due:
        alerts.store.put_digest(digest := Digest(now, sent=False))
        _tell_together(alerts, digest, due, until)


def _tell_together(alerts: Alerts, digest: Digest, notices: list[Notice], until: int) -> None:
    """Publishes a digest that was not, and then takes away what it told, as far as there is time."""
    if not digest.sent:
        alerts.tell_together(digest_name(notices), notices)
        alerts.store.put_digest(replace(digest, sent=True))
    for i in range(0, len(notices), TAKEN_AWAY):
        if alerts.clock() > until:
            print(f"took away {i} of {len(notices)} notices that were told; the next minute goes on")
            return
        alerts.store.told(notices[i : i + TAKEN_AWAY])
