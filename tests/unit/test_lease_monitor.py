"""Looks at the lease table that follow each other, with a table that refuses one kind of request."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from consumer.kcl.lease_monitor import LeaseMonitor
from consumer.kcl.lease_takeover import LOOK_SECONDS, Lost
from consumer.telemetry.metrics import Metrics

DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DeleteItem")


class Leases:
    """A table with one lease, of a worker that is lost until the lease is taken."""

    def __init__(self) -> None:
        self.owner = "lost"
        self.released: list[str] = []
        self.refusing = True

    async def rows(self) -> dict[str, dict[str, Any]]:
        return {"a": {"checkpoint": {"S": "17"}, "leaseCounter": {"N": "7"}, "leaseOwner": {"S": self.owner}}}

    async def take(self, lease: Lost) -> bool:
        assert lease == Lost("a", "lost", 7)
        self.owner = "me"
        return True

    async def release_leadership(self, owner: str) -> None:
        if self.refusing:
            raise DENIED
        self.released.append(owner)


async def test_a_leaders_lock_that_cannot_be_released_is_tried_at_each_look(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("consumer.kcl.lease_monitor.time.monotonic", lambda: now)
    leases: Any = Leases()
    metrics = Metrics()
    monitor = LeaseMonitor("me", 2 * LOOK_SECONDS, leases, metrics)
    while leases.owner == "lost":
        await monitor.look()
        now += LOOK_SECONDS
    assert leases.released == []
    leases.refusing = False
    await monitor.look()
    assert leases.released == ["lost"]
    await monitor.look()
    assert leases.released == ["lost"]
    assert metrics.retries.labels("leases", "AccessDeniedException")._value.get() == 1
