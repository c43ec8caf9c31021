"""What the service sends to CloudWatch about its shards and the lease table."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from consumer.payload.contracts import DEFAULT
from consumer.service import Service
from consumer.setting_types import Resolution
from consumer.sinks.cloudwatch import LEVELS
from tests.unit.test_takeover import row


class Client:
    """DynamoDB with a lease table; no other request is made."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def get_paginator(self, _: str) -> "Client":
        return self

    async def paginate(self, **_: object) -> Any:
        yield {"Items": self.rows}


@pytest.fixture
def service(tmp_path: Path) -> tuple[Service, Client]:
    client = Client()
    settings: Any = SimpleNamespace(
        application_name="leases",
        archive_bucket="bucket",
        cloudwatch_per_sensor=False,
        devices_table=None,
        failover_seconds=10,
        archive_max_seconds=60,
        run_dir=str(tmp_path),
        archive_max_bytes=1 << 20,
        archive_max_records=100,
        alert_function=None,
        archive_compression="zstd",
        cloudwatch_namespace="Sensor",
        reading_contracts=DEFAULT,
        table_resolution=Resolution(),
        rollup_table=None,
        row_ttl_days=0,
        sensor_table="rows",
        shutdown_seconds=20,
        stream_name="stream",
        table_concurrency=8,
        worker_id="me",
    )
    kinesis = SimpleNamespace(list_shards=None)
    clients: Any = SimpleNamespace(
        s3=None, batch_write=SimpleNamespace(send=None), dynamodb=client, kinesis=kinesis, credentials=None
    )
    return Service(settings, Path("java"), clients), client


async def test_levels_of_a_worker_whose_lease_is_not_served(
    service: tuple[Service, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, client = service
    found = worker._counters()
    assert found["LagSeconds"] == found["ReadAgeSeconds"] == found["OwnedShards"] == 0
    assert not {"OpenShards", "UnownedShards"} & set(found)  # the lease table has not been seen: no data
    client.rows = [
        row("me", 1) | {"leaseKey": {"S": "a"}},
        row("other", 1) | {"leaseKey": {"S": "b"}},
        row(None, 1) | {"leaseKey": {"S": "c"}},
        row("me", 1, "SHARD_END") | {"leaseKey": {"S": "d"}},
    ]
    await worker._lease_monitor.look()
    worker._health.look()
    clock: Any = SimpleNamespace(time=lambda: 0.0, monotonic=lambda: 10.0**9)
    monkeypatch.setattr("consumer.pipeline.reads.time", clock)
    found = worker._counters()
    assert found["OpenShards"] == 3
    assert found["UnownedShards"] == 1
    assert found["LagSeconds"] == found["ReadAgeSeconds"] > 1000
    assert found.keys() >= LEVELS.keys()
