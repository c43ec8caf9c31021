"""What a stream may bring: shards that come and go, invalid records, and very many of them."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from consumer.archive.format import DEAD_LETTERS, READINGS, UNDELIVERABLE
from producer.fleet.order import Mix
from producer.fleet.simulate import Workload
from tests.faults.bench import Bench, NotHeld, Setup
from tests.faults.case import LEASES_EXPIRE, Case, nothing
from tests.faults.process_cases import kill_service
from tests.system.aggregates import aggregate, mixed_aggregate
from tests.unit.malformed import malformed

RESHARD = 60.0
"""Seconds until children are read: the KCL looks for them once a minute at the worst."""
POISONS = 10_000
BROKEN = 20
LARGEST = 1 << 20
AGGREGATES = Workload(devices=40, rate=320, via="kinesis", aggregate=7, mix=Mix(malformed=0.01))
"""Checkpoints stand within aggregates."""
FANOUT = Setup({"RETRIEVAL_MODE": "FANOUT"})
RESTARTS = "sensorstream_daemon_restarts_total"


def _bounds(shard: dict[str, dict[str, str]]) -> tuple[int, int]:
    bounds = shard["HashKeyRange"]
    return int(bounds["StartingHashKey"]), int(bounds["EndingHashKey"])


@contextmanager
def split(bench: Bench) -> Iterator[None]:
    name, shard = min(bench.open_shards().items())
    middle = sum(_bounds(shard)) // 2
    bench.client("kinesis").split_shard(
        StreamName=bench.stack.stream, ShardToSplit=name, NewStartingHashKey=str(middle)
    )
    yield


@contextmanager
def merge(bench: Bench) -> Iterator[None]:
    in_order = sorted(bench.open_shards(), key=lambda name: _bounds(bench.open_shards()[name]))
    bench.client("kinesis").merge_shards(
        StreamName=bench.stack.stream, ShardToMerge=in_order[0], AdjacentShardToMerge=in_order[1]
    )
    yield


@contextmanager
def up_and_down(bench: Bench) -> Iterator[None]:
    for count in (7, 3):
        bench.client("kinesis").update_shard_count(
            StreamName=bench.stack.stream, TargetShardCount=count, ScalingType="UNIFORM_SCALING"
        )
        if count == 7:
            bench.hold(15, "seven shards")
    yield


@contextmanager
def poison(bench: Bench) -> Iterator[None]:
    payloads = [data for data in malformed(POISONS, seed=bench.rng.randrange(10**6)) if data]
    for start in range(0, len(payloads), 500):
        bench.put(payloads[start : start + 500], f"poison-{start}")
    yield


def poison_kept(bench: Bench) -> None:
    for prefix in (READINGS, DEAD_LETTERS):
        found = [line for line in bench.lines(prefix) if (line["partitionKey"] or "").startswith("poison-")]
        places = {(line["shard"], line["sequenceNumber"]) for line in found}
        if not len(found) == len(places) >= POISONS - 10:  # an empty one is refused by Kinesis itself
            raise NotHeld(f"{POISONS} poison records, {len(found)} lines and {len(places)} records below {prefix}")


@contextmanager
def broken_aggregates(bench: Bench) -> Iterator[None]:
    """Records with which the KCL alone would lose all their neighbours."""
    for number in range(BROKEN):
        shard = bench.rng.choice(list(bench.open_shards().values()))
        hash_key = str(_bounds(shard)[0])
        bench.put([aggregate([b"%d" % number], "broken", hash_key, key_index=7)], "broken", hash_key)
        time.sleep(0.2)
    yield


def broken_kept(bench: Bench) -> None:
    found = list(bench.lines(UNDELIVERABLE))
    if len(found) != BROKEN:
        raise NotHeld(f"{len(found)} of {BROKEN} broken aggregates are dead letters")


@contextmanager
def mixed_aggregates(bench: Bench) -> Iterator[None]:
    """The KCL drops an aggregate of which a part belongs to another shard, by the rule that all its makers follow."""
    for _ in range(10):
        here, there = bench.rng.sample(list(bench.open_shards().values()), 2)
        keys = str(_bounds(here)[0]), str(_bounds(there)[0])
        bench.put([mixed_aggregate([b"one", b"two"], "mixed", keys)], "mixed", keys[0])
        bench.dropped += 1
        time.sleep(0.2)
    yield


@contextmanager
def flood(bench: Bench) -> Iterator[None]:
    """One device sends malformed payloads at ten times the rate of all the others together."""
    stop = threading.Event()
    sent = 0

    def send() -> None:
        nonlocal sent
        began = time.monotonic()
        while not stop.wait(max(0.0, began + sent / 3200 - time.monotonic())):
            bench.put([b"malformed payloads %d" % number for number in range(sent, sent + 400)], "flood")
            sent += 400

    thread = threading.Thread(target=send, name="flood")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    bench.view.say(f"flood: {sent:,} records of malformed payloads")


def large(device: str, number: int) -> bytes:
    """A good reading in a record of the largest size that Kinesis takes, partition key included."""
    now = time.time_ns() // 1_000_000
    document = {"name": device, "humidity": number, "timeStampEpoch": now + number, "pad": ""}
    missing = LARGEST - len(device) - len(json.dumps(document))
    return json.dumps(document | {"pad": "x" * missing}).encode()


@contextmanager
def large_records(bench: Bench) -> Iterator[None]:
    """As many as the stream takes: a MiB a second and shard."""
    starts = [str(_bounds(shard)[0]) for shard in bench.open_shards().values()]
    began = time.monotonic()
    for second in range(40):
        for index, start in enumerate(starts):
            bench.put([large(f"large-{index}", second)], f"large-{index}", start)
        time.sleep(max(0.0, began + second + 1 - time.monotonic()))
    yield


@contextmanager
def deregistered(bench: Bench) -> Iterator[None]:
    """The registered consumer goes while tasks use it: the KCL takes that for the end of every shard. The daemon that
    is started again registers it again, which the stack's own role may not."""
    kinesis = bench.client("kinesis")
    arn = kinesis.describe_stream_summary(StreamName=bench.stack.stream)["StreamDescriptionSummary"]["StreamARN"]
    for consumer in kinesis.list_stream_consumers(StreamARN=arn)["Consumers"]:
        kinesis.deregister_stream_consumer(ConsumerARN=consumer["ConsumerARN"])
    bench.until("the end is not believed", lambda: bench.worker.metric(RESTARTS, reason="FalseEnd") > 0, 60)
    yield


