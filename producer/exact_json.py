"""JSON with all the digits of a number."""

from decimal import Decimal
from typing import Any

import msgspec

_encode = msgspec.json.Encoder(decimal_format="number").encode


def as_json(answer: Any) -> str:
    """On one line, Decimals as numbers with all their digits."""
    return _encode(_without_long_ints(answer)).decode()


def _without_long_ints(value: Any) -> Any:
    """msgspec writes ints of 64 bits, and Decimals of any length."""
    if isinstance(value, dict):
        return {name: _without_long_ints(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_long_ints(item) for item in value]
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value
