"""The scenario of a schedule: how its world behaves, drawn once.

Every schedule leaves most kinds of faults out: rare combinations come about sooner than if everything failed at once.
"""

import random
from dataclasses import dataclass, replace
from typing import Final

from consumer.archive.writer import RotationPolicy
from tests.simulation.network import NetworkConditions
from tests.simulation.rollups import RESOLUTIONS
from tests.simulation.stream import SETTINGS, Mix

HUGE: Final = 1 << 20
COMPRESSIONS: Final = ("zstd", "gzip")


@dataclass(frozen=True, slots=True)
class Scenario:
    """How a world behaves until the faults are over. Probabilities, unless a unit is named."""

    workers: int
    shards: int
    """At the beginning."""
    records: int
    """Times at which something is published."""
    spacing: float
    """Seconds between them."""
    reshards: int
    mix: Mix
    conditions: dict[str, NetworkConditions]
    conflicts: float
    unprocessed: float
    prefetch: int
    batch: int
    """Records in a delivery, at most."""
    skips: float
    false_ends: float
    """How often the KCL reports the end of a shard that is open (see consumer/pipeline/shard_end.py)."""
    stale: float
    late_start: float
    refused_checkpoint: float
    odd_lag: float
    rotations: tuple[RotationPolicy, ...]
    """Those of its owners: a deploy may change them."""
    contracts: tuple[str, ...]
    """Likewise: they decide what is rejected."""
    compressions: tuple[str, ...]
    """Likewise: they are part of the keys of archive objects."""
    resolutions: tuple[str, ...]
    """Likewise: TABLE_RESOLUTION."""
    older: bool
    """The first shards were claimed by a version that knew gzip only."""
    between: float
    """Steps between two injected faults, on average."""
    fault_rate: dict[str, float]
    """By service, how often a fault is injected when a process sends a request, and when that has taken effect."""
    faults: tuple[str, ...]
    failover: float
    """Seconds that a lease lasts."""
    leaderless: bool
    """No daemon takes leases that have expired: the product must (consumer/kcl/lease_takeover.py)."""


def _rotation(rng: random.Random) -> RotationPolicy:
    size, seconds = rng.choice((1024, 2048, HUGE, HUGE)), rng.choice((2, 5, 10, 20))
    return RotationPolicy(rng.choice((1, 2, 3, 4, 5, 8, 20)), size, seconds * 1000)


TAKEOVERS: Final = ("zombie", "zombie", "deaf", "steal", "kill")


def draw(rng: random.Random, kinds: list[str]) -> Scenario:
    """The scenario of one schedule; `kinds` are all faults that can be injected."""
    scenario = _anything(rng, kinds)
    theme = rng.random()
    if theme < 0.4:
        return _takeovers(rng, scenario)
    if theme < 0.45:
        return _late_claims(scenario)
    return _hand_overs(rng, scenario) if theme < 0.5 else scenario


def _takeovers(rng: random.Random, scenario: Scenario) -> Scenario:
    """No network faults, but owners that follow one another quickly, and come back: what the fence is for."""
    size = rng.choice((1, 2, 3))
    rotations = tuple(RotationPolicy(records, HUGE, 15_000) for records in (size, size, size + rng.choice((1, 2, 5))))
    return replace(
        scenario,
        workers=3,
        records=rng.randint(8, 14),
        spacing=rng.choice((0.3, 1.0)),
        conditions=dict.fromkeys(scenario.conditions, NetworkConditions()),
        skips=0.0,
        false_ends=0.0,
        late_start=rng.choice((0.0, 0.5)),
        refused_checkpoint=0.0,
        rotations=rotations,
        mix=replace(scenario.mix, odd=rng.choice((0.0, 0.3))),
        contracts=SETTINGS,
        compressions=COMPRESSIONS,
        older=rng.random() < 0.3,
        fault_rate={"s3": 0.2, "table": 0.02, "rollups": 0.2, "leases": 0.02, "checkpoint": 0.1, "stream": 0.02},
        between=1000.0,
        faults=tuple(rng.sample(TAKEOVERS, 3)),
        failover=3.0,
        leaderless=False,
    )


