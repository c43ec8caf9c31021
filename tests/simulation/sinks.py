"""The bucket and the table: they do what S3 and DynamoDB do, and report to the ledger all that takes effect."""

import hashlib
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from consumer.archive.format import UNDELIVERABLE
from tests.simulation.network import CONVERSATION, Network, Request, refusal

if TYPE_CHECKING:
    from tests.simulation.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Stored:
    metadata: dict[str, str]
    etag: str


class Bucket:
    """An aiobotocore S3 client with one bucket behind it."""

    def __init__(self, network: Network, ledger: "Ledger", rng: random.Random, conflicts: float) -> None:
        self._network = network
        self._ledger = ledger
        self._rng = rng
        self.conflicts = conflicts
        """How often a conditional PUT meets another one and gets a 409."""
        self.objects: dict[str, Stored] = {}

    async def put_object(self, **asked: Any) -> None:
        if not asked["Key"].startswith(UNDELIVERABLE):
            self._ledger.owners.writes(CONVERSATION.get(), f"PUT {asked['Key'][-70:]}")
        await self._network.call("s3", lambda _: self._put(**asked))

    def _put(
        self,
        *,
        Bucket: str,
        Key: str,
        Body: bytes,
        Metadata: dict[str, str] | None = None,
        IfNoneMatch: str | None = None,
        IfMatch: str | None = None,
    ) -> None:
        held = self.objects.get(Key)
        if IfMatch and held is None:
            raise refusal("NoSuchKey", "PutObject")
        if held and (IfNoneMatch or (IfMatch and held.etag != IfMatch)):
            raise refusal("PreconditionFailed", "PutObject")
        if (IfMatch or IfNoneMatch) and self._rng.random() < self.conflicts:
            raise refusal("ConditionalRequestConflict", "PutObject")
        etag = hashlib.md5(Body, usedforsecurity=False).hexdigest()
        self.objects[Key] = Stored(Metadata or {}, etag)
        self._ledger.stored(Key, Body, Metadata or {})

    async def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        stored: Stored | None = await self._network.call("s3", lambda _: self.objects.get(Key))
        if stored is None:
            raise refusal("404", "HeadObject")
        talk = CONVERSATION.get()
        if talk.epoch is not None and int(stored.metadata["epoch"]) > talk.epoch:
            talk.retired = talk.retired or "it saw the object of a newer epoch"
        return {"Metadata": stored.metadata, "ETag": stored.etag}


class Rows:
    """In place of consumer/aws/dynamodb.py, with the sensor table and the list of devices behind it."""

    def __init__(self, network: Network, ledger: "Ledger", rng: random.Random, unprocessed: float) -> None:
        self._network = network
        self._ledger = ledger
        self._rng = rng
        self.unprocessed = unprocessed
        """How often a batch comes back in part, or wholly."""

    async def send(self, body: bytes) -> bytes:
        asked = json.loads(body)["RequestItems"]
        items = [(table, each["PutRequest"]["Item"]) for table, requests in asked.items() for each in requests]
        keys = {(table, item["SensorId"]["S"], table == "devices" or item["Timestamp"]["S"]) for table, item in items}
        if not 0 < len(items) <= 25 or len(keys) < len(items):
            raise refusal("ValidationException", "BatchWriteItem")
        self._ledger.owners.writes(CONVERSATION.get(), f"{[(table, item['Value']['N']) for table, item in items]}")
        left = await self._network.call("table", lambda request: self._write(request, asked))
        return json.dumps({"UnprocessedItems": left}, separators=(",", ":")).encode()

    def _write(self, request: Request, asked: dict[str, list[Any]]) -> dict[str, list[Any]]:
        left: dict[str, list[Any]] = {}
        some = self._rng.random() < self.unprocessed
        for table, each in ((table, each) for table, requests in asked.items() for each in requests):
            item = each["PutRequest"]["Item"]
            if some and self._rng.random() < 0.5:
                left.setdefault(table, []).append(each)
            elif table == "devices":
                self._ledger.devices.add(item["SensorId"]["S"])
            else:
                self._ledger.row(request, (item["SensorId"]["S"], item["Timestamp"]["S"]), item["Value"]["N"])
        return left