def none_ended(bench: Bench) -> None:
    pages = bench.client("dynamodb").scan(TableName=bench.local.outputs["ApplicationName"])
    if ended := [row["leaseKey"]["S"] for row in pages["Items"] if row.get("checkpoint") == {"S": "SHARD_END"}]:
        raise NotHeld(f"{', '.join(ended)}: checkpointed to the end, but open")


CASES = (
    Case("split", split, within=RESHARD),
    Case("split-under-aggregates", split, within=RESHARD, plan=AGGREGATES),
    Case("kill-under-aggregates", kill_service, plan=AGGREGATES),
    Case("merge", merge, within=RESHARD),
    Case("update-shard-count", up_and_down, within=RESHARD),
    Case("consumer-deregistered", deregistered, check=none_ended, within=LEASES_EXPIRE, setup=FANOUT),
    Case("poison", poison, check=poison_kept, drain=120),
    Case("crafted-aggregate", broken_aggregates, check=broken_kept),
    Case("mixed-shard-aggregate", mixed_aggregates),
    Case("flood", flood, seconds=20, drain=180),
    Case("large-records", large_records, drain=120),
    Case(
        "disorder",
        nothing,
        seconds=20,
        plan=Workload(devices=40, rate=320, via="kinesis", mix=Mix(late=0.3, disorder=0.3)),
    ),
    Case("same-keys", nothing, seconds=20, plan=Workload(devices=40, rate=320, via="kinesis", mix=Mix(duplicates=0.9))),
)
