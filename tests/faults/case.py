"""A fault case: one fault, what it does to the running system, and what must hold afterwards."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from infra.local.process import LOCAL
from producer.fleet.ledger import Ledger
from producer.fleet.order import Mix
from producer.fleet.simulate import Workload
from producer.ops.alerts import Subscriber, alerts_file
from producer.ops.audit import AuditResult, audit, audit_rollups
from tests.faults.bench import Bench, NotHeld, Setup
from tests.faults.health import Health
from tests.faults.memory import Memory
from tests.faults.probe import Probe
from tests.faults.stream import unaccounted

Injection = Callable[[Bench], AbstractContextManager[None]]
IN_PLACE, LEASES_EXPIRE, LEADER_LOST = 15.0, 30.0, 60.0
"""Seconds from the end of the fault to new rows from everywhere: a restart in place, leases that another takes over,
and those of a lost leader."""
LOST = ("archive_missing", "row_missing", "row_different", "dead_letter_missing")
_numbers = count(1)


@dataclass(frozen=True)
class Case:
    """`fault` injects before its yield and ends the fault after it; in between `seconds` pass. `check` is called when
    all has been drained and raises NotHeld."""

    name: str
    fault: Injection
    seconds: float = 0.0
    within: float | None = IN_PLACE
    fix: Callable[[Bench], None] | None = None
    """What an operator does afterwards, before the audit."""
    check: Callable[[Bench], None] = lambda bench: None
    setup: Setup = field(default_factory=Setup)
    plan: Workload = field(
        default_factory=lambda: Workload(devices=40, rate=320, via="kinesis", mix=Mix(malformed=0.01))
    )
    mixable: bool = False
    """Whether it may be drawn for a mixture: it needs no setup of its own and does not wait for other faults' ends."""
    drain: float = 60.0
    possible: Callable[[], str | None] = lambda: None
    """Why the case cannot be run on this machine; None where it can."""
    excused: tuple[str, ...] = ()
    """Findings of the audit that are this fault's nature and no loss in the stream."""
    steady: bool = False
    """Whether no worker's /healthz may fail meanwhile: an outage of a service must not replace all tasks."""


def run(case: Case, bench: Bench, seed: int | None) -> dict[str, Any]:
    """One line of the result. Never raises for what the system did wrong: see `ok` and `why`."""
    bench.view.say(f"{case.name}: starts")
    name = case.name.split(" ")[0]
    plan = replace(case.plan, prefix=f"{name}-{next(_numbers)}-", seed=seed)
    path = LOCAL / f"ledgers/{name}"
    for old in (path, alerts_file(path)):
        old.unlink(missing_ok=True)
    if case.setup.alerts:
        Subscriber.subscribe(bench.stack, alerts_file(path))
    why: list[str] = []
    outcome: dict[str, Any] = {"fault": case.name}
    with Ledger(path) as ledger, Memory(bench) as memory:
        with _noted(why), bench.load(plan, ledger), Health(bench) as health:
            outcome["recovery_s"] = _inject(case, bench, Probe(bench, plan), why)
        if case.steady and health.failed:
            why.append(f"/healthz failed: {health.failed[:3]}")
        with _noted(why):
            outcome["drained_s"] = round(bench.until("everything committed", bench.committed, case.drain), 1)
            if case.fix:
                case.fix(bench)
                bench.until("everything committed again", bench.committed, case.drain)
    report = audit(bench.stack, path, wait=30)
    outcome |= _counts(report) | memory.most()
    rollups = audit_rollups(bench.stack, {}, wait=30)
    outcome["rollups"] = rollups.counts["rollups"]
    why += [rollups.nothing] if rollups.nothing else []
    findings = report.findings | rollups.findings
    why += [f"{kind}: {found.count}: {found.places[:2]}" for kind, found in findings.items()
            if kind not in case.excused]  # fmt: skip
    if not memory.bounded:
        why.append("more memory than a worker may need")
    with _noted(why):
        case.check(bench)
        if missing := len(unaccounted(bench)) - bench.dropped:
            why.append(f"{missing} stream records are neither in the archive nor dead letters")
            outcome["lost"] += missing
    outcome["ok"] = not why
    if why:
        outcome["why"] = why
    bench.view.say(f"{case.name}: {'ok' if outcome['ok'] else 'NOT ok: ' + '; '.join(why)}")
    return outcome


@contextmanager
def _noted(why: list[str]) -> Iterator[None]:
    """Adds to `why` what did not hold; what comes after is done all the same."""
    try:
        yield
    except (NotHeld, AssertionError) as error:
        why.append(str(error) or repr(error))


def _inject(case: Case, bench: Bench, probe: Probe, why: list[str]) -> float | None:
    """The fault and the recovery from it; returns the seconds that took."""
    bench.until("rows from every shard", probe.seen, 60)
    with case.fault(bench):
        probe.fault_begins()
        bench.hold(case.seconds, f"{case.name}: the fault lasts")
        over = time.monotonic()  # its end begins
    probe.fault_is_over()
    bench.until("new rows from every shard", probe.seen, 4 * (case.within or IN_PLACE) + 120)
    recovered = time.monotonic() - over
    if case.within and recovered > case.within:
        why.append(f"recovered after {recovered:.1f} s, not within {case.within:g} s")
    bench.hold(2.0, f"{case.name}: recovered")
    return round(recovered, 1)


def _counts(report: AuditResult) -> dict[str, Any]:
    counts = report.summary()
    lost = sum(report.findings[kind].count for kind in LOST if kind in report.findings)
    return {name: counts[name] for name in ("published", "rows", "archived", "archive_duplicates")} | {"lost": lost}


@contextmanager
def nothing(bench: Bench) -> Iterator[None]:
    """No fault: the load itself is what the case is about."""
    yield


__all__ = ["IN_PLACE", "LEADER_LOST", "LEASES_EXPIRE", "Case", "Injection", "nothing", "run"]
