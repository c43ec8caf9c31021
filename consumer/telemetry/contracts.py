"""Prometheus metrics of the reading contracts, computed at each scrape from how they were used."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from consumer.payload.contracts import Contracts


class ContractCounters(Collector):
    """The series per contract, and per path of one."""

    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts

    def collect(self) -> Iterator[CounterMetricFamily]:
        usages = self._contracts.usages()
        text = "Messages that a contract read, or readings of their lists."
        read = CounterMetricFamily("sensorstream_contract_messages", text, labels=["contract"])
        for usage in usages:
            read.add_metric([usage.name], usage.matched)
        yield read
        text = "Measures and sensors that were not in a message of their contract."
        yield _by_path("missing", text, {usage.name: usage.missing for usage in usages})
        text = "Measures and sensors that were no number."
        yield _by_path("unusable", text, {usage.name: usage.unusable for usage in usages})
        text = "Paths that were missing in messages that no contract read, of the contract that came nearest."
        yield _by_path("lacking", text, {usage.name: usage.lacking for usage in usages})


def _by_path(kind: str, text: str, counts: Mapping[str, Mapping[str, int]]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"sensorstream_contract_{kind}", text, labels=["contract", "path"])
    for contract, paths in counts.items():
        for path, count in paths.items():
            family.add_metric([contract, path], count)
    return family
