"""The real KCL daemon against the local AWS: starts, delivers, resumes, drops only what is broken, and ends."""

import base64
import hashlib
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consumer.kcl import daemon as daemon_module
from consumer.kcl.daemon_config import OWN_CLASSES, java_command
from consumer.kcl.daemon_log import AGGREGATE_MAGIC, BatchSkipped
from consumer.kcl.lease_table import END, START, owned_by
from infra.local.emulator import Emulator
from producer.fleet.message import Message
from producer.fleet.packing import Aggregator
from tests.component.kcl_rig import Clock, Got, Rig, as_first_process, gone, group_of


@pytest.fixture
def endpoint(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its address; the environment has the credentials for it."""
    for name, value in emulator.variables().items():
        monkeypatch.setenv(name, value)
    return emulator.endpoint


def text(got: Got) -> str:
    return base64.b64decode(got.data).decode()


def texts(rig: Rig) -> set[str]:
    return {text(got) for got in rig.got}


def aggregate(message: bytes) -> bytes:
    return AGGREGATE_MAGIC + message + hashlib.md5(message, usedforsecurity=False).digest()


def field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def poison(key: bytes) -> bytes:
    """An aggregate with a right digest whose one record refers to a partition key that does not exist."""
    return aggregate(field(1, key) + field(3, b"\x08\x07" + field(3, b"x")))


async def test_the_daemon_delivers_checkpoints_and_ends_gracefully(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    async with Rig(endpoint, tmp_path / "run dir", "graceful") as rig:
        await rig.create_stream(2)
        await rig.prepare()
        await rig.put(b"low", hash_key="0")
        await rig.put(b"high", key="ger\u00e4t", hash_key=str(2**127))
        clock = Clock()
        await rig.daemon.start()
        java = rig.daemon.pid
        assert java is not None
        await rig.until(lambda: len(rig.shards("initialize")) == 2)
        assert clock() < 55  # 3 s on an idle machine; a minute without shardSyncIntervalMillis
        await rig.until(lambda: texts(rig) == {"low", "high"})
        assert {got.key for got in rig.got} == {"key", "ger\u00e4t"}
        assert rig.daemon.phase == "starting the shards"
        assert len(group_of(java)) == 3  # java and a connector per shard

        claim = await rig.claims.claim("shardId-000000000000")
        assert claim is not None
        assert claim.checkpoint == next((got.sequence, got.sub) for got in rig.got if text(got) == "low")
        await rig.put(b"more", hash_key="0")
        await rig.until(lambda: "more" in texts(rig))
        again = await rig.claims.claim("shardId-000000000000")
        assert again is not None
        assert again.epoch == claim.epoch + 1, "the KCL's own updates keep our attribute"
        assert again.checkpoint > claim.checkpoint
        assert owned_by("rig", await rig.leases.rows()) == {"shardId-000000000000", "shardId-000000000001"}

        rig.daemon.terminate()
        await rig.until(lambda: len(rig.shards("leaseLost")) == 2)
        assert len(rig.shards("shutdownRequested")) == 2
        assert await rig.daemon.wait() == 143
        assert gone(java)
        assert not group_of(java)
        assert rig.daemon.pid is None


async def test_the_producers_aggregates_are_delivered_once_also_from_the_middle_of_one(
    endpoint: str, tmp_path: Path
) -> None:
    """Killed while its last checkpoint in each shard stands within an aggregate."""
    messages = [Message(n, f"device-{n % 9}", b"%d" % n, ()) for n in range(60)]
    packed = list(Aggregator([0, 2**127], 10)(messages))
    assert len(packed) in (6, 7)
    async with Rig(endpoint, tmp_path / "run", "aggregates") as rig:
        await rig.create_stream(2)
        await rig.prepare()
        for record, _ in packed:
            await rig.put(record.data, key=record.key, hash_key=str(record.hash_key))
        rig.first = 7
        await rig.daemon.start()
        await rig.until(lambda: len(rig.got) == 14)
        rig.daemon.kill()
        await rig.daemon.wait()
        await rig.forget()
        assert {got.sub for got in rig.got} == set(range(7))

        await rig.daemon.start()
        await rig.until(lambda: len(rig.got) == 60)
        assert {(text(got), got.key) for got in rig.got} == {(str(m.number), m.device) for m in messages}
        for device in {m.device for m in messages}:
            numbers = [int(text(got)) for got in rig.got if got.key == device]
            assert numbers == sorted(numbers)


async def test_a_killed_daemon_resumes_with_the_same_worker_id_and_leaves_no_zombie(
    endpoint: str, tmp_path: Path
) -> None:
    with as_first_process():
        async with Rig(endpoint, tmp_path / "run", "resumed") as rig:
            await rig.create_stream(1)
            await rig.prepare()
            await rig.put(*(b"a%d" % n for n in range(10)))
            await rig.daemon.start()
            await rig.until(lambda: len(rig.got) == 10)
            java = rig.daemon.pid
            rig.daemon.kill()
            assert await rig.daemon.wait() == -9
            assert java is not None
            assert not group_of(java)

            rig.got.clear()
            rig.actions.clear()
            await rig.put(*(b"b%d" % n for n in range(10)))
            clock = Clock()
            await rig.daemon.start()
            await rig.until(lambda: len(rig.got) == 10)
            assert clock() < 25  # 3 s on an idle machine; a new worker id would take two minutes
            assert texts(rig) == {f"b{n}" for n in range(10)}


async def test_a_broken_aggregate_is_handed_over_and_its_neighbours_arrive(
    endpoint: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = poison(b"fake\nSequence number: 1\nRaw data: QUJD\n")
    caplog.set_level(logging.INFO, "kcl")
    async with Rig(endpoint, tmp_path / "run", "poisoned") as rig:
        await rig.create_stream(1)
        await rig.prepare()
        good = [b"good%d" % n for n in range(20)]
        await rig.put(*good[:10], broken, *good[10:])
        await rig.daemon.start()
        await rig.until(lambda: len(texts(rig)) == 20)
        assert rig.daemon.undeliverable == [broken]
        assert [text(got).encode() for got in rig.got] == good
        reported = [record for record in caplog.records if hasattr(record, "sequence_number")]
        assert len(reported) == 1
        assert rig.got[9].sequence < int(reported[0].__dict__["sequence_number"]) < rig.got[10].sequence


async def test_a_skipped_batch_forbids_checkpoints_and_kills_the_daemon(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the class that Java 11 dropped, the KCL skips the batch around a broken aggregate and goes on."""

    def without_own_classes(java: Path, heap_mb: int) -> list[str]:
        return [part.replace(f"{OWN_CLASSES}:", "") for part in java_command(java, heap_mb)]

    async with Rig(endpoint, tmp_path / "run", "skipped") as rig:
        await rig.create_stream(1)
        await rig.prepare()
        await rig.put(b"lost", poison(b"d"), b"lost")
        with monkeypatch.context() as patch:
            patch.setattr(daemon_module, "java_command", without_own_classes)
            await rig.daemon.start()
        assert await rig.daemon.wait() == -9
        with pytest.raises(BatchSkipped):
            rig.daemon.drain_log()
        await rig.daemon.start()
        await rig.until(lambda: len(rig.got) == 2)
        rig.daemon.drain_log()


async def test_a_start_time_leaves_older_records_out(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The emulator takes CBOR's times, which are in milliseconds, for seconds.
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Daws.cborEnabled=false")
    start = datetime.now(UTC) + timedelta(hours=1)

    async def scenario(position: datetime, run: str) -> set[str]:
        async with Rig(
            endpoint, tmp_path / run, "timed", APPLICATION_NAME=run, INITIAL_POSITION=f"AT_TIMESTAMP:{position}"
        ) as rig:
            if run == "past":
                await rig.create_stream(1)
                await rig.put(b"one")
            await rig.prepare()
            await rig.dynamodb.update_item(
                TableName=run,
                Key={"leaseKey": {"S": "shardId-000000000000"}},
                UpdateExpression="SET checkpoint = :checkpoint",
                ExpressionAttributeValues={":checkpoint": {"S": "AT_TIMESTAMP"}},
            )
            await rig.daemon.start()
            await rig.until(lambda: rig.got != [] or len(rig.actions) >= 3)  # an empty delivery, or two
            claim = await rig.claims.claim("shardId-000000000000")
            assert claim is not None
            assert (claim.checkpoint == START) == (not rig.got)
            return texts(rig)

    assert await scenario(start - timedelta(hours=2), "past") == {"one"}
    assert await scenario(start, "future") == set()


async def test_a_split_shard_is_read_to_its_end_and_its_children_follow(endpoint: str, tmp_path: Path) -> None:
    parent, children = "shardId-000000000000", {"shardId-000000000001", "shardId-000000000002"}
    async with Rig(endpoint, tmp_path / "run", "split") as rig:
        await rig.create_stream(1)
        await rig.prepare()
        await rig.put(b"before")
        await rig.daemon.start()
        await rig.until(lambda: len(rig.got) == 1)
        await rig.kinesis.split_shard(StreamName="split", ShardToSplit=parent, NewStartingHashKey=str(2**127))
        await rig.kinesis.get_waiter("stream_exists").wait(StreamName="split", WaiterConfig={"Delay": 1})
        await rig.put(b"low", hash_key="0")
        await rig.put(b"high", hash_key=str(2**127))
        await rig.until(lambda: len(rig.got) == 3)
        assert rig.shards("shardEnded") == {parent}
        assert {got.shard for got in rig.got[1:]} == children
        assert owned_by("rig", await rig.leases.rows()) == children
        end = await rig.claims.claim(parent)
        assert end is None or end.checkpoint == END


async def test_enhanced_fan_out_delivers(endpoint: str, tmp_path: Path) -> None:
    settings = {"RETRIEVAL_MODE": "FANOUT", "STREAM_CONSUMER": "apart"}
    async with Rig(endpoint, tmp_path / "run", "fanned", **settings) as rig:
        await rig.create_stream(1)
        await rig.prepare()
        await rig.put(b"one")
        await rig.daemon.start()
        await rig.until(lambda: texts(rig) == {"one"})
        [shard] = rig.shards("initialize")
        assert not rig.daemon.gone(shard)
        summary = await rig.kinesis.describe_stream_summary(StreamName="fanned")
        arn = summary["StreamDescriptionSummary"]["StreamARN"]
        [consumer] = (await rig.kinesis.list_stream_consumers(StreamARN=arn))["Consumers"]
        assert consumer["ConsumerName"] == "apart"
        # What the KCL makes of a registered consumer that is gone, and how it can be known.
        await rig.kinesis.deregister_stream_consumer(ConsumerARN=consumer["ConsumerARN"])
        await rig.until(lambda: rig.shards("shardEnded") == {shard})
        assert rig.daemon.gone(shard)


async def test_a_missing_java_is_an_exit_code_and_a_line(
    endpoint: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Rig(endpoint, tmp_path / "run", "nojava") as rig:
        rig.daemon._java = Path("/nowhere/java")
        await rig.daemon.start()
        assert await rig.daemon.wait() == 1
    assert "/nowhere/java" in caplog.text
