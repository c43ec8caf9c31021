"""Random mixtures: several faults that come and go while others last, on one worker or on two."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from tests.faults.bench import Bench, Setup
from tests.faults.case import Case
from tests.faults.cases import CASES
from tests.faults.fleet_cases import both_own

MIXABLE = [case for case in CASES if case.mixable]
SPAN, LONGEST, DRAIN = 30.0, 25.0, 300.0
"""Seconds: the last fault begins after so many, none lasts longer, all must be caught up with after so many more."""


@dataclass(frozen=True)
class Event:
    """A fault's time in a mixture, in seconds from its beginning."""

    case: Case
    begins: float
    ends: float


def mixture(number: int, seed: int) -> Case:
    """The mixture of a round; the same seed and number always give the same."""
    rng = random.Random(f"{seed}.{number}")
    drawn = rng.sample(MIXABLE, rng.randint(2, 5))
    begins = [rng.uniform(0, SPAN) for _ in drawn]
    events = [Event(case, begin, begin + rng.uniform(1, LONGEST)) for case, begin in zip(drawn, begins, strict=True)]
    workers = rng.randint(1, 2)
    return Case(
        f"mixture-{number} of " + ", ".join(event.case.name for event in events),
        lambda bench: _play(bench, events),
        within=None,
        setup=Setup({"ARCHIVE_MAX_RECORDS": str(rng.choice((50, 500, 5000)))}, workers),
        drain=DRAIN,
    )


@contextmanager
def _play(bench: Bench, events: list[Event]) -> Iterator[None]:
    """All of it, until the last fault has ended."""
    if bench.setup.workers > 1:
        both_own(bench)
    running: dict[str, AbstractContextManager[None]] = {}

    def begin(case: Case) -> None:
        bench.rng.shuffle(bench.workers)  # the first is the one that the fault hits
        bench.supervise()
        if not bench.worker.running:  # it cannot start while another fault lasts
            bench.view.say(f"  {case.name} finds nothing that runs")
            return
        bench.view.say(f"  {case.name} begins")
        running[case.name] = case.fault(bench)
        running[case.name].__enter__()

    def end(case: Case) -> None:
        if case.name in running:
            bench.view.say(f"  {case.name} ends")
            running.pop(case.name).__exit__(None, None, None)

    steps: list[tuple[float, Callable[[Case], None], Case]] = [(event.begins, begin, event.case) for event in events]
    steps += [(event.ends, end, event.case) for event in events]
    now = 0.0
    try:
        for at, step, case in sorted(steps, key=lambda step: step[0]):
            bench.hold(at - now, f"{', '.join(running) or 'no fault'}")
            now = at
            step(case)
    finally:
        for name in list(running):
            running.pop(name).__exit__(None, None, None)
    yield
