"""A terminal's way to the stack: readings onto the stream."""

import json
import re
import time
from typing import Any

from producer.aws.aggregation import aggregate, hash_of
from producer.aws.errors import UserError
from producer.aws.pace import Pace
from producer.aws.put_records import Outgoing, Sender
from producer.aws.stack import Stack
from producer.fleet.message import iso_utc
from producer.ops.undelivered import MAX_KEY

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")  # as JSON writes it


def publish(stack: Stack, sensor: str, values: list[str], aggregated: bool = False) -> list[dict[str, Any]]:
    """Puts one message of the older shape per value on the stream, in order and one millisecond apart; returns what was
    written. `aggregated`: all of them in one record, as the KPL packs it."""
    if not 0 < len(sensor) <= MAX_KEY:
        raise UserError(f"a device's name has 1..{MAX_KEY} characters, since it is the stream's partition key")
    for value in values:
        if not NUMBER.fullmatch(value):
            raise UserError(f"{value!r} is not a number")
    now_ms = time.time_ns() // 1_000_000
    readings = [{"sensorid": sensor, "timestamp": iso_utc(now_ms + i), "value": v} for i, v in enumerate(values)]
    payloads = [
        f'{{"sensorid":{json.dumps(sensor)},"value":{each["value"]},"timestamp":"{each["timestamp"]}"}}'.encode()
        for each in readings
    ]
    if aggregated:
        hash_key = hash_of(sensor)
        packed = aggregate([(sensor, payload) for payload in payloads], hash_key)
        outgoing = [Outgoing(readings[0]["timestamp"], sensor, packed, hash_key)]
    else:
        outgoing = [Outgoing(each["timestamp"], sensor, data) for each, data in zip(readings, payloads, strict=True)]
    sent = list(Sender(stack.session, stack.stream, Pace(None)).send(outgoing))
    return [
        {**each, "shard": put.shard, "sequenceNumber": put.sequence_number}
        for each, put in zip(readings, sent * len(readings) if aggregated else sent, strict=True)
    ]
