"""CBOR as Kinesis uses it: timestamps are milliseconds in both directions; the emulator takes them for seconds."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import cbor2

from emulator_extension.upstream import extends

TIMES = frozenset({"ApproximateArrivalTimestamp", "StreamCreationTimestamp", "ConsumerCreationTimestamp"})
MAX_SECONDS = 253_402_300_799  # of the year 9999; as milliseconds it is in 1978
EPOCH_TAG = 1


@extends(cbor2, "loads")
def loads(original: Callable[..., Any], body: bytes) -> Any:
    """A tagged time in milliseconds becomes seconds; other services send seconds, which become a datetime as before."""

    def time(value: float, *_: object) -> float | datetime:
        return value / 1000 if value > MAX_SECONDS else datetime.fromtimestamp(value, UTC)

    return original(body, semantic_decoders={EPOCH_TAG: time})


@extends(cbor2, "dumps")
def dumps(original: Callable[[Any], bytes], value: Any) -> bytes:
    """Times of TIMES are written in milliseconds."""

    def converted(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: round(item * 1000) if key in TIMES and isinstance(item, int | float) else converted(item)
                for key, item in value.items()
            }
        return [converted(item) for item in value] if isinstance(value, list) else value

    return original(converted(value))
