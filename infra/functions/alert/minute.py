"""What is due once a minute: recoveries, silent devices, and the notices that could not be told at once.

One call at a time, by a row of the table that says until when one is under way; the function's timeout is shorter. So
nobody else touches the notices whose makers' leases have ended. Each part is bounded: what a call does not come to, the
next one does.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from .episodes import Measured, Notice, State
from .policy import KINDS, Rule
from .service import Alerts, change
from .store import Waiting
from .words import digest_name

MINUTE = 55_000
"""ms that a call is taken to be under way: longer than the function's timeout, shorter than the schedule's minute."""
LOOKING = 25_000
"""ms for looking at devices; telling comes after."""
AT_ONCE = 8  # devices
CHUNK = 64
GONE = 7 * 86_400_000
"""ms without a reading after which a device is taken to be gone for good: no silence begins."""


def run(alerts: Alerts) -> bool:
    """Does what is due; False if another call of this minute is under way, or has been."""
    now = alerts.clock()
    if not alerts.store.begin(now, now + MINUTE):
        return False
    try:
        _look(alerts, now + LOOKING)
    finally:  # what is wrong with one device's rows must not keep the others' notices
        _tell(alerts)
    return True


def _look(alerts: Alerts, until: int) -> None:
    states = alerts.store.open_states()
    minute = until // 60_000
    if states:  # begins elsewhere each minute, in case that there are too many for one
        start = minute * 997 % len(states)
        states = states[start:] + states[:start]
    silent = {(state.device, state.rule) for state in states}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for i in range(0, len(states), CHUNK):
            if alerts.clock() > until:
                print(f"looked at {i} of {len(states)} open episodes; the next minute begins elsewhere")
                return
            list(pool.map(lambda state: _look_at(alerts, state), states[i : i + CHUNK]))
        _look_for_silence(alerts, pool, silent, until)


def _look_at(alerts: Alerts, state: State) -> None:
    """Whether an open episode is over. One whose rule is not in the policy any more stays until it is again."""
    for rule in alerts.policy.of(state.device, *KINDS):
        if rule.name == state.rule and (measured := _measure(alerts, rule, state.device)):
            alerts.observe(state.device, rule, measured, lease=0)


def _measure(alerts: Alerts, rule: Rule, device: str) -> Measured | None:
    if rule.kind == "silent":
        seen = alerts.fleet.last_seen(device)
        return None if seen is None else _silence(seen, alerts.clock())
    newest = alerts.fleet.newest(device)
    if not newest:
        return None
    amount = newest[0].value if rule.kind == "threshold" else change(newest[1] if newest[1:] else None, newest[0])
    return None if amount is None else Measured(amount, str(newest[0].value), newest[0].at)


def _silence(seen: int, now: int) -> Measured:
    return Measured(Decimal(max(0, now - seen)) / 60_000, None, now, since=seen)


def _look_for_silence(alerts: Alerts, pool: ThreadPoolExecutor, known: set[tuple[str, str]], until: int) -> None:
    """The list of devices is read once; who seems silent there is looked at, since the list is behind."""
    if not any(rule.kind == "silent" for rule in alerts.policy.rules):
        return
    now = alerts.clock()
    suspects = [
        (device, rule)
        for device, seen in alerts.fleet.devices()
        for rule in alerts.policy.of(device, "silent")
        if rule.limit * 60_000 < now - seen < GONE and (device, rule.name) not in known
    ]

    def look(suspect: tuple[str, Rule]) -> None:
        device, rule = suspect
        if measured := _measure(alerts, rule, device):
            alerts.observe(device, rule, measured, lease=0)

    for i in range(0, len(suspects), CHUNK):
        if alerts.clock() > until:
            print(f"looked at {i} of {len(suspects)} devices that seem silent; the next minute goes on")
            return
        list(pool.map(look, suspects[i : i + CHUNK]))


def _tell(alerts: Alerts) -> None:
    """One by one, if there are few; else as one digest."""
    now = alerts.clock()
    waiting = [each for each in alerts.store.waiting() if each.lease <= now]
    if unfinished := [each for each in waiting if each.digest]:
        _finish(alerts, unfinished)
        return
    due = [each for each in waiting if each.notice.due <= now]
    if len(due) <= alerts.policy.digest:
        for each in due:
            alerts.tell(each.notice)
        return
    name = digest_name([each.notice for each in due])
    alerts.store.join(due, name)
    _send(alerts, name, [each.notice for each in due])


def _finish(alerts: Alerts, waiting: Iterable[Waiting]) -> None:
    """Digests that a call has begun and not ended: at most one, as each call ends the ones before it."""
    digests: dict[str, list[Notice]] = {}
    for each in waiting:
        digests.setdefault(str(each.digest), []).append(each.notice)
    for name, notices in digests.items():
        if alerts.store.is_digest_sent(name):
            alerts.store.told(notices)
        else:
            _send(alerts, name, notices)


def _send(alerts: Alerts, name: str, notices: list[Notice]) -> None:
    alerts.tell_together(name, notices)
    alerts.store.digest_sent(name, alerts.clock())
    alerts.store.told(notices)
