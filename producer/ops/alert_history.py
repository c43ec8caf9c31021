"""The history of alerts of a stack with an AlertPolicy: each beginning and each end of an episode, for 90 days.

The alert function writes it into rows `history#00` to `history#15` of the table `AlertTable`, by the device's CRC-32;
`Id` is the time and the notice's id, `Notice` its JSON (infra/functions/alert/store.py).
"""

import json
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from producer.aws.errors import UserError
from producer.terminal import table

PARTS = 16
FIRST, LAST = "0", "~"  # around all times
OF_ALL, OF_ONE = 100, 1000  # rows that a page reads of each partition, and of one where it looks for a device
AT_ONCE = 8  # requests


class Notice(NamedTuple):
    """A beginning (`open`, `silent`) or an end (`recovered`). `id` begins with the time it was written at."""

    id: str
    at: str  # as in the id: ISO-8601, UTC
    episode: str
    device: str
    rule: str
    severity: str
    state: str
    value: str | None  # as it was sent; None of a silence
    limit: str
    measured: int  # ms since the epoch: the reading's time; of a silence the last one's

    @classmethod
    def of(cls, row: dict[str, Any]) -> "Notice":
        """From a row of the table."""
        name, given = row["Id"]["S"], json.loads(row["Notice"]["S"])
        texts = {key: given[key] for key in ("episode", "device", "rule", "severity", "state", "limit")}
        return cls(id=name, at=name.partition(" ")[0], value=given.get("value"), measured=given["at"], **texts)


class Page(NamedTuple):
    """Notices, newest first: all that there are above `next`, which is None at the end of the history."""

    notices: list[Notice]
    next: str | None


class Episode(NamedTuple):
    """From its beginning to its end, if it has ended."""

    began: Notice
    ended: Notice | None

    def as_json(self) -> dict[str, Any]:
        begin, end = self.began, self.ended
        found = {name: getattr(begin, name) for name in ("episode", "device", "rule", "severity", "state")}
        found |= {"began": begin.at, "ended": end.at if end else None, "open": end is None}
        return found | {"value": begin.value, "endValue": end.value if end else None, "limit": begin.limit}

    def cells(self) -> tuple[str, ...]:
        begin, end = self.began, self.ended
        value = begin.state if begin.value is None else begin.value
        return begin.at, end.at if end else "open", begin.device, begin.rule, begin.severity, value


class AlertHistory:
    """By a client of DynamoDB. Without a table (Stack.alert_table) UserError is raised by who asks, else one of
    AWS_ERRORS."""

    def __init__(self, client: Any, table: str | None) -> None:
        self._client, self._table = client, table

    def page(self, before: str = LAST, after: str = FIRST, device: str | None = None) -> Page:
        """Notices with ids up to `before`, a page's `next`, and from `after`; of one device or of all.

        A request for each partition. What a partition has below the highest place at which one of them stopped may not
        be all, so the page ends there.
        """
        parts = range(PARTS) if device is None else [zlib.crc32(device.encode(errors="surrogatepass")) % PARTS]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda part: self._query(part, before, after, device), parts))
        stops = [answer["LastEvaluatedKey"]["Id"]["S"] for answer in answers if "LastEvaluatedKey" in answer]
        end = max(stops, default=None)
        found = [Notice.of(row) for answer in answers for row in answer["Items"] if end is None or row["Id"]["S"] > end]
        return Page(sorted(found, reverse=True), end)

    def episodes(self, device: str | None = None, only_open: bool = False) -> Iterator[Episode]:
        """All episodes, by their beginnings, newest first. An end is newer than that, so it is known by then."""
        ends: dict[str, Notice] = {}
        before: str | None = LAST
        while before:
            notices, before = self.page(before, device=device)
            ends |= {each.episode: each for each in notices if each.state == "recovered"}
            for began in (each for each in notices if each.state != "recovered"):
                ended = ends.pop(began.episode, None)
                if not (ended and only_open):
                    yield Episode(began, ended)

    def _query(self, part: int, before: str, after: str, device: str | None) -> Any:
        if not self._table:
            raise UserError("the stack has no AlertPolicy, and so no history of alerts: see docs/alerts.md")
        values = {":part": f"history#{part:02}", ":before": before, ":after": after}
        wanted: dict[str, Any] = {"Limit": OF_ALL}
        if device is not None:
            values[":device"] = (
                f'"device": {json.dumps(device)}'  # as the function writes it; quotes in texts are escaped
            )
            wanted = {"Limit": OF_ONE, "FilterExpression": "contains(Notice, :device)"}
        return self._client.query(
            TableName=self._table,
            KeyConditionExpression="Part = :part AND Id BETWEEN :after AND :before",
            ExpressionAttributeValues={name: {"S": value} for name, value in values.items()},
            ScanIndexForward=False,
            **wanted,
        )


def as_text(episodes: list[Episode]) -> str:
    """Aligned lines under a headline."""
    heads = ("BEGAN (UTC)", "ENDED (UTC)", "DEVICE", "RULE", "SEVERITY", "VALUE")
    return table(heads, [each.cells() for each in episodes], right=["VALUE"])
