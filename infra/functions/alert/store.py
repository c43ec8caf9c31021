"""The table of alerts: the state of each device under each rule, the notices that wait, and the history.

Rows, by `Part` (kind and bucket) and `Id`; docs/decisions/0034-alerts.md says why:

- `state#nn`, `<rule>#<device>`, of a very long name its SHA-256: a State. Replaced only as it was read; deleted by its
  time to live once it has ended.
- `outbox#nn`, id of the notice: a Notice that nobody has been told yet, and who may send it.
- `history#nn`, time and id: the same Notice for people to look up; deleted after HISTORY_DAYS.
- `minute#00`: until when a minute's call is under way, how many notices a minute has had, and the last digest.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from .episodes import Notice, State
from .malformed import Report, readable
from .policy import SEVERITIES
from .words import PAST

BUCKETS = 16
"""Partitions of each kind: one takes 1,000 writes a second."""
AT_ONCE = 8  # requests
MAX_ID = 1024  # bytes of a sort key
BATCH = 25  # rows of a BatchWriteItem
HISTORY_DAYS = 90
DAY = 86_400

Item = dict[str, Any]
_encode, _decode = TypeSerializer().serialize, TypeDeserializer().deserialize


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notice in the outbox. Until `lease` (ms) only who made it may send it."""

    notice: Notice
    lease: int


@dataclass(frozen=True, slots=True)
class Digest:
    """Of all notices that waited at a time (ms). No notice joins them later: its lease ends after that time."""

    at: int
    sent: bool

    def has(self, waiting: Waiting) -> bool:
        return max(waiting.lease, waiting.notice.due) <= self.at


class Store:
    """The table, through a client of DynamoDB. What DynamoDB refuses for another reason than a condition is raised.

    Errors are told apart by their codes: a client makes its own classes of them at first use, and several threads at
    once make several classes of one error.
    """

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def states(self, device: str, rules: Iterable[str]) -> dict[str, State]:
        """The state of a device under each of these rules, where there is one; as it is now."""
        keys = [_state_key(device, rule) for rule in rules]
        found: list[Item] = []
        while keys:
            answer = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
            found += answer["Responses"].get(self._table, [])
            keys = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
        return {state.rule: state for state in map(_state, found)}

    def change(self, before: State | None, after: State, notice: Notice, cooldown: int, lease: int) -> bool:
        """Puts state, notice and history, all or none; False if the state is not `before` any more."""
        condition: Item = {"ConditionExpression": "attribute_not_exists(Id)"}
        if before:
            values = {":version": {"N": str(before.version)}}
            condition = {"ConditionExpression": "Version = :version", "ExpressionAttributeValues": values}
        rows = [_history(notice, after.changed)] + ([_waiting(notice, lease)] if notice.told else [])
        puts = [{"Put": {"TableName": self._table, "Item": row}} for row in rows]
        put = {"Put": {"TableName": self._table, "Item": _state_row(after, cooldown), **condition}}
        try:
            self._client.transact_write_items(TransactItems=[put, *puts])
        except ClientError as error:
            reasons = {each.get("Code") for each in error.response.get("CancellationReasons", [])}
            if reasons & {"ConditionalCheckFailed", "TransactionConflict"}:
                return False
            raise
        return True

    def count(self, minute: int, more: int = 1) -> int:
        """Counts so many notices more in this minute, and returns how many there are now."""
        answer = self._client.update_item(
            TableName=self._table,
            Key=_own(f"count#{minute}"),
            UpdateExpression="ADD Notices :more SET ExpiresAt = :expires",
            ExpressionAttributeValues={":more": {"N": str(more)}, ":expires": {"N": str(minute * 60 + DAY)}},
            ReturnValues="UPDATED_NEW",
        )
        return int(answer["Attributes"]["Notices"]["N"])

    def begin(self, now: int, until: int) -> bool:
        """Whether no call of a minute is under way; then this one is, until that time (ms)."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_own("call"),
                UpdateExpression="SET BusyUntil = :until",
                ConditionExpression="attribute_not_exists(BusyUntil) OR BusyUntil <= :now",
                ExpressionAttributeValues={":until": {"N": str(until)}, ":now": {"N": str(now)}},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def digest(self) -> Digest | None:
        """The last one that was begun."""
        row = self._client.get_item(TableName=self._table, Key=_own("digest"), ConsistentRead=True).get("Item")
        return Digest(int(row["At"]["N"]), row["Sent"]["BOOL"]) if row else None

    def put_digest(self, digest: Digest) -> None:
        """Only for who has begun the minute's call; the one before must have no notice left."""
        row = {"At": {"N": str(digest.at)}, "Sent": {"BOOL": digest.sent}}
        self._client.put_item(TableName=self._table, Item=_own("digest") | row)

    def waiting(self, report: Report) -> list[Waiting]:
        """All notices that were not told yet; of rows that cannot be read a report."""
        return [each for rows in self._each_bucket("outbox") for each in readable(rows, _from_outbox, report)]

    def open_states(self, report: Report) -> list[State]:
        """All episodes that have not ended; of rows that cannot be read a report."""
        return [each for rows in self._each_bucket("state") for each in readable(rows, _state, report) if each.open]

    def told(self, notices: Iterable[Notice]) -> None:
        """Takes notices out of the outbox."""
        requests = [{"DeleteRequest": {"Key": _key("outbox", n.device, n.id)}} for n in notices]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._write, [requests[i : i + BATCH] for i in range(0, len(requests), BATCH)]))

    def _each_bucket(self, kind: str) -> Iterator[list[Item]]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from pool.map(self._all, [f"{kind}#{bucket:02}" for bucket in range(BUCKETS)])

    def _all(self, part: str) -> list[Item]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="Part = :part",
            ExpressionAttributeValues={":part": {"S": part}},
            ConsistentRead=True,
        )
        return [item for page in pages for item in page["Items"]]

    def _write(self, requests: list[Item]) -> None:
        while requests:
            answer = self._client.batch_write_item(RequestItems={self._table: requests})
            requests = answer.get("UnprocessedItems", {}).get(self._table, [])


