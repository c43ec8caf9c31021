"""Messages as records of the stream: one each, or several in one as the Kinesis Producer Library packs them."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Self

import boto3

from producer.aws.aggregation import aggregate, hash_of
from producer.aws.put_records import Outgoing
from producer.fleet.message import Message

MAX_BYTES = 1_000_000
"""Of keys and payloads in an aggregate; its format adds some 20 bytes a message, and a record may have 1 MiB."""


class Packed(NamedTuple):
    """A record, and the messages in it."""

    record: Outgoing
    messages: list[Message]


Packing = Callable[[Iterable[Message]], Iterator[Packed]]


def one_each(messages: Iterable[Message]) -> Iterator[Packed]:
    """Each message is a record."""
    for message in messages:
        yield Packed(Outgoing(str(message.number), message.device, message.payload), [message])


class Aggregator:
    """Up to `most` messages in a record, all of devices whose partition keys belong to one shard.

    A record has the first hash key of this shard. The shards are those of the beginning: when one is split later, all
    its devices stay together in the same child, so that each keeps its order.
    """

    def __init__(self, starts: Sequence[int], most: int) -> None:
        """`starts` are the first hash keys of all shards, ascending; 0 is the first."""
        self._starts = starts
        self._most = most

    @classmethod
    def of(cls, session: boto3.Session, stream: str, most: int) -> Self:
        """For the shards that a stream has now."""
        pages = session.client("kinesis").get_paginator("list_shards")
        found = pages.paginate(StreamName=stream, ShardFilter={"Type": "AT_LATEST"})
        ranges = (shard["HashKeyRange"] for page in found for shard in page["Shards"])
        return cls(sorted(int(each["StartingHashKey"]) for each in ranges), most)

    def __call__(self, messages: Iterable[Message]) -> Iterator[Packed]:
        shards: dict[int, list[Message]] = defaultdict(list)
        for message in messages:
            shards[self._starts[bisect_right(self._starts, hash_of(message.device)) - 1]].append(message)
        for start, own in shards.items():
            for each in self._cut(own):
                yield Packed(_record(each, start), each)

    def _cut(self, messages: Iterable[Message]) -> Iterator[list[Message]]:
        part: list[Message] = []
        size = 0
        for message in messages:
            more = len(message.device.encode()) + len(message.payload)
            if part and (len(part) == self._most or size + more > MAX_BYTES):
                yield part
                part, size = [], 0
            part.append(message)
            size += more
        yield part


def _record(messages: list[Message], hash_key: int) -> Outgoing:
    """A message alone is no aggregate."""
    first = messages[0]
    if len(messages) == 1:
        return Outgoing(str(first.number), first.device, first.payload, hash_key)
    data = aggregate([(message.device, message.payload) for message in messages], hash_key)
    return Outgoing(str(first.number), first.device, data, hash_key)
