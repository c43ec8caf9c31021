"""What a deployment's table and archive hold, counted as far as that is cheap: said before they are deleted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

PAGES = 50  # of 1,000 object versions each that are counted at most


@dataclass(frozen=True, slots=True)
class Holding:
    """A table or bucket. `count` is None when it could not be counted; only `exact` counts tell that it is empty."""

    kind: str
    id: str
    what: str
    count: int | None
    exact: bool = True
    note: str = ""

    @property
    def empty(self) -> bool:
        return self.count == 0 and self.exact

    def __str__(self) -> str:
        if self.count is None:
            return f"{self.kind} {self.id}, whose {self.what} cannot be counted ({self.note})"
        about = "" if self.exact else f"{self.note} "
        return f"{self.kind} {self.id} with {about}{self.count:,} {self.what}"


def holdings(session: boto3.Session, tables: list[str], buckets: list[str]) -> list[Holding]:
    """Those of the tables and buckets that are there."""
    found = [*(_rows(session, table) for table in tables), *(_objects(session, bucket) for bucket in buckets)]
    return [each for each in found if each is not None]


def _rows(session: boto3.Session, table: str) -> Holding | None:
    """Exact within one page of a scan that returns nothing but its count; past it DynamoDB's own count, hours old."""
    client = session.client("dynamodb")
    try:
        known = client.describe_table(TableName=table)["Table"].get("ItemCount", 0)
        count, more = _first_page(client, table)
    except client.exceptions.ResourceNotFoundException:
        return None
    except ClientError as error:
        return Holding("table", table, "rows", None, note=error.response["Error"].get("Code", "?"))
    return Holding("table", table, "rows", max(known, count) if more else count, not more, "about")


def _first_page(client: "DynamoDBClient", table: str) -> tuple[int, bool]:
    page = client.scan(TableName=table, Select="COUNT")
    return page["Count"], "LastEvaluatedKey" in page


def _objects(session: boto3.Session, bucket: str) -> Holding | None:
    """All versions of all objects, up to `PAGES` pages of them."""
    try:
        count, more = _versions(session, bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        return Holding("bucket", bucket, "objects", None, note=error.response["Error"].get("Code", "?"))
    return Holding("bucket", bucket, "objects", count, not more, "more than")


def _versions(session: boto3.Session, bucket: str) -> tuple[int, bool]:
    pages: Iterator[Any] = iter(session.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket))
    count = 0
    for number, page in enumerate(pages, 1):
        count += len(page.get("Versions", []))
        if number == PAGES:
            return count, bool(page.get("IsTruncated"))
    return count, False
