"""The readings of devices: by direct invocation the newest ones of a device, and over HTTP (see http.py).

Direct: request `{"operation": "query", "sensorid": "<id>"[, "limit": 1..20][, "ExclusiveStartKey": {...}]}`; answer
`{"Items": [{"SensorId", "Timestamp"[, "Value"][, "Measures"][, "TimeSource"]}], "Count", "ScannedCount"
[, "LastEvaluatedKey"]}`, newest first. A LastEvaluatedKey is the next request's ExclusiveStartKey. A bad request is
answered `{"error": "<reason>"}`.
Numbers have every digit that the table has, up to 38: a caller that wants them all must not read them as floats.
Environment: SENSOR_TABLE, DEVICES_TABLE, ROLLUP_TABLE.
"""

import os
from typing import Any

import boto3

from .http import respond
from .parameters import MAX_NAME
from .store import Store
from .values import as_json, plain

MAX_ROWS = 20

dynamodb = boto3.client("dynamodb")


class BadRequest(Exception):
    """What is wrong with the request, for the one who sent it."""


def handle(event: Any, _context: object) -> bytes | dict[str, Any]:
    """See above; what DynamoDB refuses is raised.

    A direct answer is JSON already: Lambda's Python runtime hands bytes on as they are (awslambdaric,
    marshal_response), and would write a Decimal, depending on its version, as a float.
    """
    if isinstance(event, dict) and "requestContext" in event:
        names = (os.environ[name] for name in ("SENSOR_TABLE", "DEVICES_TABLE", "ROLLUP_TABLE"))
        return respond(event, Store(dynamodb, *names))
    try:
        return as_json(_answer(_query(event))).encode()
    except BadRequest as bad:
        return as_json({"error": str(bad)}).encode()


def _answer(query: dict[str, Any]) -> dict[str, Any]:
    found = dynamodb.query(TableName=os.environ["SENSOR_TABLE"], **query)
    answer = {
        "Items": [plain({"M": item}) for item in found["Items"]],
        "Count": found["Count"],
        "ScannedCount": found["ScannedCount"],
    }
    if "LastEvaluatedKey" in found:
        answer["LastEvaluatedKey"] = plain({"M": found["LastEvaluatedKey"]})
    return answer


def _query(event: Any) -> dict[str, Any]:
    """The request in DynamoDB's terms."""
    if not isinstance(event, dict):
        raise BadRequest("the request must be a JSON object")
    if event.get("operation") != "query":
        raise BadRequest(f"unknown operation {event.get('operation')!r}; there is: query")
    sensor, limit = event.get("sensorid"), event.get("limit", MAX_ROWS)
    if not isinstance(sensor, str) or not 0 < len(sensor.encode(errors="replace")) <= MAX_NAME:
        raise BadRequest(f"sensorid must be a text of 1..{MAX_NAME} bytes")
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_ROWS:
        raise BadRequest(f"limit must be a whole number of 1..{MAX_ROWS}")
    query = {
        "KeyConditionExpression": "SensorId = :sensor",
        "ExpressionAttributeValues": {":sensor": {"S": sensor}},
        "ProjectionExpression": "SensorId, #time, #value, Measures, TimeSource",
        "ExpressionAttributeNames": {"#time": "Timestamp", "#value": "Value"},
        "ScanIndexForward": False,
        "Limit": limit,
    }
    if event.get("ExclusiveStartKey") is not None:
        query["ExclusiveStartKey"] = _start(event["ExclusiveStartKey"], sensor)
    return query


def _start(key: Any, sensor: str) -> dict[str, Any]:
    if not isinstance(key, dict) or key.get("SensorId") != sensor or not isinstance(key.get("Timestamp"), str):
        raise BadRequest("ExclusiveStartKey must be the LastEvaluatedKey of the same sensor's query")
    return {"SensorId": {"S": sensor}, "Timestamp": {"S": key["Timestamp"]}}
