"""The simulated stream: shards, their records and their resharding; and the truth that the sinks are held to."""

import base64
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec

from consumer.record import Position
from tests.simulation.clock import EPOCH

T0: Final = int(EPOCH * 1000)
STRICT: Final = '[{"device":"name","time":"timeStampEpoch","value":"odd"},"generation-2","generation-1"]'
"""Contracts that reject a reading which the built-in ones take, as a deploy may bring them or take them back."""
SETTINGS: Final = ("", STRICT)
Key = tuple[str, str]
Order = tuple[int, int, int]
"""Sequence number, sub-sequence number, place in the record: which reading of a key is the last one."""


@dataclass(slots=True)
class Item:
    """One record of the stream, what must become of it, and what has."""

    shard: str
    position: Position
    data: bytes
    wire: msgspec.Raw
    readings: list[tuple[Key, Order]]
    odd: frozenset[Key]
    """Of its readings those that STRICT settings reject."""
    rejected: int
    """Readings that any settings reject."""
    undeliverable: bool
    archived: int = 0
    dead: int = 0
    """Lines in dead-letter objects."""
    letters: int = 0
    """Of these, those that a reader takes for dead letters."""
    refused: int = 0
    """Rejected readings, as its archive line says."""
    checkpointed: bool = False
    seconds: int = 0
    """The length of the windows in which it is counted, as the lease says while it is archived; 0 for none."""

    def wanted(self) -> list[tuple[Key, Order]]:
        """The readings that must have rows, by the settings of the owner that archived it."""
        strict = self.refused > self.rejected
        return [reading for reading in self.readings if not (strict and reading[0] in self.odd)]


@dataclass(slots=True)
class SimShard:
    name: str
    parents: tuple[str, ...]
    devices: list[str]
    items: list[Item] = field(default_factory=list)
    children: list[str] = field(default_factory=list)
    closed: bool = False
    expires: bool = False
    """Soon after it was closed it is listed no more."""
    passed: int = 0
    """How many of its items are at or below the checkpoint."""
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Mix:
    """How likely a record is ..."""

    same_key: float
    bad: float
    several: float
    aggregated: float
    undeliverable: float
    untimed: float
    odd: float
    """(A reading) is good or not depending on settings."""


class Stream:
    """Records come in by `publish`; sequence numbers grow over all shards."""

    def __init__(self, rng: random.Random, mix: Mix, shards: int) -> None:
        self._rng = rng
        self._mix = mix
        self._sequence = 10**16 - 8  # soon it has a digit more
        self._moment = 0
        self._keys: dict[str, Key] = {}
        self.shards: dict[str, SimShard] = {}
        self.items: dict[Position, Item] = {}
        self.values: dict[str, tuple[Key, Order, Item]] = {}
        """The reading of each value: no two readings have the same."""
        self.numbers: dict[Order, Decimal] = {}
        self.latest: dict[Key, Order] = {}
        self.waiting = 0
        """Records that are not yet at or below a checkpoint."""
        for number in range(shards):
            self._open((), [f"d{number}{letter}" for letter in "ab"])

    def _open(self, parents: tuple[str, ...], devices: list[str]) -> SimShard:
        shard = SimShard(f"shardId-{len(self.shards):012d}", parents, devices, expires=self._rng.random() < 0.3)
        self.shards[shard.name] = shard
        for parent in parents:
            self.shards[parent].children.append(shard.name)
            self.shards[parent].closed = True
        return shard

    def open_shards(self) -> list[SimShard]:
        return [shard for shard in self.shards.values() if not shard.closed]

    def split(self, parent: SimShard) -> None:
        for devices in ([parent.devices[0]], parent.devices[1:] or ["extra" + parent.name[-1]]):
            self._open((parent.name,), devices)

    def merge(self, one: SimShard, other: SimShard) -> None:
        self._open((one.name, other.name), one.devices + other.devices)

    def publish(self, shard: SimShard, now: float, plain: bool = False) -> None:
        """Adds a record (or an aggregate of several) to an open shard; a `plain` one is good and delivered."""
        rng, mix = self._rng, self._mix
        self._sequence += rng.randint(1, 3)
        count = rng.randint(2, 4) if rng.random() < mix.aggregated else 1
        for sub in range(count):
            device = rng.choice(shard.devices)
            position = self._sequence, sub
            undeliverable = not plain and count == 1 and rng.random() < mix.undeliverable
            data, readings, odd, rejected = self._payload(device, position, plain or undeliverable)
            arrival = None if rng.random() < mix.untimed else T0 + int(now * 1000) - rng.choice((0, 0, 0, 900))
            item = Item(
                shard.name,
                position,
                data,
                msgspec.Raw(_wire(data, device, position, arrival)),
                [] if undeliverable else readings,
                odd,
                rejected,
                undeliverable,
            )
            for value, (key, order) in [] if undeliverable else self._fresh(readings):
                self.values[value] = key, order, item
                self.numbers[order] = Decimal(value)
                self.latest[key] = order
            shard.items.append(item)
            self.items[position] = item
            self.waiting += 1

    def _fresh(self, readings: list[tuple[Key, Order]]) -> list[tuple[str, tuple[Key, Order]]]:
        first = self._moment - len(readings) + 1
        return [(str(first + i), reading) for i, reading in enumerate(readings)]

    def _payload(
        self, device: str, position: Position, plain: bool
    ) -> tuple[bytes, list[tuple[Key, Order]], frozenset[Key], int]:
        """Bytes, the readings in them (their values are the latest of the counter), those of them that STRICT settings
        reject, and how many more are rejected in any case."""
        rng = self._rng
        bad = not plain and rng.random() < self._mix.bad
        if bad and rng.random() < 0.5:
            return b"malformed payloads %d" % self._sequence, [], frozenset(), 1
        count = rng.randint(2, 3) if rng.random() < self._mix.several else 1
        texts, readings, odd = [], [], set()
        for place in range(count):
            is_odd = not plain and rng.random() < self._mix.odd
            key, time_ms = self._key(device, alone=is_odd)
            more = ',"odd":"n/a"' if is_odd else ""
            texts.append('{"name":"%s","humidity":%d,"timeStampEpoch":%d%s}' % (device, self._moment, time_ms, more))
            readings.append((key, (*position, place)))
            if is_odd:
                odd.add(key)
        if bad:
            return "\n".join([*texts, "nonsense"]).encode(), readings, frozenset(odd), 1
        return (texts[0] if count == 1 else f"[{','.join(texts)}]").encode(), readings, frozenset(odd), 0

    def _key(self, device: str, alone: bool) -> tuple[Key, int]:
        """A new key, or the device's last one again; raises the counter that is the reading's value. A key that stands
        `alone` is given once."""
        self._moment += 1
        old = self._keys.get(device)
        if old and not alone and self._rng.random() < self._mix.same_key:
            moment = datetime.strptime(old[1], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
            return old, round(moment.timestamp() * 1000)
        time_ms = T0 + self._moment - 10_000 * (self._moment // 2 % 3)  # now and then it is late
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
        key = device, f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"
        if not alone:
            self._keys[device] = key
        return key, time_ms


def _wire(data: bytes, device: str, position: Position, arrival: int | None) -> bytes:
    """A record as the daemon writes it."""
    return msgspec.json.encode(
        {
            "action": "record",
            "data": base64.b64encode(data).decode(),
            "partitionKey": device,
            "sequenceNumber": str(position[0]),
            "subSequenceNumber": position[1],
            "approximateArrivalTimestamp": arrival,
        }
    )