def _key(kind: str, device: str, name: str) -> Item:
    bucket = zlib.crc32(device.encode()) % BUCKETS
    return {"Part": {"S": f"{kind}#{bucket:02}"}, "Id": {"S": name}}


def _state_key(device: str, rule: str) -> Item:
    name = f"{rule}#{device}"
    if len(name.encode()) > MAX_ID:  # a device's name may have 2,048
        name = f"{rule}#{hashlib.sha256(device.encode()).hexdigest()}"
    return _key("state", device, name)


def _own(name: str) -> Item:
    return {"Part": {"S": "minute#00"}, "Id": {"S": name}}


def _state_row(state: State, cooldown: int) -> Item:
    expires = state.expires(cooldown)
    given = {name.capitalize(): _encode(value) for name, value in asdict(state).items()}
    ends = {"ExpiresAt": {"N": str(expires)}} if expires else {}
    return _state_key(state.device, state.rule) | given | ends


def _state(row: Item) -> State:
    given: dict[str, Any] = {name: _decode(row[name.capitalize()]) for name in State.__dataclass_fields__}
    return State(**given | {name: int(given[name]) for name in ("changed", "at", "version")})


def _waiting(notice: Notice, lease: int) -> Item:
    row = {"Notice": {"S": json.dumps(notice.as_dict())}, "Lease": {"N": str(lease)}}
    return _key("outbox", notice.device, notice.id) | row


def _from_outbox(row: Item) -> Waiting:
    notice = Notice(**{"value": None} | json.loads(row["Notice"]["S"]))
    if notice.severity not in SEVERITIES or notice.state not in PAST or not isinstance(notice.due + notice.at, int):
        raise ValueError(f"{row['Notice']['S']} is no notice")
    return Waiting(notice, int(row["Lease"]["N"]))


def _history(notice: Notice, now: int) -> Item:
    moment = datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _key("history", notice.device, f"{moment} {notice.id}") | {
        "Notice": {"S": json.dumps(notice.as_dict())},
        "ExpiresAt": {"N": str(now // 1000 + HISTORY_DAYS * DAY)},
    }
