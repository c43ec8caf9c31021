"""Records sent again: in order for each key whatever the stream refuses, and no faster than asked for."""

import random
from typing import Any
from unittest import mock

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.aws import put_records
from producer.aws.errors import UserError
from producer.aws.pace import Pace
from producer.aws.put_records import Outgoing, Sender


class Stream:
    """Takes the records of a request that `refuses` does not name."""

    def __init__(self, refuses: Any = lambda data: False) -> None:
        self.refuses = refuses
        self.taken: list[tuple[str, bytes]] = []
        self.requests: list[int] = []

    def put_records(self, *, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
        self.requests.append(len(Records))
        answers: list[dict[str, str]] = []
        for record in Records:
            if self.refuses(record["Data"]):
                answers.append({"ErrorCode": "ProvisionedThroughputExceededException"})
            else:
                self.taken.append((record["PartitionKey"], record["Data"]))
                answers.append({"ShardId": "s", "SequenceNumber": str(len(self.taken))})
        return {"Records": answers}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(put_records.time, "sleep", lambda seconds: None)  # type: ignore[attr-defined]


def sender(stream: Stream, pace: Pace | None = None) -> Sender:
    with mock.patch.object(put_records, "connect", return_value=stream):
        return Sender(boto3.Session(), "stream", pace or Pace(None))


def outgoing(keys: str) -> list[Outgoing]:
    return [Outgoing(str(n), key, b"%d" % n) for n, key in enumerate(keys)]


@given(st.text("abc", max_size=60), st.integers(0, 2**32))
def test_each_key_keeps_its_order_whatever_is_refused(keys: str, seed: int) -> None:
    rng = random.Random(seed)
    stream = Stream(lambda data: rng.random() < 0.4)
    sent = list(sender(stream).send(outgoing(keys)))
    assert sorted(int(s.name) for s in sent) == list(range(len(keys)))
    for key in "abc":
        assert [d for k, d in stream.taken if k == key] == [b"%d" % n for n, k in enumerate(keys) if k == key]


def test_different_keys_share_a_request() -> None:
    stream = Stream()
    list(sender(stream).send(Outgoing(str(n), str(n % 700), b"x") for n in range(1400)))
    assert sum(stream.requests) == 1400
    assert len(stream.requests) <= 4
    assert max(stream.requests) == 500


def test_a_request_keeps_within_the_services_size() -> None:
    stream = Stream()
    list(sender(stream).send(Outgoing(str(n), str(n), bytes(1 << 20)) for n in range(12)))
    assert stream.requests == [4, 4, 4]


def test_a_stream_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(put_records, "GIVE_UP_SECONDS", 0.0)
    made = sender(Stream(lambda data: True))
    with pytest.raises(UserError, match="takes nothing"):
        list(made.send(outgoing("a")))
    assert made.in_doubt == set()


def test_the_pace_is_kept_without_bursts() -> None:
    now = 100.0
    pace = Pace(20, clock=lambda: now)
    assert pace.most(500) == 5
    waits = []
    for _ in range(8):
        waits.append(pace.delay(5))
        now += waits[-1]
    assert waits == pytest.approx([0] + [0.25] * 7)
    now += 60  # a slow moment is not made up for
    assert (pace.delay(5), pace.delay(5)) == pytest.approx((0, 0.25))
    assert (Pace(None).most(500), Pace(None).delay(500)) == (500, 0)
