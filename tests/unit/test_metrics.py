"""What /metrics shows, and what it stops showing."""

import asyncio
import os
import subprocess
import time
from base64 import b64decode
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from consumer.kcl.process import DaemonProcess
from consumer.kcl.read_errors import REASONS as READ_REASONS
from consumer.payload.contract import Contract
from consumer.payload.contracts import Contracts
from consumer.payload.decode import decode
from consumer.payload.reading import REASONS, Reading
from consumer.pipeline.shards import Shards
from consumer.telemetry.contracts import ContractCounters
from consumer.telemetry.metrics import Metrics
from tests.unit.fakes import SHARD, FakeDaemon, World, record, register_gauges
from tests.unit.test_takeover import row


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"sensorstream_{name}", labels)


async def served(daemon: FakeDaemon, world: World) -> Shards:
    """The shards of a service that has just this conversation."""
    shards, _ = register_gauges(world.metrics, world.reads)
    await shards.replace_older(daemon.shard)
    return shards


PER_SHARD = (
    "millis_behind_latest",
    "checkpoint_age_seconds",
    "archive_open_records",
    "archive_object_age_seconds",
    "shard_records_total",
    "shard_bytes_total",
)


async def test_a_shard_has_six_series_as_long_as_it_is_owned(daemon: FakeDaemon, world: World) -> None:
    await served(daemon, world)
    assert [value(world.metrics, name, shard=SHARD) for name in PER_SHARD] == [0.0] * len(PER_SHARD)
    await daemon.deliver([record(1), record(2)], behind=7)
    found = {name: value(world.metrics, name, shard=SHARD) for name in PER_SHARD}
    assert found["millis_behind_latest"] == 7
    assert found["archive_open_records"] == found["shard_records_total"] == 2
    assert found["shard_bytes_total"] == sum(len(b64decode(record(number)["data"])) for number in (1, 2))
    assert 0 < (found["archive_object_age_seconds"] or 0) < 20  # by the clock, however old the records are
    assert (found["checkpoint_age_seconds"] or 0) > 20
    await daemon.deliver([record(3), record(4)])
    assert value(world.metrics, "archive_object_age_seconds", shard=SHARD) == 0
    await daemon.do("leaseLost")
    assert [value(world.metrics, name, shard=SHARD) for name in PER_SHARD] == [None] * len(PER_SHARD)
    assert value(world.metrics, "owned_shards") == 0


def test_a_lease_of_ours_that_no_one_serves_has_lag_and_age_and_stands_among_the_shards() -> None:
    world = World()
    shards, _ = register_gauges(world.metrics, world.reads)
    world.reads.hold({SHARD})
    (state,) = shards.states()
    assert (state["shard"], state["live"], state["cannotBeRead"]) == (SHARD, False, None)
    for name in ("lag_seconds", "read_age_seconds"):
        found = value(world.metrics, name, shard=SHARD)
        assert found is not None
        assert 0 <= found < 20
    world.reads.hold(())
    assert shards.states() == []
    assert value(world.metrics, "lag_seconds", shard=SHARD) is None
    assert value(world.metrics, "read_age_seconds", shard=SHARD) is None


