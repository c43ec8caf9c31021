"""The histogram of ages, against the client library's own, which observes one age after the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from consumer.telemetry.ages import BOUNDS, Ages

NOW = 1_795_344_497_000


def samples(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    (family,) = registry.collect()
    found = {(sample.name, sample.labels.get("le", "")): sample.value for sample in family.samples}
    return {key: value for key, value in found.items() if not key[0].endswith("_created")}


ages = st.integers(-(10**8), 10**9) | st.sampled_from(
    [0, *(int(bound * 1000) + d for bound in BOUNDS for d in (-1, 0, 1))]
)


@given(st.lists(st.lists(ages, max_size=30), max_size=4))
def test_it_counts_as_one_observation_after_the_other(batches: list[list[int]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    collector = Ages()
    ours.register(collector)
    name, text = "sensorstream_event_age_seconds", "Age of readings when their row is durable."
    histogram = Histogram(name, text, buckets=BOUNDS, registry=theirs)
    for batch in batches:
        collector.observe([NOW - age for age in batch], NOW)
        for age in batch:
            histogram.observe(max(0, age) / 1000)
    found, wanted = samples(ours), samples(theirs)
    total = (f"{name}_sum", "")
    assert found.pop(total) == pytest.approx(wanted.pop(total))
    assert found == wanted
