"""A terminal's way to the stack: the history of a device through the API function, readings onto the
stream."""

import json
import re
import time
from decimal import Decimal
from typing import Any

import msgspec

from producer.aws.errors import UserError
from producer.aws.pace import Pace
from producer.aws.put_records import Outgoing, Sender
from producer.aws.stack import Stack
from producer.fleet.message import iso_utc
from producer.ops.undelivered import MAX_KEY
from producer.terminal import table

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")  # as JSON writes it
PAGE = 20  # items, the function's limit


def query(stack: Stack, sensor: str, limit: int) -> dict[str, Any]:
    """`{"Items": [{SensorId, Timestamp, Value}], "Count", "ScannedCount"[, "LastEvaluatedKey"]}`, newest first; numbers
    are Decimals (or ints) with every digit of the table.

    The function gives at most `PAGE` items at once; it is asked again until there are `limit` of them or no more.
    """
    client = stack.session.client("lambda")
    found: dict[str, Any] = {"Items": [], "Count": 0, "ScannedCount": 0}
    while len(found["Items"]) < limit:
        start = found.pop("LastEvaluatedKey", None)
        answer = page(client, stack.api_function, sensor, min(PAGE, limit - len(found["Items"])), start)
        found["Items"] += answer["Items"]
        for count in ("Count", "ScannedCount"):
            found[count] += answer[count]
        if "LastEvaluatedKey" not in answer:
            break
        found["LastEvaluatedKey"] = answer["LastEvaluatedKey"]
    return found


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


def history(items: list[dict[str, Any]]) -> str:
    """The items as aligned lines under a headline; measures where there are some."""
    rows = []
    for item in items:
        measures = " ".join(f"{name}={value}" for name, value in item.get("Measures", {}).items())
        rows.append((str(item["SensorId"]), str(item["Timestamp"]), str(item.get("Value", "")), measures))
    last = "MEASURES" if any(row[3] for row in rows) else ""
    return table(("SENSOR", "TIME (UTC)", "VALUE", last), rows, right=["VALUE"])


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
