"""CBOR as Kinesis speaks it: times are milliseconds there, both ways; the emulator means seconds, as in its JSON."""

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import cbor2

TIMES = frozenset({"ApproximateArrivalTimestamp", "StreamCreationTimestamp", "ConsumerCreationTimestamp"})
LATEST_SECOND = 253_402_300_799  # of the year 9999; as milliseconds it is in 1978
_EPOCH_TAG = 1


def install() -> None:
    cbor2.loads = functools.partial(cbor2.loads, semantic_decoders={_EPOCH_TAG: _time})
    cbor2.dumps = _with_millis(cbor2.dumps)


def _time(value: float, *_: object) -> float | datetime:
    """Other services send seconds, which the emulator takes as a datetime; those stay as they are."""
    return value / 1000 if value > LATEST_SECOND else datetime.fromtimestamp(value, UTC)


def _with_millis(dumps: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    def converted(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: round(item * 1000) if key in TIMES and isinstance(item, int | float) else converted(item)
                for key, item in value.items()
            }
        return [converted(item) for item in value] if isinstance(value, list) else value

    return lambda value: dumps(converted(value))
