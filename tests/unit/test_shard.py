"""The hot path by transcripts: what the daemon says, and what must then be durable, checkpointed and answered."""

import asyncio
import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from consumer.archive.writer import RotationPolicy
from consumer.aws import retry
from consumer.kcl.claims import Claim
from consumer.kcl.protocol import CheckpointRefused, ConversationEnded, ProtocolError
from consumer.pipeline import shard_end as ending
from consumer.pipeline.shard_end import FalseEnd
from consumer.telemetry.log import JsonFormatter
from tests.unit.fakes import SHARD, T0, FakeDaemon, World, error, listed, record


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "MAX_DELAY", 0.001)


def sequence(world: World) -> list[str]:
    return [line["sequenceNumber"] for line in world.s3.lines()]


async def test_rows_are_durable_at_the_answer_and_the_checkpoint_waits_for_the_archive_object(
    daemon: FakeDaemon, world: World
) -> None:
    await daemon.deliver([record(1), record(2)])
    assert world.dynamodb.values() == ["1", "2"]
    assert daemon.checkpoints == []
    await daemon.deliver([record(3), record(4), record(5)])
    assert daemon.checkpoints == [(4, 0)]
    assert sequence(world) == ["1", "2", "3", "4"]


async def test_an_archive_object_ends_where_the_records_say_whatever_the_deliveries() -> None:
    async def objects(sizes: list[int]) -> set[str]:
        async with FakeDaemon(world := World()) as daemon:
            await daemon.start()
            number = 1
            for size in sizes:
                await daemon.deliver([record(n) for n in range(number, number + size)])
                number += size
            return set(world.s3.objects)

    assert await objects([12]) == await objects([1] * 12) == await objects([5, 7])


async def test_a_record_that_arrived_after_the_window_starts_the_next_archive_object() -> None:
    async with FakeDaemon(world := World(RotationPolicy(100, 1 << 20, 1_000))) as daemon:
        await daemon.start()
        late = record(2)["approximateArrivalTimestamp"] + 5_000
        await daemon.deliver([record(1), record(2), record(3, arrival=late)], behind=5)
        assert daemon.checkpoints == [(2, 0)]
        assert sequence(world) == ["1", "2"]


async def test_an_idle_shard_closes_its_archive_object_once_its_window_is_past(daemon: FakeDaemon) -> None:
    await daemon.deliver([record(1)], behind=7)
    await daemon.deliver([], behind=7)
    assert daemon.checkpoints == []  # not caught up
    await daemon.deliver([], behind=0)
    assert daemon.checkpoints == [(1, 0)]


async def test_records_at_or_below_the_checkpoint_are_skipped() -> None:
    world = World()
    world.leases.checkpoint = (2, 0)
    async with FakeDaemon(world) as daemon:
        await daemon.start()
        await daemon.deliver([record(n) for n in range(1, 7)])
        assert sequence(world) == ["3", "4", "5", "6"]
        assert world.dynamodb.values() == ["3", "4", "5", "6"]


async def test_a_crash_before_the_checkpoint_replays_to_the_same_object() -> None:
    world = World()
    async with FakeDaemon(world) as daemon:
        await daemon.start()
        daemon.errors = ["ShutdownException"]
        await daemon.deliver([record(n) for n in range(1, 5)])
    keys = set(world.s3.objects)
    async with FakeDaemon(world) as daemon:
        await daemon.start()
        await daemon.deliver([record(n) for n in range(1, 5)])
        assert daemon.checkpoints == [(4, 0)]
    assert set(world.s3.objects) == keys
    assert sequence(world) == ["1", "2", "3", "4"]


async def test_a_longer_object_of_an_earlier_owner_is_adopted() -> None:
    world = World(RotationPolicy(6, 1 << 20, 60_000))
    async with FakeDaemon(world) as daemon:
        await daemon.start()
        daemon.errors = ["ShutdownException"]
        await daemon.deliver([record(n) for n in range(1, 7)])
    world.cut = RotationPolicy(4, 1 << 20, 60_000)
    async with FakeDaemon(world) as daemon:
        await daemon.start()
        await daemon.deliver([record(n) for n in range(1, 6)])
        assert daemon.checkpoints == []
        await daemon.deliver([record(6), record(7)])
        assert daemon.checkpoints == [(6, 0)]
    assert sequence(world) == [str(n) for n in range(1, 7)]


