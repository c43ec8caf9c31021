"""Pure: the results of decoding: readings, and a reject with a reason for each invalid one."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from consumer.payload.values import Bad

REASONS: Final = (
    "not-utf8",
    "not-json",
    "bad-encoding",  # gzip, zlib, CBOR or MessagePack that ends early or is none
    "too-large",  # what is packed expands beyond all measure
    "decoder-failed",  # the operator's own decoder
    "empty",
    "not-an-object",
    "missing-field",
    "wrong-type",
    "not-finite",
    "number-out-of-range",
    "bad-time",
    "time-out-of-range",
    "time-in-future",
    "time-in-past",
    "too-long",
    "bad-aggregate",  # a whole KPL aggregate that the KCL could not open; never from `decode`
)
MAX_REJECTS: Final = 100  # listed per record; further ones are only counted


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One measurement; `time_ms` counts from the epoch, `measures` is None rather than empty.

    `value` is None where the contract names only measures. `arrived`: the time is the record's arrival.
    """

    device: str
    time_ms: int
    value: Decimal | None
    measures: dict[str, Decimal] | None
    arrived: bool = False
    field: str = ""
    """What the value is called: its path, its sensor or its SenML name; empty for one that is just called `value`."""


class Reject(msgspec.Struct, frozen=True, gc=False):
    """Why the reading at `index` of its record is invalid: one of REASONS, and a line for people."""

    index: int
    reason: str
    detail: str


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """What one record held.

    `rejects` are the first MAX_REJECTS of `rejected`; `reasons` counts all of them.
    `payload` is one line of JSON for the archive; if `verbatim` it is exactly the record's bytes. Otherwise it
    is the JSON with its line breaks turned into spaces, or for several documents an array of them
    with null for what is not JSON, or null if nothing is.
    """

    readings: list[Reading]
    rejects: list[Reject]
    rejected: int
    reasons: Mapping[str, int]
    payload: bytes
    verbatim: bool


class Found(msgspec.Struct, gc=False):
    """A record that is being read, and its results so far.

    `index` is that of the next reading. While the elements of `each` are read, `message` is the whole message, `key`
    the element's key in an object, and `outer` are the elements of the lists around it.
    """

    partition_key: str
    arrival: int | None
    encoding: str = "json"
    message: object = None
    key: str = ""
    outer: tuple[Any, ...] = ()
    index: int = 0
    readings: list[Reading] = []
    rejects: list[Reject] = []
    reasons: dict[str, int] = {}

    def reject(self, bad: Bad, index: int) -> None:
        """Counts and, up to MAX_REJECTS, keeps the reject of the reading at `index`."""
        self.reasons[bad.reason] = self.reasons.get(bad.reason, 0) + 1
        if len(self.rejects) < MAX_REJECTS:
            self.rejects.append(Reject(index, bad.reason, bad.detail))


Read = Callable[[Any, Found], bool]
"""(message, its record) -> whether the contract matches it. Raises Bad if it does and the reading is invalid."""
