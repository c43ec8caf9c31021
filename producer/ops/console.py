"""A terminal's way to the stack: readings onto the stream, and the query function asked directly."""

import json
import re
import time
from decimal import Decimal
from typing import Any

from producer.aws.errors import UserError
from producer.aws.pace import Pace
from producer.aws.put_records import Outgoing, Sender
from producer.aws.stack import Stack
from producer.fleet.message import iso_utc
from producer.ops.undelivered import MAX_KEY

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")  # as JSON writes it
PAGE = 20  # items, the function's limit


def page(client: Any, function: str, sensor: str, limit: int, start: dict[str, str] | None) -> dict[str, Any]:
    """One answer of the function, with at most `PAGE` items; those before the key `start` in time."""
    request: dict[str, Any] = {"operation": "query", "sensorid": sensor, "limit": limit}
    if start:
        request["ExclusiveStartKey"] = start
    answer = client.invoke(FunctionName=function, Payload=json.dumps(request).encode())
    items: dict[str, Any] = json.loads(answer["Payload"].read(), parse_float=Decimal)
    if "FunctionError" in answer:
        raise UserError(f"{function}: {items.get('errorMessage', items)}")
    if "error" in items:
        raise UserError(items["error"])
    return items


def publish(stack: Stack, sensor: str, values: list[str]) -> list[dict[str, Any]]:
    """Puts one message of the older shape per value on the stream, in order and one millisecond apart; returns what was
    written."""
    if not 0 < len(sensor) <= MAX_KEY:
        raise UserError(f"a device's name has 1..{MAX_KEY} characters, since it is the stream's partition key")
    for value in values:
        if not NUMBER.fullmatch(value):
            raise UserError(f"{value!r} is not a number")
    now_ms = time.time_ns() // 1_000_000
    readings = [{"sensorid": sensor, "timestamp": iso_utc(now_ms + i), "value": v} for i, v in enumerate(values)]
    outgoing = (
        Outgoing(
            each["timestamp"],
            sensor,
            f'{{"sensorid":{json.dumps(sensor)},"value":{each["value"]},"timestamp":"{each["timestamp"]}"}}'.encode(),
        )
        for each in readings
    )
    sent = Sender(stack.session, stack.stream, Pace(None)).send(outgoing)
    return [
        {**each, "shard": put.shard, "sequenceNumber": put.sequence_number}
        for each, put in zip(readings, sent, strict=True)
    ]