def compressions(world: World) -> list[str]:
    return [key.rpartition(".")[2] for key in sorted(world.s3.objects, key=lambda key: key.rpartition("/")[2])]


async def test_the_setting_of_compression_takes_effect_behind_an_owners_own_checkpoint() -> None:
    world = World(RotationPolicy(2, 1 << 20, 60_000))
    world.leases.row = "gzip"
    async with FakeDaemon(world) as daemon:
        await daemon.start()
        await daemon.deliver([record(n) for n in range(1, 7)])
    assert compressions(world) == ["gz", "zst", "zst"]
    assert sequence(world) == [str(n) for n in range(1, 7)]


async def test_owners_of_different_settings_write_an_object_to_one_key() -> None:
    """Each is lost between its object and its checkpoint."""
    world = World(RotationPolicy(2, 1 << 20, 60_000))
    for world.leases.compression in ("gzip", "zstd", "gzip"):
        async with FakeDaemon(world) as daemon:
            await daemon.start()
            daemon.errors = ["ShutdownException"]
            await daemon.deliver([record(1), record(2)])
    assert compressions(world) == ["zst"]
    assert sequence(world) == ["1", "2"]


async def test_an_owner_that_finds_a_newer_one_at_a_change_of_compression_writes_nothing_more() -> None:
    world = World(RotationPolicy(2, 1 << 20, 60_000))
    world.leases.row = "gzip"
    async with FakeDaemon(world) as daemon:
        await daemon.start()
        world.before_checkpoint = lambda: setattr(world.leases, "epoch", 99)
        await daemon.deliver([record(n) for n in range(1, 5)])
        assert daemon.checkpoints == [(2, 0)]
        assert not daemon.shard.ownership.live
    assert compressions(world) == ["gz"]
    assert world.leases.row == "gzip"


async def replace(zombie: FakeDaemon, owner: FakeDaemon) -> None:
    """The owner takes the shard while the zombie has records 1 and 2 open, and stores 1 to 4; the zombie goes on."""
    await zombie.start()
    await zombie.deliver([record(1), record(2)])
    await owner.start()
    await owner.deliver([record(n) for n in range(1, 5)])
    await zombie.deliver([record(n) for n in range(3, 6)])


async def test_a_zombie_is_fenced_and_writes_nothing_more() -> None:
    world = World()
    async with FakeDaemon(world) as zombie, FakeDaemon(world) as owner:
        await replace(zombie, owner)
        await zombie.deliver([record(n) for n in range(6, 12)])
        assert owner.checkpoints == [(4, 0)]
        assert zombie.checkpoints == []
        assert not zombie.shard.ownership.live
        await zombie.do("leaseLost")
    assert sequence(world) == ["1", "2", "3", "4"]


@pytest.fixture
def events() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What the consumer logs, as JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("consumer")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(before)


def ended(world: World) -> dict[str, float]:
    """How often ownership ended, by reason."""
    [family] = world.metrics.ownership_ended.collect()
    samples = [sample for sample in family.samples if sample.name.endswith("_total")]
    return {sample.labels["reason"]: sample.value for sample in samples if sample.value}


async def test_losing_a_shard_is_logged_and_counted_with_its_reason(events: Callable[[], list[dict[str, Any]]]) -> None:
    world = World()
    async with FakeDaemon(world) as zombie, FakeDaemon(world) as owner:
        await replace(zombie, owner)
        assert ended(world) == {"fenced": 1}
        await zombie.do("leaseLost")
        await owner.do("shutdownRequested")
    assert ended(world) == {"fenced": 1, "handed-over": 1}
    ends = [event for event in events() if event["message"] == "ownership ended"]
    assert [(event["reason"], event["level"]) for event in ends] == [("fenced", "WARNING"), ("handed-over", "INFO")]


async def test_every_line_of_the_log_about_a_shard_names_it(
    events: Callable[[], list[dict[str, Any]]], daemon: FakeDaemon, world: World
) -> None:
    """Those of the sinks too."""
    failures = iter([error("ThrottlingException")])

    def fail() -> None:
        for failure in failures:
            raise failure

    world.dynamodb.fail = fail
    await daemon.deliver([record(n) for n in range(1, 5)])
    await daemon.end()
    assert {"consumer.aws.retry", "consumer.pipeline.shard"} <= {event["logger"] for event in events()}
    assert {event.get("shard") for event in events()} == {SHARD}


