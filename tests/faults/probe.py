"""When is it over? Rows of some devices of every shard are watched; new ones from each of them end the fault."""

import hashlib
import time
from collections import defaultdict

from producer.fleet.credentials import names
from producer.fleet.message import iso_utc
from producer.fleet.simulate import Workload
from tests.faults.bench import SHARDS, Bench

PER_SHARD = 2


class Probe:
    """`seen` asks whether every watched device has a row that is newer than what counts as old."""

    def __init__(self, bench: Bench, plan: Workload) -> None:
        self._table = bench.stack.table
        self._client = bench.client("dynamodb")
        by_shard: dict[int, list[str]] = defaultdict(list)
        for device in names(plan.prefix, plan.devices):
            by_shard[_quarter(device)].append(device)
        self._devices = [device for some in by_shard.values() for device in some[:PER_SHARD]]
        self._old = dict.fromkeys(self._devices, "")
        self._waiting = set(self._devices)

    def fault_begins(self) -> None:
        """What is published from now on is new, unless it has its row before the fault is over."""
        self._began = iso_utc(time.time_ns() // 1_000_000)

    def fault_is_over(self) -> None:
        self._old = {device: max(self._began, self._latest(device)) for device in self._devices}
        self._waiting = set(self._devices)

    def seen(self) -> bool:
        self._waiting = {device for device in self._waiting if self._latest(device) <= self._old[device]}
        return not self._waiting

    def _latest(self, device: str) -> str:
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="SensorId = :d",
            ExpressionAttributeValues={":d": {"S": device}},
            ProjectionExpression="#t",
            ExpressionAttributeNames={"#t": "Timestamp"},
            ScanIndexForward=False,
            Limit=1,
        )
        return str(answer["Items"][0]["Timestamp"]["S"]) if answer["Items"] else ""


def _quarter(device: str) -> int:
    """The shard of a partition key, in a stream of SHARDS equal shards."""
    return int(hashlib.md5(device.encode(), usedforsecurity=False).hexdigest(), 16) * SHARDS >> 128
