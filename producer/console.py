"""A terminal's way to the stack: the history of a device through the API function, readings onto the
stream."""

import json
import re
import time
from typing import Any

import boto3

from producer.errors import UserError
from producer.message import iso_utc
from producer.stack import Stack

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")  # as JSON writes it


def query(stack: Stack, sensor: str, limit: int | None) -> dict[str, Any]:
    """The function's answer `{"Items": [{SensorId, Timestamp, Value}], "Count", "ScannedCount"}`, newest
    first."""
    request: dict[str, Any] = {"operation": "query", "sensorid": sensor}
    if limit is not None:
        request["limit"] = limit
    answer = boto3.client("lambda").invoke(FunctionName=stack.api_function, Payload=json.dumps(request).encode())
    # Numbers stay as they were written: a float would round them.
    body = json.loads(answer["Payload"].read(), parse_float=_AsWritten)
    if "FunctionError" in answer:
        raise UserError(f"{stack.api_function}: {body.get('errorMessage', body)}")
    if not isinstance(body, dict) or "Items" not in body:
        raise UserError(f"{stack.api_function} answered {body!r}")
    return body


class _AsWritten(float):
    """A number that prints with the digits it came with."""

    def __new__(cls, text: str) -> "_AsWritten":
        number = super().__new__(cls, text)
        number._text = text
        return number

    _text: str

    def __repr__(self) -> str:
        return self._text

    __str__ = __repr__


def table(items: list[dict[str, Any]]) -> list[str]:
    """The items as aligned lines under a headline."""
    rows = [("SENSOR", "TIME (UTC)", "VALUE")]
    rows += [(str(i["SensorId"]), str(i["Timestamp"]), str(i["Value"])) for i in items]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    right = max(len(row[2]) for row in rows)
    return [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{right}}" for a, b, c in rows]


def publish(stack: Stack, sensor: str, values: list[str]) -> list[dict[str, Any]]:
    """Puts one message of the older shape per value on the stream, one millisecond apart; returns what was
    written."""
    for value in values:
        if not NUMBER.fullmatch(value):
            raise UserError(f"{value!r} is not a number")
    now_ms = time.time_ns() // 1_000_000
    client = boto3.client("kinesis")
    written = []
    for i, value in enumerate(values):
        at = iso_utc(now_ms + i)
        payload = f'{{"sensorid":{json.dumps(sensor)},"value":{value},"timestamp":"{at}"}}'
        put = client.put_record(StreamName=stack.stream, PartitionKey=sensor, Data=payload.encode())
        written.append(
            {
                "sensorid": sensor,
                "timestamp": at,
                "value": value,
                "shard": put["ShardId"],
                "sequenceNumber": put["SequenceNumber"],
            }
        )
    return written