@pytest.mark.parametrize(
    ("reason", "action"), [("lease-lost", "leaseLost"), ("shard-end", "shardEnded"), ("conversation-ended", "")]
)
async def test_a_shard_that_is_given_up_is_counted_with_its_reason(
    daemon: FakeDaemon, world: World, reason: str, action: str
) -> None:
    if action:
        await daemon.do(action)
    await daemon.end()
    assert ended(world) == {reason: 1}


async def test_a_refused_claim_and_a_suspended_process_are_counted_with_their_reason() -> None:
    async with FakeDaemon(world := World()) as daemon:
        world.leases.refuse = True
        await daemon.start()
        assert ended(world) == {"claim-refused": 1}
    async with FakeDaemon(world := World()) as daemon:
        await daemon.start()
        world.is_running = False
        await daemon.deliver([record(1)])
        assert ended(world) == {"stalled": 1}
    async with FakeDaemon(world := World()) as daemon:
        await daemon.start()
        daemon.errors = ["ShutdownException"]
        await daemon.deliver([record(n) for n in range(1, 5)])
        assert ended(world) == {"checkpoint-refused": 1}
    async with FakeDaemon(world := World()) as daemon:
        await daemon.start()
        await daemon.shard.revoke()
        assert ended(world) == {"replaced": 1}


async def test_a_refused_claim_writes_nothing() -> None:
    world = World()
    world.leases.refuse = True
    async with FakeDaemon(world) as daemon:
        await daemon.start()
        await daemon.deliver([record(n) for n in range(1, 9)])
    assert not world.s3.objects
    assert not world.dynamodb.rows


async def test_after_standing_still_nothing_is_written(daemon: FakeDaemon, world: World) -> None:
    world.is_running = False
    await daemon.deliver([record(n) for n in range(1, 9)])
    await daemon.end()
    assert not world.s3.objects
    assert not world.dynamodb.rows


async def test_a_revoke_waits_for_what_is_under_way(daemon: FakeDaemon, world: World) -> None:
    tries = 0
    tried = asyncio.Event()

    def throttle() -> None:
        nonlocal tries
        tries += 1
        tried.set()
        raise error("ThrottlingException")

    world.dynamodb.fail = throttle
    delivery = asyncio.create_task(daemon.deliver([record(1)]))
    await tried.wait()
    await daemon.shard.revoke()
    seen = tries
    await delivery
    assert tries == seen
    await daemon.end()
    assert not world.dynamodb.rows


async def test_a_bad_record_stands_in_archive_object_and_dead_letters_and_stops_nothing(
    daemon: FakeDaemon, world: World
) -> None:
    await daemon.deliver([record(1), record(2, b"\xff\x00"), record(3), record(4)])
    assert daemon.checkpoints == [(4, 0)]
    await daemon.end()
    assert sequence(world) == ["1", "2", "3", "4"]
    dead = world.s3.lines("dead-letters/")
    assert [(line["sequenceNumber"], line["data"], line["rejects"][0]["reason"]) for line in dead] == [
        ("2", "/wA=", "not-utf8")
    ]
    assert world.dynamodb.values() == ["1", "3", "4"]


async def test_shutdown_requested_commits_the_open_archive_object(daemon: FakeDaemon, world: World) -> None:
    await daemon.deliver([record(1)])
    await daemon.do("shutdownRequested")
    assert daemon.checkpoints == [(1, 0)]
    await daemon.do("leaseLost")
    daemon.close()
    await daemon.task
    assert sequence(world) == ["1"]


async def test_a_shard_end_is_checkpointed_without_numbers_after_the_last_archive_object(
    daemon: FakeDaemon, world: World
) -> None:
    await daemon.deliver([record(1)])
    daemon.errors = ["ThrottlingException", "ThrottlingException"]
    await daemon.do("shardEnded")
    assert daemon.checkpoints == [(1, 0), None]
    await daemon.end()
    assert sequence(world) == ["1"]


async def test_a_shard_end_is_never_answered_by_who_lost_the_shard(daemon: FakeDaemon, world: World) -> None:
    world.is_running = False
    with pytest.raises(ProtocolError):
        await daemon.do("shardEnded")


