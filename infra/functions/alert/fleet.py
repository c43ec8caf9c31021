"""What the consumer has written of the devices: their newest rows, and the list of devices. Read only."""

import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from .malformed import Report, readable

BUCKETS = 16
"""Partitions of the list of devices: docs/decisions/0030-query-api.md."""


class Point(NamedTuple):
    """A value at a time, ms since the epoch."""

    at: int
    value: Decimal


class Seen(NamedTuple):
    device: str
    at: int  # ms; may be some 15 minutes old (DEVICES_SECONDS)


class Fleet:
    """Both tables, through a client of DynamoDB; `field` is AlertField."""

    def __init__(self, client: Any, rows: str, devices: str, field: str) -> None:
        self._client, self._rows, self._devices, self._field = client, rows, devices, field

    def before(self, device: str, at: int) -> Point | None:
        """The newest reading with a value before that time."""
        found = self._newest(device, iso(at - 1), 1)
        return found[0] if found else None

    def newest(self, device: str) -> list[Point]:
        """The newest two readings with a value, the newest first. Where the table has no row of the device, as with
        rollups only, the one of the list of devices."""
        if found := self._newest(device, "~", 2):
            return found
        entry = self._entry(device)
        return [point for point in [self._point(entry)] if point] if entry else []

    def last_seen(self, device: str) -> int | None:
        """When the newest reading arrived, or was measured, whichever is later."""
        entry, rows = self._entry(device), self._query(device, "~", 1)
        times = [moment(row["Timestamp"]["S"]) for row in rows] + ([moment(entry["Seen"]["S"])] if entry else [])
        return max(times, default=None)

    def devices(self, report: Report) -> Iterator[Seen]:
        """The list of devices; of rows that cannot be read a report."""
        pages = self._client.get_paginator("query")
        for bucket in range(BUCKETS):
            for page in pages.paginate(
                TableName=self._devices,
                KeyConditionExpression="#bucket = :bucket",
                ExpressionAttributeNames={"#bucket": "Bucket"},
                ExpressionAttributeValues={":bucket": {"N": str(bucket)}},
                ProjectionExpression="SensorId, Seen",
            ):
                yield from readable(page["Items"], _seen, report)

    def _newest(self, device: str, until: str, count: int) -> list[Point]:
        rows = self._query(device, until, count)
        return [point for point in map(self._point, rows) if point]

    def _query(self, device: str, until: str, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._client.query(
            TableName=self._rows,
            KeyConditionExpression="SensorId = :device AND #time <= :until",
            ExpressionAttributeNames={"#time": "Timestamp"},
            ExpressionAttributeValues={":device": {"S": device}, ":until": {"S": until}},
            ScanIndexForward=False,
            Limit=count,
        )["Items"]
        return found

    def _entry(self, device: str) -> dict[str, Any] | None:
        key = {"Bucket": {"N": str(zlib.crc32(device.encode()) % BUCKETS)}, "SensorId": {"S": device}}
        item: dict[str, Any] | None = self._client.get_item(TableName=self._devices, Key=key).get("Item")
        return item

    def _point(self, row: dict[str, Any]) -> Point | None:
        """The field among the measures, by its path or its last name; else the row's value."""
        measures = row.get("Measures", {}).get("M", {})
        names = (self._field, self._field.rpartition(".")[2])
        found = next((measures[name] for name in names if name in measures), row.get("Value"))
        return Point(moment(row["Timestamp"]["S"]), Decimal(found["N"])) if found else None


def _seen(item: dict[str, Any]) -> Seen:
    return Seen(item["SensorId"]["S"], moment(item["Seen"]["S"]))


def iso(at: int) -> str:
    """A time in ms as the tables have it."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(time: str) -> int:
    """The reverse."""
    return round(datetime.fromisoformat(time).timestamp() * 1000)
