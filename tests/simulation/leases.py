"""The lease table: what the KCL does to its rows, and what the product does there through DynamoDB's API."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from consumer.kcl.first_leases import OWNER_INDEX
from consumer.kcl.lease_table import END, START
from consumer.record import Position
from tests.simulation.network import CONVERSATION, Network, Request

if TYPE_CHECKING:
    from tests.simulation.ledger import Ledger

_CONDITION = re.compile(r"(\w+) = (:\w+)|attribute_not_exists\((\w+)\)|attribute_exists\((\w+)\)")
_CLAIM = "SET epoch = if_not_exists(epoch, :now) + :one, rollupSeconds = if_not_exists(rollupSeconds, :seconds)"
_FIRST_CLAIM = f"{_CLAIM}, archiveCompression = if_not_exists(archiveCompression, :compression)"
_CHANGE = "SET archiveCompression = :compression, rollupSeconds = :seconds"
_TAKE = (
    "SET leaseOwner = :new, leaseCounter = leaseCounter + :one "
    "ADD ownerSwitchesSinceCheckpoint :one REMOVE checkpointOwner"
)


@dataclass(slots=True)
class Row:
    """One lease."""

    shard: str
    parents: tuple[str, ...]
    owner: str | None = None
    counter: int = 0
    handing: str | None = None
    """`checkpointOwner`: the old owner, while the lease is handed over."""
    handing_since: float = 0.0
    checkpoint: Position = START
    epoch: int | None = None
    compression: str | None = None
    seconds: int | None = None
    """`rollupSeconds`"""
    past: list[Position] = field(default_factory=lambda: [START])
    """All checkpoints so far: an eventually consistent read may give an older one."""

    @property
    def ended(self) -> bool:
        return self.checkpoint == END

    def attributes(self) -> dict[str, Any]:
        words = {START: "TRIM_HORIZON", END: "SHARD_END"}
        sub = 0 if self.checkpoint in words else self.checkpoint[1]
        item: dict[str, Any] = {
            "leaseKey": {"S": self.shard},
            "leaseCounter": {"N": str(self.counter)},
            "checkpoint": {"S": words.get(self.checkpoint, str(self.checkpoint[0]))},
            "checkpointSubSequenceNumber": {"N": str(sub)},
        }
        if self.owner:
            item["leaseOwner"] = {"S": self.owner}
        if self.handing:
            item["checkpointOwner"] = {"S": self.handing}
        if self.epoch is not None:
            item["epoch"] = {"N": str(self.epoch)}
        if self.compression is not None:
            item["archiveCompression"] = {"S": self.compression}
        if self.seconds is not None:
            item["rollupSeconds"] = {"N": str(self.seconds)}
        if self.parents:
            item["parentShardId"] = {"SS": list(self.parents)}
        return item


class LeaseTable:
    """All rows. Everything here happens at once: delays are the callers' affair."""

    def __init__(self, ledger: "Ledger") -> None:
        self._ledger = ledger
        self.rows: dict[str, Row] = {}

    def create(self, shard: str, parents: tuple[str, ...], epoch: int | None = None) -> None:
        """A row, unless there is one; with an epoch as a version has left it that did not know the other attributes."""
        self.rows.setdefault(shard, Row(shard, parents, epoch=epoch))

    def parents_ended(self, row: Row) -> bool:
        return all(self.rows[parent].ended for parent in row.parents)

    def checkpoint(self, shard: str, worker: str, counter: int, position: Position) -> str | None:
        """The KCL's checkpoint, conditional on the lease counter; None, or the Java name of the error."""
        row = self.rows.get(shard)
        if row is None or row.counter != counter or worker not in (row.owner, row.handing):
            return "ShutdownException"
        row.checkpoint = position
        row.past.append(position)
        self._ledger.checkpointed(shard, position)
        return None

    def update(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The product's UpdateItem, with whatever condition it names."""
        row = self.rows.get(asked["Key"]["leaseKey"]["S"])
        values = asked["ExpressionAttributeValues"]
        held = row.attributes() if row else {}
        if row is None or not met(asked.get("ConditionExpression", ""), held, values):
            raise Refused
        if asked["UpdateExpression"] == _CHANGE:
            row.compression, row.seconds = values[":compression"]["S"], int(values[":seconds"]["N"])
        elif asked["UpdateExpression"] in (_CLAIM, _FIRST_CLAIM):
            if asked["UpdateExpression"] == _FIRST_CLAIM:
                row.compression = row.compression or values[":compression"]["S"]
            row.seconds = int(values[":seconds"]["N"]) if row.seconds is None else row.seconds
            row.epoch = (int(values[":now"]["N"]) if row.epoch is None else row.epoch) + int(values[":one"]["N"])
            self._ledger.owners.claimed(row.shard, row.epoch)
        else:
            assert asked["UpdateExpression"] == _TAKE, asked["UpdateExpression"]
            row.owner, row.handing = values[":new"]["S"], None
            row.counter += 1
        return {"Attributes": row.attributes()}


def met(condition: str, held: dict[str, Any], values: dict[str, Any]) -> bool:
    """Whether a row meets the terms, or alternatives in brackets, that AND joins."""
    groups = condition.split(" AND ") if condition else []
    return all(
        any(_holds(term, held, values) for term in (group[1:-1].split(" OR ") if group[0] == "(" else [group]))
        for group in groups
    )


def _holds(term: str, held: dict[str, Any], values: dict[str, Any]) -> bool:
    found = _CONDITION.fullmatch(term)
    assert found, term
    name, value, absent, present = found.groups()
    return absent not in held if absent else present in held if present else held.get(name) == values[value]


class Refused(ClientError):
    """ConditionalCheckFailedException."""

    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")


class LeaseClient:
    """An aiobotocore DynamoDB client, as far as consumer/kcl/lease_table.py uses it."""

    class exceptions:
        ConditionalCheckFailedException = Refused

        class ResourceNotFoundException(Exception):
            pass

    def __init__(self, network: Network, table: LeaseTable, ledger: "Ledger") -> None:
        self._network = network
        self._table = table
        self._ledger = ledger

    async def update_item(self, **asked: Any) -> dict[str, Any]:
        if asked["UpdateExpression"] in (_TAKE, _CHANGE):
            return await self._network.call("leases", lambda _: self._table.update(asked))
        talk, shard = CONVERSATION.get(), asked["Key"]["leaseKey"]["S"]
        self._ledger.owners.claims(talk, shard)
        try:
            answer = await self._network.call("leases", lambda _: self._table.update(asked))
        except Refused:
            if asked["UpdateExpression"] != _FIRST_CLAIM:  # else the other claim follows
                talk.retired = talk.retired or "its claim was refused"
            raise
        self._ledger.owners.owns(talk, shard, int(answer["Attributes"]["epoch"]["N"]))
        return answer

    async def delete_item(self, **_: Any) -> None:
        """The leader's lock: never ours, as every simulated daemon takes leases for itself."""
        await self._network.call("leases", self._refuse)

    @staticmethod
    def _refuse(request: Request) -> None:
        raise Refused

    async def get_item(self, **asked: Any) -> dict[str, Any]:
        row = self._table.rows.get(asked["Key"]["leaseKey"]["S"])
        return await self._network.call("leases", lambda _: {"Item": row.attributes()} if row else {})

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate={"scan": self._scan, "query": self._query}[operation])

    async def _scan(self, **_: Any) -> AsyncIterator[dict[str, Any]]:
        rows = self._table.rows.values()
        yield {"Items": await self._network.call("leases", lambda _: [row.attributes() for row in rows])}

    async def _query(self, **asked: Any) -> AsyncIterator[dict[str, Any]]:
        assert (asked["IndexName"], asked["KeyConditionExpression"]) == (OWNER_INDEX, "leaseOwner = :me")
        owner, rows = asked["ExpressionAttributeValues"][":me"]["S"], self._table.rows.values()
        yield {
            "Items": await self._network.call("leases", lambda _: [r.attributes() for r in rows if r.owner == owner])
        }
