"""The alert function's own code against a real table, with a clock and a topic that a test can look at, and faults
between any two steps."""

import random
import threading
import uuid
import zlib
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import boto3
from botocore.config import Config

from infra.deploy.templates import DATA, read
from infra.functions.alert.fleet import Fleet, iso
from infra.functions.alert.policy import parse
from infra.functions.alert.service import Alerts, Words
from infra.functions.alert.store import Store

T0 = 1_767_268_800_000
WORDS = Words("Humidity", "below", "")
TABLES = {"alerts": "AlertTable", "rows": "SensorDataTable", "devices": "DevicesTable"}


class Killed(BaseException):
    """The function's process is gone: no `except Exception` sees it, and nothing that would follow is done."""


class Fault:
    """Ends a process at its nth request of a name, before it is made or just after; by chance, or never."""

    def __init__(self, name: str = "", nth: int = 1, after: bool = False, chance: float = 0.0) -> None:
        self._name, self._nth, self._after, self._chance = name, nth, after, chance
        self._made, self._lock = Counter[str](), threading.Lock()
        self.dead = False
        self.published = 0

    def call(self, name: str, do: Any, given: dict[str, Any]) -> Any:
        with self._lock:
            if self.dead:
                raise Killed
            self._made[name] += 1
            dies = (name, self._made[name]) == (self._name, self._nth) or random.random() < self._chance
            after = self._after if self._name else random.random() < 0.5
            self.dead = dies
        if dies and not after:
            raise Killed
        answer = do(**given)
        self.published += name == "publish"
        if dies:
            raise Killed
        return answer


class Client:
    """A client of DynamoDB each of whose requests is a step."""

    def __init__(self, client: Any, fault: Fault) -> None:
        self._client, self._fault = client, fault

    def __getattr__(self, name: str) -> Any:
        if name == "get_paginator":
            return self._client.get_paginator
        return lambda **given: self._fault.call(name, getattr(self._client, name), given)


class Rig:
    """Tables of its own, a clock in the test's hand, and what was published."""

    def __init__(self, endpoint: str, policy: str, when: str = "below", threshold: str = "35") -> None:
        session = boto3.Session("test", "test", region_name="eu-central-1")
        self.client: Any = session.client("dynamodb", endpoint_url=endpoint, config=Config(max_pool_connections=50))
        self.names = {each: f"{each}-{uuid.uuid4().hex[:8]}" for each in TABLES}
        for each, resource in TABLES.items():
            given = read(DATA)["Resources"][resource]["Properties"]
            keys = {name: given[name] for name in ("AttributeDefinitions", "KeySchema", "BillingMode")}
            self.client.create_table(TableName=self.names[each], **keys)
        self.policy = parse(policy, when, threshold)
        self.now = T0
        self.published: list[dict[str, Any]] = []

    def function(self, fault: Fault | None = None) -> Alerts:
        """One process of the function."""
        fault = fault or Fault()
        client: Any = Client(self.client, fault)
        fleet = Fleet(client, self.names["rows"], self.names["devices"], "humidity")

        def publish(**message: Any) -> None:
            fault.call("publish", lambda **given: self.published.append(given), message)

        return Alerts(self.policy, Store(client, self.names["alerts"]), fleet, publish, WORDS, lambda: self.now)

    def reading(self, device: str, value: float, at: int | None = None, fault: Fault | None = None) -> None:
        """A reading that calls the function."""
        number = Decimal(str(value))
        self.function(fault).reading(device, number, str(value), self.now if at is None else at)

    def row(self, device: str, value: float, at: int | None = None, listed: bool = True) -> None:
        """What the consumer writes of a reading."""

        time = iso(self.now if at is None else at)
        item = {"SensorId": {"S": device}, "Timestamp": {"S": time}, "Value": {"N": str(value)}}
        self.client.put_item(TableName=self.names["rows"], Item=item)
        if listed:
            bucket = {"Bucket": {"N": str(zlib.crc32(device.encode()) % 16)}, "Seen": {"S": time}}
            self.client.put_item(TableName=self.names["devices"], Item=item | bucket)

    def told(self) -> list[tuple[str, str]]:
        """State and device of each message, in order; of a digest its count."""
        given = [{k: v["StringValue"] for k, v in each["MessageAttributes"].items()} for each in self.published]
        return [(each["state"], each.get("device", each.get("count", ""))) for each in given]

    def ids(self) -> Counter[str]:
        return Counter(each["MessageAttributes"]["id"]["StringValue"] for each in self.published)

    def rows(self, kind: str) -> Iterator[dict[str, Any]]:
        for page in self.client.get_paginator("scan").paginate(TableName=self.names["alerts"]):
            yield from (item for item in page["Items"] if item["Part"]["S"].startswith(kind))
