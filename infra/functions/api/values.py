"""DynamoDB's values, and JSON that keeps every digit of a number. No I/O."""

import json
from decimal import Decimal
from typing import Any

DIGITS = 38  # of a number of DynamoDB; a longer whole number is written with an exponent


def plain(attribute: dict[str, Any]) -> Any:
    """DynamoDB's S, N and M, the only types a row has, as Python's str, Decimal and dict."""
    [(kind, value)] = attribute.items()
    if kind == "N":
        return Decimal(value)
    if kind == "M":
        return {name: plain(item) for name, item in value.items()}
    return value


def as_json(value: Any) -> str:
    """As json.dumps writes it, and a Decimal with all its digits; a whole number has no point."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {as_json(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_json, value)) + "]"
    if isinstance(value, Decimal):
        whole = value == value.to_integral_value() and value.adjusted() < DIGITS
        return str(int(value) if whole else value)
    return json.dumps(value)
