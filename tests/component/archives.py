"""Archive objects as the consumer's code writes them, put into a stack's bucket without a stream before it."""

import itertools
from collections.abc import Iterable, Iterator

from consumer.archive.compression import Compression
from consumer.archive.format import READINGS, ArchiveObject
from consumer.archive.writer import ObjectWriter, RotationPolicy
from consumer.payload.decode import decode
from consumer.record import Record
from producer.aws.stack import Stack

SHARD = "shardId-000000000000"
HOUR = 3_600_000


def records(payloads: Iterable[tuple[int, str, bytes]], first: int = 10**55) -> list[Record]:
    """Of arrival (ms since the epoch), partition key and data, in the stream's order."""
    return [Record(data, key, str(first + n), 0, arrival) for n, (arrival, key, data) in enumerate(payloads)]


def archived(found: list[Record], rotation: RotationPolicy) -> Iterator[ArchiveObject]:
    """Each hour's records in objects of their own, zstd and gzip in turns."""
    compressions: Iterator[Compression] = itertools.cycle(("zstd", "gzip"))
    for _, of_hour in itertools.groupby(found, lambda record: (record.approximate_arrival_timestamp or 0) // HOUR):
        items = [(record.position, record, decode(record.data)) for record in of_hour]
        while items:
            writer = ObjectWriter(SHARD, 7, next(compressions), rotation, items[0][0], items[0][1])
            items = items[writer.take(items) :]
            yield writer.close()


def put(stack: Stack, found: list[Record], rotation: RotationPolicy) -> list[ArchiveObject]:
    """What was put below readings/."""
    s3 = stack.session.client("s3")
    made = list(archived(found, rotation))
    for each in made:
        s3.put_object(Bucket=stack.bucket, Key=READINGS + each.key, Body=each.body, Metadata=each.metadata.metadata())
    return made
