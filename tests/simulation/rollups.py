"""The table of rollups, and what its rows must hold: the fold of the archive's readings, made here a second time."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.leases import met
from tests.simulation.network import CONVERSATION, Network, refusal

if TYPE_CHECKING:
    from tests.simulation.leases import Row
    from tests.simulation.ledger import Ledger
    from tests.simulation.stream import Item, Key, Order, SimShard, Stream

RESOLUTIONS: Final = (
    ("0",),
    ("0,10s",),
    ("0,10s",),
    ("10s",),
    ("0", "0,10s"),
    ("0,10s", "0,20s"),
    ("0", "30s", "0,10s"),
)
Cell = tuple[str, str, str, int]
"""Shard, device, the begin of the window, and its length in seconds."""


@dataclass(frozen=True)
class Rollup:
    readings: int
    first: str
    last: str
    numbers: tuple[Decimal, ...] | None
    """Last, minimum, maximum, sum and count of the value."""


class RollupLedger:
    """The rows as they stand. (j) None holds more than the archive, and at a checkpoint each holds all of it."""

    def __init__(self, stream: "Stream", fail: Callable[[str], None]) -> None:
        self._stream = stream
        self.leases: dict[str, Row] = {}
        self._fail = fail
        self.rows: dict[Cell, Rollup] = {}
        self.exempt = 0
        """Rows with a reading that only an earlier owner's settings take, as the table of readings has it."""

    def archived(self, item: "Item", said: str) -> None:
        """A record's line takes effect; its archive object says in which windows it is counted. Behind its checkpoint
        the lease is about a later one."""
        if not item.checkpointed:
            item.seconds = self.leases[item.shard].seconds or 0
        if int(said) != item.seconds:
            self._fail(f"(j) record {item.position} is counted in windows of {item.seconds} s, its object says {said}")

    def stands(self, item: dict[str, Any]) -> None:
        """A row takes effect."""
        start, seconds, shard = item["Window"]["S"].split("/")
        cell = shard, item["SensorId"]["S"], start, int(seconds)
        value = item["Value"]["M"]
        numbers = tuple(Decimal(value[name]["N"]) for name in ("Last", "Min", "Max", "Sum", "Count"))
        row = Rollup(int(item["Readings"]["N"]), item["First"]["S"], item["Last"]["S"], numbers)
        self.rows[cell] = row
        archived = [item for item in self._stream.shards[shard].items if item.archived]
        if row.readings > len(self._readings(cell, archived, wanted=False)):
            self._fail(f"(j) rollup {cell} has counted more than the archive holds: {row}")

    def checkpointed(self, shard: "SimShard", items: Iterable["Item"]) -> None:
        """The shard's first `passed` records are at or below its checkpoint, these of them since now."""
        done = shard.items[: shard.passed]
        for cell in {_cell(item, key) for item in items if item.seconds for key, _ in item.readings}:
            self._check(cell, done)

    def final(self) -> None:
        """(b) When all has drained."""
        for shard in self._stream.shards.values():
            self.checkpointed(shard, shard.items)
        self.exempt = 0
        for cell in self.rows:
            if not self._readings(cell, self._stream.shards[cell[0]].items, wanted=False):
                self._fail(f"(j) rollup {cell} is of no reading")
            elif self._is_exempt(cell, self._stream.shards[cell[0]].items):
                self.exempt += 1

    def _check(self, cell: Cell, done: list["Item"]) -> None:
        due, held = _fold(self._readings(cell, done)), self.rows.get(cell)
        if held == due:
            return
        most = len(self._readings(cell, done, wanted=False))
        least = due.readings if due else 0
        if not (held and least < held.readings <= most):
            self._fail(f"(j) rollup {cell} is {held}, and the archive's readings come to {due}")

    def _is_exempt(self, cell: Cell, done: list["Item"]) -> bool:
        return self.rows.get(cell) != _fold(self._readings(cell, done))

    def _readings(
        self, cell: Cell, items: Iterable["Item"], wanted: bool = True
    ) -> list[tuple["Key", "Order", Decimal]]:
        """Those of a cell in these records; with those that the archive's settings reject, unless `wanted`."""
        return [
            (key, order, self._stream.numbers[order])
            for item in items
            for key, order in (item.wanted() if wanted else item.readings)
            if item.seconds and _cell(item, key) == cell
        ]


def _cell(item: "Item", key: "Key") -> Cell:
    second = int(key[1][17:19]) // item.seconds * item.seconds
    return item.shard, key[0], f"{key[1][:17]}{second:02d}Z", item.seconds


def _fold(readings: list[tuple["Key", "Order", Decimal]]) -> Rollup | None:
    if not readings:
        return None
    times, values = [key[1] for key, _, _ in readings], [value for _, _, value in readings]
    *_, last = max((key[1], order, value) for key, order, value in readings)
    numbers = last, min(values), max(values), sum(values, Decimal(0)), Decimal(len(values))
    return Rollup(len(readings), min(times), max(times), numbers)


class RollupTable:
    """In place of the client that sends PutItem (consumer/aws/dynamodb.py), with the table behind it."""

    def __init__(self, network: Network, ledger: "Ledger") -> None:
        self._network = network
        self._ledger = ledger
        self._items: dict[tuple[str, str], dict[str, Any]] = {}

    async def send(self, body: bytes) -> bytes:
        request = json.loads(body)
        window = request["Item"]["Window"]["S"]
        self._ledger.owners.writes(CONVERSATION.get(), f"rollup {window} of {request['Item']['Counted']['S']}")
        await self._network.call("rollups", lambda _: self._put(request))
        return b"{}"

    def _put(self, request: dict[str, Any]) -> None:
        item = request["Item"]
        key = item["SensorId"]["S"], item["Window"]["S"]
        held = self._items.get(key)
        if not met(request.get("ConditionExpression", ""), held or {}, request.get("ExpressionAttributeValues", {})):
            refused = refusal("ConditionalCheckFailedException", "PutItem")
            if held and request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD":
                refused.response["Item"] = held  # type: ignore[typeddict-unknown-key]
            raise refused
        self._items[key] = item
        self._ledger.rollups.stands(item)
