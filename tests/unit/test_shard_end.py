"""Whether a shard has ended, by what Kinesis lists; and that nothing else ends one."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from consumer.aws import retry
from consumer.aws.codes import code
from consumer.pipeline import shard_end as ending
from consumer.pipeline.ownership import Event, OwnershipLost
from consumer.pipeline.reads import Reads
from consumer.pipeline.shard_end import ATTEMPTS, Ends, FalseEnd, Verdict, verdict
from consumer.telemetry.metrics import Metrics
from tests.unit.fakes import SHARD, FakeStream, error, listed

OLDER, NEWER, NEWEST = (f"shardId-{number:012d}" for number in (5, 7, 12))
ASKED = "shardId-000000000006"
NOTHING: Callable[[], None] = lambda: None  # noqa: E731


@pytest.mark.parametrize(
    ("shards", "expected"),
    [
        pytest.param([listed(OLDER), listed(ASKED, "9"), listed(NEWER)], Verdict.CLOSED, id="closed"),
        pytest.param([listed(ASKED, "9")], Verdict.CLOSED, id="closed, its children not yet listed"),
        pytest.param([listed(OLDER), listed(ASKED), listed(NEWER)], Verdict.OPEN, id="open"),
        pytest.param([{"ShardId": ASKED}], Verdict.OPEN, id="a listing that says nothing of its end"),
        pytest.param([listed(OLDER), listed(NEWER)], Verdict.EXPIRED, id="expired"),
        pytest.param([listed(NEWEST)], Verdict.EXPIRED, id="expired, and its children too"),
        pytest.param([listed(OLDER, "3")], Verdict.UNKNOWN, id="a stream created again, with fewer shards"),
        pytest.param([], Verdict.UNKNOWN, id="nothing listed"),
    ],
)
def test_an_end_is_what_kinesis_lists(shards: list[dict[str, Any]], expected: Verdict) -> None:
    assert verdict(ASKED, shards) is expected


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "ATTEMPT_INTERVAL", 0.0)
    monkeypatch.setattr(retry, "delay", lambda attempt: 0.0)


async def confirm(stream: FakeStream, guard: Callable[[], None] = NOTHING, reads: Reads | None = None) -> Metrics:
    metrics = Metrics()
    ends = Ends(stream.list_shards, "stream", lambda shard: stream.gone, reads or Reads(), metrics)
    await ends.confirm(SHARD, guard)
    return metrics


async def test_all_pages_are_looked_at() -> None:
    stream = FakeStream()
    stream.shards = [listed(NEWER), listed(OLDER), listed(SHARD, "17")]
    await confirm(stream)
    assert stream.requests == 3


@pytest.mark.parametrize("shards", [[listed(SHARD)], []], ids=["open", "unknown"])
async def test_a_shard_that_has_not_ended_is_asked_for_more_than_once(shards: list[dict[str, Any]]) -> None:
    stream = FakeStream()
    stream.shards = shards or [listed(SHARD)]
    if not shards:
        stream.shards = [listed("shardId-")]  # of no later number
    with pytest.raises(FalseEnd, match=SHARD):
        await confirm(stream)
    assert stream.requests == ATTEMPTS


async def test_the_end_of_a_closed_shard_that_kinesis_did_not_know_is_not_believed() -> None:
    """It may have records that no worker has read: it was closed when its registered consumer was gone already."""
    stream = FakeStream()
    await confirm(stream)
    stream.gone = True
    with pytest.raises(FalseEnd, match="lists as closed"):
        await confirm(stream)
    stream.shards = [listed(NEWER)]
    await confirm(stream)  # expired: there is nothing left to be read


@pytest.mark.parametrize("left_out", range(1, ATTEMPTS + 1))
async def test_a_shard_that_only_some_lists_leave_out_has_not_expired(left_out: int) -> None:
    stream = FakeStream()
    stream.gone = True
    stream.shards = [listed(NEWER)]

    def list_again() -> None:
        stream.shards = [listed(NEWER)] if stream.requests == left_out else [listed(SHARD)]

    stream.fail = list_again
    with pytest.raises(FalseEnd, match="lists as open"):
        await confirm(stream)


async def test_a_shard_has_expired_when_no_list_shows_it() -> None:
    stream = FakeStream()
    stream.shards = [listed(NEWER)]
    await confirm(stream)
    assert stream.requests == ATTEMPTS


async def test_a_list_that_is_older_than_the_reshard_is_no_false_end() -> None:
    stream = FakeStream()
    stream.shards = [listed(SHARD)]

    def reshard() -> None:
        if stream.requests == ATTEMPTS:
            stream.shards = [listed(SHARD, "17"), listed(NEWER)]

    stream.fail = reshard
    await confirm(stream)


FAILURES = [
    (error("AccessDeniedException", "ListShards"), "access-denied"),
    (error("LimitExceededException", "ListShards"), "throttled"),
    (error("ThrottlingException", "ListShards"), "throttled"),
    (error("ResourceNotFoundException", "ListShards"), "not-found"),
    (error("ResourceInUseException", "ListShards"), "other"),
    (error("ExpiredNextTokenException", "ListShards"), "other"),
    (error("InternalFailure", "ListShards"), "other"),
    (error("ExpiredTokenException", "ListShards"), "credentials"),
    (EndpointConnectionError(endpoint_url="https://kinesis"), "network"),
    (TimeoutError(), "network"),
]


@pytest.mark.parametrize(("failure", "reason"), FAILURES, ids=[code(failure) for failure, _ in FAILURES])
async def test_as_long_as_kinesis_has_no_answer_it_is_asked_again(failure: Exception, reason: str) -> None:
    """And the shard counts as one that cannot be read, for the reason that Kinesis gives."""
    stream, reads = FakeStream(), Reads()
    reads.hold([SHARD])

    def fail() -> None:
        if stream.requests < 60:
            raise failure

    stream.fail = fail
    metrics = await confirm(stream, reads=reads)
    [unread] = reads.unread(seconds=-1)
    assert (unread.shard, unread.reason) == (SHARD, reason)
    assert stream.requests == 61  # two pages in the end
    assert metrics.retries.labels("stream", code(failure))._value.get() == 59


async def test_asking_ends_with_the_lease() -> None:
    stream = FakeStream()

    def gone() -> None:
        if stream.requests == 3:
            raise OwnershipLost(Event.REPLACED)

    def fail() -> None:
        raise error("ThrottlingException")

    stream.fail = fail
    with pytest.raises(OwnershipLost):
        await confirm(stream, gone)
    assert stream.requests == 3
