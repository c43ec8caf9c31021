"""What the query API reads from DynamoDB: rows of the sensor table, rollups, and the list of devices."""

from typing import Any, NamedTuple

from .parameters import moment, timestamp
from .values import plain

BUCKETS = 16
"""Partitions of the table of devices: docs/decisions/0030-query-api.md."""

Row = dict[str, Any]


class Span(NamedTuple):
    """Rows of a device from `low` to `high`, both included; milliseconds since the epoch."""

    device: str
    low: int
    high: int


class Store:
    """The tables, through a client of DynamoDB. What DynamoDB refuses is raised."""

    def __init__(self, client: Any, sensor_table: str, devices_table: str, rollup_table: str) -> None:
        self._client = client
        self._sensor_table = sensor_table
        self._devices_table = devices_table
        self._rollup_table = rollup_table

    def rows(self, span: Span, forward: bool, limit: int) -> tuple[list[Row], bool]:
        """The first rows in that order, and whether there may be more. One request, so at most a megabyte of rows."""
        if span.low > span.high:
            return [], False
        found = self._client.query(
            TableName=self._sensor_table,
            KeyConditionExpression="SensorId = :device AND #time BETWEEN :low AND :high",
            ExpressionAttributeValues={
                ":device": {"S": span.device},
                ":low": {"S": timestamp(span.low)},
                ":high": {"S": timestamp(span.high)},
            },
            ProjectionExpression="SensorId, #time, #value, Measures, TimeSource",
            ExpressionAttributeNames={"#time": "Timestamp", "#value": "Value"},
            ScanIndexForward=forward,
            Limit=limit,
        )
        return [plain({"M": item}) for item in found["Items"]], "LastEvaluatedKey" in found

    def series(self, span: Span, most_rows: int, most_requests: int) -> tuple[list[Row], bool]:
        """The first rows in the order of time, within both bounds; and whether there may be more."""
        found, more = self.rows(span, True, most_rows)
        for _ in range(most_requests - 1):
            if not more or len(found) == most_rows:
                break
            rest = span._replace(low=moment(found[-1]["Timestamp"]) + 1)
            rows, more = self.rows(rest, True, most_rows - len(found))
            found += rows
        return found, more

    def rollups(
        self, span: Span, most_rows: int, most_requests: int, forward: bool = True, after: str | None = None
    ) -> tuple[list[Row], bool]:
        """The first rows, in that order, whose windows begin in the span, behind the window `after` (windows.window);
        and whether there may be more."""
        first = -(-span.low // 1000) * 1000
        if first > span.high:
            return [], False
        low = f"{timestamp(first)[:19]}Z"
        high = f"{timestamp(span.high)[:19]}Z~"  # behind what goes on with a slash
        if after is not None:
            low, high = (f"{after}0", high) if forward else (low, f"{after}/")
        found: list[Row] = []
        start: dict[str, Any] = {}
        for _ in range(most_requests):
            answer = self._client.query(
                TableName=self._rollup_table,
                KeyConditionExpression="SensorId = :device AND #window BETWEEN :low AND :high",
                ExpressionAttributeValues={":device": {"S": span.device}, ":low": {"S": low}, ":high": {"S": high}},
                ProjectionExpression="#window, Readings, #first, #last, #value, Measures, LeftOut",
                ExpressionAttributeNames={
                    "#window": "Window",
                    "#first": "First",
                    "#last": "Last",
                    "#value": "Value",
                },
                ScanIndexForward=forward,
                Limit=most_rows - len(found),
                **start,
            )
            found += [plain({"M": item}) for item in answer["Items"]]
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]} if "LastEvaluatedKey" in answer else {}
            if not start or len(found) == most_rows:
                break
        return found, bool(start)

    def devices(self, bucket: int, after: str | None, limit: int) -> tuple[list[Row], bool]:
        """The devices of one partition behind `after`, in the order of their names; and whether there may be more."""
        values: dict[str, Any] = {":bucket": {"N": str(bucket)}}
        condition = "#bucket = :bucket"
        if after is not None:
            condition += " AND SensorId > :after"
            values[":after"] = {"S": after}
        found = self._client.query(
            TableName=self._devices_table,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ExpressionAttributeNames={"#bucket": "Bucket"},
            Limit=limit,
        )
        return [plain({"M": item}) for item in found["Items"]], "LastEvaluatedKey" in found
