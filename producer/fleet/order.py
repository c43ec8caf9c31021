"""Pure: the order in which a fleet speaks, and what it does wrong on purpose."""

import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from producer.fleet.device import Device, Profile
from producer.fleet.malformed import malformed
from producer.fleet.message import Measurement, Message, Shape, batch, single


@dataclass(frozen=True, slots=True)
class Mix:
    """What the fleet sends. The shares (0..1) are of messages; a batch is never malformed, repeated or
    held back."""

    profile: Profile = "drift"
    shape: Shape = "humidity"
    batch: int = 1  # readings in a message
    lines: bool = False  # a batch is one document a line, else one JSON array
    malformed: float = 0.0
    duplicates: float = 0.0  # half of them with another value: the later one must win
    late: float = 0.0
    disorder: float = 0.0
    binary: bool = False  # malformed payloads may be no text at all


class Speaking(Protocol):
    """Whoever has the messages of a fleet."""

    def next_message(self, now_ms: int) -> Message:
        """The message of the device whose turn it is."""

    def remaining(self) -> Iterator[Message]:
        """The messages still held back; to be sent at the end."""


class Fleet:
    """Devices that speak in turn. One seed gives one sequence of messages for the same times."""

    def __init__(self, names: Sequence[str], mix: Mix, *, first_number: int, seed: int | None = None) -> None:
        self._rng = random.Random(seed)
        self._mix = mix
        self._devices = deque(Device(name, mix.profile, self._rng) for name in names)
        self._held: dict[str, Message] = {}
        self._number = first_number
        self._kind = 0

    def next_message(self, now_ms: int) -> Message:
        """The message of the device whose turn it is."""
        device = self._devices[0]
        self._devices.rotate(-1)
        if self._mix.batch > 1:
            readings = [self._reading(device, now_ms) for _ in range(self._mix.batch)]
            return batch(readings, self._take_number(), self._mix.shape, lines=self._mix.lines)
        if held := self._held.pop(device.name, None):
            return held
        if self._chance(self._mix.disorder):
            self._held[device.name] = self._message(device, now_ms)
        return self._message(device, now_ms)

    def remaining(self) -> Iterator[Message]:
        """The messages still held back; to be sent at the end."""
        while self._held:
            yield self._held.popitem()[1]

    def _message(self, device: Device, now_ms: int) -> Message:
        if self._chance(self._mix.malformed):
            self._kind += 1
            return malformed(device.name, self._take_number(), kind=self._kind, binary=self._mix.binary)
        if device.last and self._chance(self._mix.duplicates):
            again = Measurement(device.name, device.last.time_ms, self._same_or_other(device.last.value))
            return single(again, self._take_number(), self._mix.shape, repeats=True)
        return single(self._reading(device, now_ms), self._take_number(), self._mix.shape)

    def _same_or_other(self, value: str) -> str:
        return value if self._rng.random() < 0.5 else f"{self._rng.uniform(40, 60):.1f}"

    def _reading(self, device: Device, now_ms: int) -> Measurement:
        return device.next_reading(now_ms, late=self._chance(self._mix.late))

    def _take_number(self) -> int:
        self._number += 1
        return self._number - 1

    def _chance(self, share: float) -> bool:
        return share > 0 and self._rng.random() < share
