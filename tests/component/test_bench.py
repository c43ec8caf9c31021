"""The bench works: every peer writes every reading of a small input, and the real daemon reads the bench's stream."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.bench import alert, paths, programs, tasks
from tests.bench.effort import QUICK
from tests.bench.system import Servers

SMALL = replace(
    QUICK,
    repetitions=1,
    readings={1: 5, 100: 300, 500: 1_000},
    warm_up=2_000,
    seed_readings=10,
    shards=(1, 3),
    shard_readings=600,
    task_readings=30_000,  # several polls of all shards
    latency_rates=(50,),
    latency_seconds=2,
    warm_seconds=1,
    idle_seconds=2,
    live_seconds=2,
    lines=2_000,
)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with Servers() as running:
        yield running


def test_every_peer_is_measured_at_every_size(servers: Servers) -> None:
    found = paths.deliveries(servers, SMALL, lambda line: None)
    assert {name: set(sizes) for name, sizes in found.items()} == {
        "ours": {1, 100, 500},
        "aiobotocore_plain": {1, 100, 500},
        "sample_like": {1, 100, 500},
        "seed_like": {100},
    }
    assert all(figure["median"] > 0 for sizes in found.values() for figure in sizes.values())


def test_peers_speak_tls_where_the_sink_does() -> None:
    with Servers(tls=True) as servers:
        found = paths.variants(servers, SMALL, ("ours", "sample_like"), per_record=10)
    assert all(figure["median"] > 0 for figure in found.values())


def test_shards_are_measured_side_by_side(servers: Servers) -> None:
    found = paths.shards(servers, SMALL, lambda line: None)
    assert [each["mb"] > 0 for each in found.values()] == [True, True]


def test_both_tasks_drain_the_stream_with_the_real_daemon(servers: Servers) -> None:
    found = tasks.draining(servers, SMALL, lambda line: None)
    assert all(figures["java"]["median"] > 0 and figures["python"]["median"] > 0 for figures in found.values())


@pytest.mark.parametrize("mode", ["POLLING", "FANOUT"])
def test_latency_is_taken_in_both_modes(servers: Servers, mode: str) -> None:
    found = tasks.latency(servers, SMALL, mode, lambda line: None)
    assert 0 < found["50"]["p50"] <= found["50"]["p99"]


def test_the_backlog_of_one_shard_is_read(servers: Servers) -> None:
    assert tasks.catch_up(servers, SMALL) > 0


def test_an_idle_task_is_measured(servers: Servers) -> None:
    assert tasks.idle(servers, SMALL) > 0


def test_the_service_is_measured_at_a_low_rate(servers: Servers) -> None:
    assert tasks.live(servers, SMALL) > 0


def test_the_commands_read_the_archive_that_the_bench_makes(servers: Servers) -> None:
    assert all(rate > 0 for rate in programs.lines_per_second(servers, SMALL).values())


def test_the_alert_function_is_measured() -> None:
    found = alert.measure(20)
    assert found["start_ms"] > 0
    assert found["alert_ms"] > 0
