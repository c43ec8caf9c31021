"""The whole stream against the whole archive, also what no ledger knows of."""

import base64
import hashlib

from consumer.archive.format import READINGS, UNDELIVERABLE
from tests.faults.bench import Bench

Place = tuple[str, str]
"""Shard and sequence number."""


def unaccounted(bench: Bench) -> list[Place]:
    """Stream records that are in no archive object and, where the KCL could not take them apart, in no dead letter."""
    archived = {(line["shard"], line["sequenceNumber"]) for line in bench.lines(READINGS)}
    given_up = {hashlib.sha256(base64.b64decode(line["data"])).digest() for line in bench.lines(UNDELIVERABLE)}
    return [
        place
        for place, data in records(bench)
        if place not in archived and hashlib.sha256(data).digest() not in given_up
    ]


def records(bench: Bench) -> list[tuple[Place, bytes]]:
    """Every record of every shard, closed ones too."""
    kinesis, found = bench.client("kinesis"), []
    for shard in kinesis.list_shards(StreamName=bench.stack.stream)["Shards"]:
        name = shard["ShardId"]
        where = {"StreamName": bench.stack.stream, "ShardId": name, "ShardIteratorType": "TRIM_HORIZON"}
        token = kinesis.get_shard_iterator(**where)["ShardIterator"]
        while token:
            answer = kinesis.get_records(ShardIterator=token, Limit=10_000)
            found += [((name, record["SequenceNumber"]), record["Data"]) for record in answer["Records"]]
            token = answer.get("NextShardIterator") if answer["Records"] else None
    return found