async def test_what_a_revoked_conversation_is_delivered_does_not_count_as_read() -> None:
    """Else nothing would notice that the lease is ours and that no one serves it."""
    async with FakeDaemon(world := World()) as daemon:
        world.reads.hold([SHARD])
        await daemon.start()
        await daemon.deliver([record(1)])
        await daemon.shard.revoke()
        before = world.reads.age(SHARD)
        await daemon.deliver([record(2)], behind=1)
        assert world.reads.age(SHARD) > before
        assert world.dynamodb.values() == ["1"]


async def test_the_end_of_a_shard_that_kinesis_lists_as_open_is_not_checkpointed(
    daemon: FakeDaemon, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such is what the KCL makes of a registered consumer that is gone. The daemon starts again, and reads on."""
    monkeypatch.setattr(ending, "ATTEMPT_INTERVAL", 0.0)
    world.stream.shards = [listed(SHARD)]
    await daemon.deliver([record(1)])
    with pytest.raises(FalseEnd, match=f"{SHARD}, which Kinesis lists as open"):
        await daemon.do("shardEnded")
    assert daemon.checkpoints == []
    await daemon.end()
    assert not world.s3.objects


async def test_a_shard_whose_end_kinesis_cannot_confirm_waits_without_an_answer() -> None:
    world, asked = World(), asyncio.Event()

    def denied() -> None:
        asked.set()
        raise error("AccessDeniedException", "ListShards")

    async with FakeDaemon(world) as waiting, FakeDaemon(world) as other:
        world.stream.fail = denied
        await waiting.start()
        end = asyncio.create_task(waiting.do("shardEnded"))
        await asked.wait()
        await other.start()
        await other.deliver([record(number) for number in range(4)])
        assert other.checkpoints == [(3, 0)], "only that shard waits"
        assert not end.done()
        world.stream.fail = lambda: None
        await end
        assert waiting.checkpoints == [None]


async def test_lease_lost_drops_the_open_archive_object(daemon: FakeDaemon, world: World) -> None:
    await daemon.deliver([record(1)])
    await daemon.do("leaseLost")
    assert daemon.checkpoints == []
    await daemon.end()
    assert not world.s3.objects


@pytest.mark.parametrize(
    "name", ["ThrottlingException", "KinesisClientLibDependencyException", "InvalidStateException"]
)
async def test_a_passing_checkpoint_error_is_tried_again(daemon: FakeDaemon, name: str) -> None:
    daemon.errors = [name, name]
    await daemon.deliver([record(n) for n in range(1, 5)])
    assert daemon.checkpoints == [(4, 0)]


async def test_a_fatal_checkpoint_error_ends_the_conversation_unanswered(daemon: FakeDaemon) -> None:
    daemon.errors = ["IllegalArgumentException"]
    with pytest.raises(CheckpointRefused):
        await daemon.deliver([record(n) for n in range(1, 5)])


async def test_a_possibly_skipped_batch_is_never_checkpointed(daemon: FakeDaemon, world: World) -> None:
    def skipped() -> None:
        raise LookupError("incoming data has been skipped")

    world.before_checkpoint = skipped
    with pytest.raises(LookupError):
        await daemon.deliver([record(n) for n in range(1, 5)])
    assert daemon.checkpoints == []
    assert world.s3.objects == {}  # it might begin behind the batch that is missing


async def test_a_conversation_that_is_revoked_while_it_claims_never_writes() -> None:
    async with FakeDaemon(world := World()) as daemon:
        claim, asked, answered = world.leases.claim, asyncio.Event(), asyncio.Event()

        async def slow(shard: str) -> Claim | None:
            asked.set()
            await answered.wait()
            return await claim(shard)

        world.leases.claim = slow  # type: ignore[method-assign]
        started = asyncio.create_task(daemon.start())
        await asked.wait()
        ownership_lost = asyncio.create_task(daemon.shard.revoke())
        await asyncio.sleep(0)
        answered.set()
        await asyncio.gather(started, ownership_lost)
        await daemon.deliver([record(1)])
        assert (daemon.shard.ownership.live, world.dynamodb.rows) == (False, {})


async def test_the_end_of_the_pipe_before_the_last_word_is_a_failure(daemon: FakeDaemon) -> None:
    daemon.close()
    with pytest.raises(ConversationEnded):
        await daemon.task


async def test_throttled_and_unprocessed_rows_are_written_in_the_end() -> None:
    async with FakeDaemon(world := World(RotationPolicy(1000, 1 << 20, 60_000))) as daemon:
        await daemon.start()
        failures = iter([error("ProvisionedThroughputExceededException"), OSError("reset"), TimeoutError()])

        def fail() -> None:
            for failure in failures:
                raise failure

        world.dynamodb.fail = fail
        world.dynamodb.unprocessed = lambda items: items[1:] if world.dynamodb.requests % 2 else []
        await daemon.deliver([record(n) for n in range(1, 61)])
        assert len(world.dynamodb.rows) == 60


async def test_of_two_readings_with_one_key_the_later_wins_and_the_archive_keeps_both() -> None:
    async with FakeDaemon(world := World(RotationPolicy(2, 1 << 20, 60_000))) as daemon:
        await daemon.start()
        both = [b'{"name":"d","humidity":%d,"timeStampEpoch":1767268800000}' % value for value in (20, 21)]
        await daemon.deliver([record(1, both[0]), record(2, both[1])])
        assert world.dynamodb.values() == ["21"]
        assert sequence(world) == ["1", "2"]
        assert world.metrics.superseded._value.get() == 1.0


async def test_a_lost_answer_of_the_archive_is_committed_not_doubled(daemon: FakeDaemon, world: World) -> None:
    answers = iter([OSError("connection reset")])

    def lose(key: str) -> None:
        for failure in answers:
            raise failure

    world.s3.lose = lose
    await daemon.deliver([record(n) for n in range(1, 5)])
    assert daemon.checkpoints == [(4, 0)]
    await daemon.end()
    assert sequence(world) == ["1", "2", "3", "4"]
    assert world.metrics.fence.labels("committed")._value.get() == 1.0


async def test_a_delivery_that_cannot_be_written_shows_its_age(daemon: FakeDaemon, world: World) -> None:
    """The KCL's own lag stands still while a delivery is unanswered."""
    ages = []

    def fail() -> None:
        ages.append(daemon.shard.oldest_age())
        if len(ages) == 1:
            raise error("ResourceNotFoundException")

    world.dynamodb.fail = fail
    await daemon.deliver([record(1, arrival=T0), record(2)])
    assert ages[0] == pytest.approx(time.time() - T0 / 1000, abs=20)
    assert daemon.shard.oldest_age() >= ages[0]  # the open archive object's now
    await daemon.deliver([record(3), record(4)])
    assert daemon.shard.oldest_age() == 0


async def test_a_shard_that_has_ended_waits_for_the_archive_and_not_for_a_read(
    daemon: FakeDaemon, world: World
) -> None:
    """An outage of S3 must not look like a daemon that says nothing."""
    await daemon.deliver([record(1), record(2)])
    ages = []

    def fail(operation: str, key: str) -> None:
        world.reads._shards[SHARD].read_at -= 1000
        ages.append(world.reads.age(SHARD))
        if len(ages) == 1:
            raise error("SlowDown")

    world.s3.fail = fail
    await daemon.do("shardEnded")
    assert ages[:2] == [0, 0]


async def test_a_record_of_unknown_arrival_is_as_old_as_its_archive_object_is_open(daemon: FakeDaemon) -> None:
    """Not as old as the epoch: no alarm on its age may ring."""
    await daemon.deliver([record(1) | {"approximateArrivalTimestamp": None}], behind=5)
    assert daemon.shard.oldest_age() == pytest.approx(daemon.shard.archive_object_age(), abs=1)
    assert daemon.shard.open_records() == 1
    assert daemon.shard.oldest_arrival() is None


async def test_what_a_fenced_conversation_gets_is_not_read() -> None:
    """The lease may still be ours, and then the watchdog has to notice that no one works on the shard."""
    world = World()
    world.leases.refuse = True
    async with FakeDaemon(world) as daemon:
        await daemon.start()
        world.reads.hold({SHARD})
        await daemon.deliver([record(1)])
        assert not world.reads.ever
        assert not world.dynamodb.rows
        assert world.reads.age(SHARD) > 0
