"""What a deployment's tables and archive hold, counted as far as that is cheap: said before they are deleted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import boto3
from botocore.exceptions import ClientError

PAGES = 50  # of 1,000 object versions each that are counted at most
RESULTS = "athena-results/"  # of queries: nothing that a device has sent
Counted = tuple[int, str]
"""How many, and "" where that is exact, else in which way it is not."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A table or bucket. `count` is None when it could not be counted, and `note` says why; else `note` is empty for an
    exact count."""

    kind: str
    id: str
    what: str
    count: int | None
    note: str = ""

    @property
    def empty(self) -> bool:
        return self.count == 0 and not self.note

    @property
    def deletion(self) -> str:
        """The command that deletes it."""
        return (
            f"aws dynamodb delete-table --table-name {self.id}"
            if self.kind == "table"
            else f"aws s3 rb --force s3://{self.id}"
        )

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.id, self.what: self.count, "note": self.note, "deletion": self.deletion}

    def __str__(self) -> str:
        if self.count is None:
            return f"{self.kind} {self.id}, whose {self.what} cannot be counted ({self.note})"
        return f"{self.kind} {self.id} with {f'{self.note} ' if self.note else ''}{self.count:,} {self.what}"


def holdings(session: boto3.Session, tables: Sequence[str], bucket: str) -> list[Holding]:
    """Those of them that are there; an empty name is none."""
    found = (
        *(_holding("table", table, "rows", partial(count_rows, session, table)) for table in tables),
        _holding("bucket", bucket, "objects", partial(count_objects, session, bucket)),
    )
    return [each for each in found if each]


def _holding(kind: str, name: str, what: str, count: Callable[[], Counted]) -> Holding | None:
    if not name:
        return None
    try:
        return Holding(kind, name, what, *count())
    except ClientError as error:
        code = error.response["Error"].get("Code", "?")
        if code in ("ResourceNotFoundException", "NoSuchBucket"):
            return None
        return Holding(kind, name, what, None, code)


def count_rows(session: boto3.Session, table: str) -> Counted:
    """Exact within one page of a scan that returns nothing but its count; past it DynamoDB's own count, hours old."""
    client = session.client("dynamodb")
    known = client.describe_table(TableName=table)["Table"].get("ItemCount", 0)
    page = client.scan(TableName=table, Select="COUNT")
    return (max(known, page["Count"]), "about") if "LastEvaluatedKey" in page else (page["Count"], "")


def count_objects(session: boto3.Session, bucket: str) -> Counted:
    """All versions of all objects but RESULTS, up to `PAGES` pages of them."""
    pages = session.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket)
    seen: list[Any] = list(islice(pages, PAGES))
    count = sum(not each["Key"].startswith(RESULTS) for page in seen for each in page.get("Versions", []))
    return count, "more than" if seen[-1].get("IsTruncated") else ""