def _late_claims(scenario: Scenario) -> Scenario:
    """Leases that come and go while their claims are under way."""
    conditions = {**scenario.conditions, "leases": NetworkConditions(slow=0.5)}
    fault_rate = {**scenario.fault_rate, "leases": 0.3}
    return replace(scenario, conditions=conditions, fault_rate=fault_rate, faults=("bounce", "steal", "hand_off"))


def _hand_overs(rng: random.Random, scenario: Scenario) -> Scenario:
    """Leases of several shards that are handed over, perhaps to no living worker, while their owners' daemons die."""
    faults = ("abandon", "hand_off", rng.choice(("kill_daemon", "kill", "join")))
    return replace(
        scenario,
        workers=2,
        shards=3,
        reshards=1,
        faults=faults,
        between=400.0,
        failover=3.0,
        leaderless=True,
    )


def _anything(rng: random.Random, kinds: list[str]) -> Scenario:

    def now_and_then(*values: float) -> float:
        """Zero in half of the schedules."""
        return rng.choice(values) if rng.random() < 0.5 else 0.0

    def conditions() -> NetworkConditions:
        def ill() -> float:
            return now_and_then(0.03, 0.1, 0.3) if rng.random() < 0.5 else 0.0

        return NetworkConditions(ill(), ill(), ill(), ill(), fatal=0.02 if rng.random() < 0.1 else 0.0)

    services = ("s3", "table", "rollups", "leases", "stream")
    return Scenario(
        workers=rng.choice((1, 2, 2, 3)),
        shards=rng.choice((1, 1, 2)),
        records=rng.randint(3, 18),
        spacing=rng.choice((0.05, 0.5, 1.5)),
        reshards=rng.choice((0, 0, 1, 2)),
        mix=Mix(
            same_key=now_and_then(0.2, 0.6),
            bad=now_and_then(0.1, 0.5),
            several=now_and_then(0.3),
            aggregated=now_and_then(0.2, 0.5),
            undeliverable=now_and_then(0.1),
            untimed=now_and_then(0.1) if rng.random() < 0.2 else 0.0,
            odd=now_and_then(0.2, 0.5),
        ),
        conditions={service: conditions() for service in services},
        conflicts=now_and_then(0.05, 0.3),
        unprocessed=now_and_then(0.2, 0.6),
        prefetch=rng.choice((1, 2, 4)),
        batch=rng.choice((1, 3, 6, 30)),
        skips=now_and_then(0.05, 0.2) if rng.random() < 0.5 else 0.0,
        false_ends=now_and_then(0.02, 0.1) if rng.random() < 0.5 else 0.0,
        stale=now_and_then(0.3, 0.8),
        late_start=now_and_then(0.2, 0.5),
        refused_checkpoint=now_and_then(0.1, 0.4),
        odd_lag=now_and_then(0.2),
        rotations=tuple(_rotation(rng) for _ in range(rng.choice((1, 2, 2, 3)))),
        contracts=rng.choice((SETTINGS[:1], SETTINGS)),
        compressions=rng.choice((COMPRESSIONS[:1], COMPRESSIONS[1:], COMPRESSIONS)),
        resolutions=rng.choice(RESOLUTIONS),
        older=rng.random() < 0.2,
        between=rng.choice((60.0, 150.0, 400.0, 1000.0)),
        fault_rate=dict.fromkeys((*services, "checkpoint"), rng.choice((0.0, 0.02, 0.05, 0.2))),
        faults=tuple(rng.sample(kinds, rng.randint(1, 5))),
        failover=rng.choice((3.0, 3.0, 10.0)),
        leaderless=rng.random() < 0.3,
    )