async def test_a_shard_that_cannot_be_read_is_counted_by_its_reason(
    daemon: FakeDaemon, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = await served(daemon, world)
    world.reads.hold({SHARD})
    await daemon.deliver([])
    world.reads.failed(SHARD, "kms", "KMSDisabledException: disabled")
    later = time.monotonic() + 100
    monkeypatch.setattr("consumer.pipeline.reads.time", SimpleNamespace(monotonic=lambda: later, time=time.time))
    (state,) = shards.states()
    assert state["live"]
    assert state["cannotBeRead"] == "kms"
    assert state["lagSeconds"] == state["readAgeSeconds"] == pytest.approx(100, abs=20)
    assert value(world.metrics, "reads_failing", reason="kms") == 1
    assert value(world.metrics, "read_age_seconds", shard=SHARD) == pytest.approx(100, abs=20)


def test_counters_with_known_labels_begin_at_zero() -> None:
    metrics = Metrics()
    for reason in REASONS:
        assert value(metrics, "readings_rejected_total", reason=reason) == 0
    assert value(metrics, "fence_outcomes_total", outcome="fenced") == 0
    assert value(metrics, "throttles_total", sink="table") == 0
    assert value(metrics, "daemon_restarts_total", reason="exit") == 0
    register_gauges(metrics)
    for reason in READ_REASONS:
        assert value(metrics, "reads_failing", reason=reason) == 0


def test_devices_are_counted_by_their_names() -> None:
    metrics = Metrics()
    now = time.time_ns() // 1_000_000
    metrics.written([Reading(f"soil{number % 3}", now + number, Decimal(1), None) for number in range(9)])
    assert value(metrics, "devices") == 3
    assert value(metrics, "event_age_seconds_count") == 9


def test_contracts_are_counted_and_what_was_missing_of_them() -> None:
    soil = Contract(name="soil", device="id", time="$arrival", value="wet", measures={"t": "t", "u": "u"})
    contracts, metrics, now = Contracts([soil, "generation-2"]), Metrics(), time.time_ns() // 1_000_000
    metrics.registry.register(ContractCounters(contracts))
    assert value(metrics, "contract_messages_total", contract="generation-2") == 0
    for text in (b'{"id":1,"wet":2,"t":3}', b'{"id":1,"wet":2,"t":"N/A"}', b'{"id":1}', b'{"id":1,"wet":"x"}'):
        decode(text, contracts, "key", now)
    assert value(metrics, "contract_messages_total", contract="soil") == 3
    assert value(metrics, "contract_missing_total", contract="soil", path="u") == 2
    assert value(metrics, "contract_missing_total", contract="soil", path="t") == 0
    assert value(metrics, "contract_unusable_total", contract="soil", path="t") == 1
    assert value(metrics, "contract_lacking_total", contract="soil", path="wet") == 1


@pytest.mark.parametrize("pid", [None, 2**22 + 1])
def test_a_daemon_that_does_not_run_uses_nothing(pid: int | None) -> None:
    assert list(DaemonProcess(lambda: pid).collect()) == []


def test_the_daemons_memory_and_time_are_read_from_the_kernel() -> None:
    metrics = Metrics()
    metrics.registry.register(DaemonProcess(os.getpid))
    families = {family.name: family for family in text_string_to_metric_families(text(metrics))}
    (memory,) = families["sensorstream_daemon_resident_memory_bytes"].samples
    (used,) = families["sensorstream_daemon_cpu_seconds"].samples
    ps = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True)
    assert memory.value == pytest.approx(int(ps.stdout) * 1024, rel=0.2)
    assert 0 < used.value <= time.process_time() + 0.1


def text(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


class Table:
    """A lease table's rows, then as many looks as are asked for."""

    def __init__(self, *looks: dict[str, dict[str, Any]]) -> None:
        self._looks = list(looks)
        self.over = asyncio.Event()

    async def rows(self) -> dict[str, dict[str, Any]]:
        if not self._looks:
            self.over.set()
            await asyncio.Event().wait()
        return self._looks.pop(0)


async def test_readable_leases_and_those_without_a_holder_are_counted_at_each_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consumer.kcl.lease_monitor.LOOK_SECONDS", 0.0)
    child: dict[str, Any] = {"parentShardId": {"SS": ["mine"]}}
    rows = {
        "mine": row("me", 1),
        "free": row(None, 1),
        "done": row("me", 1, "SHARD_END"),
        "child": row("me", 1, **child),
    }
    metrics, table = Metrics(), Table(rows)
    _, monitor = register_gauges(metrics, leases=table)
    task = asyncio.create_task(monitor.run())
    assert value(metrics, "leases", state="open") is None  # before the first look
    await table.over.wait()
    task.cancel()
    assert value(metrics, "leases", state="open") == 2
    assert value(metrics, "leases", state="unowned") == 1
