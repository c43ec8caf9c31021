"""The way of a published message, as the console follows it: what is seen, what is refused, what cannot come."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from consumer.archive.format import Line
from infra.functions.alert.episodes import Notice
from infra.functions.alert.words import chat, digest, single
from producer.aws.stream_reader import StreamRecord
from producer.console.alerts import read
from producer.console.archived import ArchivedRecord
from producer.console.catalogue import Expected, Outcome
from producer.console.history import Found, Row
from producer.console.problems import problem
from producer.console.publishing import Published
from producer.console.server import role_of
from producer.console.travel import Travel

AT = 1_790_000_000_000
SHARD = "shardId-000000000000"
DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetRecords")
ROW = Row("2026-09-21T14:13:20.000Z", "41.5", {}, False)


class FakeHistory:
    """Has the row after some looks."""

    def __init__(self, looks: int = 1) -> None:
        self.looks = looks

    def within(self, device: str, start: int | None, end: int | None, limit: int) -> Found:
        self.looks -= 1
        return Found([ROW] if self.looks <= 0 else [], False)

    def newest(self, device: str, limit: int = 20) -> list[Row]:
        return [ROW._replace(arrived=True)]


class FakeArchive:
    """Has the record, or refuses."""

    def __init__(self, refuses: bool = False) -> None:
        self.refuses = refuses

    def find(self, shard: str, sequence: int, arrival: int) -> ArchivedRecord:
        if self.refuses:
            raise DENIED
        line = Line(shard, str(sequence), 0, "a", arrival)
        return ArchivedRecord("readings/key", line, b"{}")


class FakeTail:
    """Shows another record first, then ours as the IoT rule has rewritten it."""

    shard = SHARD
    ended = False

    def __init__(self, *records: bytes) -> None:
        self.records = list(records)

    def read(self) -> list[StreamRecord]:
        return [StreamRecord(7, AT + 5, self.records.pop(0))] if self.records else []


def steps(sent: Published, outcome: Outcome, archive: FakeArchive, looks: int = 1) -> dict[str, dict[str, Any]]:
    history: Any = FakeHistory(looks)
    some: Any = archive
    return {each["stage"]: each for each in Travel(sent, outcome, history, some, lambda: False).steps()}


def expected(time_ms: int | None = AT) -> Outcome:
    return Outcome([Expected("a", time_ms, {"value": "41.5"})], [])


def test_a_record_is_followed_to_its_row_and_its_line() -> None:
    found = steps(Published("a", b"{}", AT, SHARD, 12), expected(), FakeArchive(), looks=3)
    assert list(found) == ["published", "stream", "archived", "row"]
    assert found["stream"]["sequence"] == "12"
    assert found["archived"]["record"]["key"] == "readings/key"
    assert found["row"]["rows"][0]["numbers"] == {"value": "41.5"}
    assert not any("problem" in each for each in found.values())


def test_over_mqtt_it_is_known_again_in_the_stream_whatever_the_rule_made_of_its_blanks() -> None:
    tail: Any = FakeTail(b'{"b":1}', b'{"a":1.0}')
    found = steps(Published("a", b'{ "a": 1 }', AT, tail=tail), expected(), FakeArchive())
    assert (found["stream"]["sequence"], found["stream"]["at"]) == ("7", AT + 5)


def test_a_role_that_may_not_look_is_told_so_and_sees_the_row_all_the_same() -> None:
    found = steps(Published("a", b"{}", AT, SHARD, 12), expected(), FakeArchive(refuses=True))
    assert found["archived"]["refused"] is True
    assert "operator" in found["archived"]["problem"]
    assert "at" in found["row"]
    found = steps(Published("a", b"{}", AT, tail=None), expected(), FakeArchive())
    assert found["stream"]["refused"]
    assert found["archived"]["refused"]


def test_a_row_without_a_time_of_its_own_is_one_that_arrived_since() -> None:
    found = steps(Published("a", b"{}", AT, SHARD, 12), expected(time_ms=None), FakeArchive())
    assert "at" in found["row"]


def test_no_row_is_waited_for_where_none_can_come() -> None:
    outcome = Outcome([], [{"reason": "not-json", "detail": ""}])
    found = steps(Published("a", b"rubbish", AT, SHARD, 12), outcome, FakeArchive())
    assert (found["row"]["expected"], "not-json" in found["row"]["problem"]) == (True, True)


def test_nothing_is_looked_for_when_nobody_looks_any_more() -> None:
    history, archive = FakeHistory(), FakeArchive()
    some: Any = Travel
    travel = some(Published("a", b"{}", AT, SHARD, 12), expected(), history, archive, lambda: True)
    assert [each["stage"] for each in travel.steps()] == ["published"]


def test_a_refusal_is_a_problem_of_its_own_and_a_defect_is_none() -> None:
    found = problem(DENIED)
    assert found
    assert (found["status"], found["refused"]) == (403, True)
    assert problem(KeyError("defect")) is None


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ({"MessageAttributes": {"device": {"Value": "a"}, "value": {"Value": "20"}}}, {"device": "a", "value": "20"}),
        (
            {"Message": '{"AlarmName":"Lag","NewStateValue":"ALARM","NewStateReason":"late"}'},
            {"alarm": "Lag", "state": "ALARM", "text": "late"},
        ),
        ({"Message": "hello"}, {"text": "hello"}),
        ({"Message": "20"}, {"text": "20"}),
        ({"Message": '{"AlarmName":"Lag"}'}, {"text": '{"AlarmName":"Lag"}'}),
    ],
)
def test_what_the_topic_sends_is_an_alert_an_alarm_or_a_text(document: dict[str, Any], wanted: dict[str, str]) -> None:
    found = read(json.dumps({"MessageId": "1", "Timestamp": "2026-09-21T14:13:20.000Z", **document}))
    assert wanted.items() <= found.items()


@pytest.mark.parametrize("shape", [dict, chat], ids=["text", "chat"])
def test_notices_of_a_policy_are_shown_by_their_first_line(shape: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    silent = Notice("e1-silent", "e1", "a", "silent", "silent", "info", "silent", None, "30", AT, AT, True)
    for message, wanted in (
        (single(silent, "Humidity", "below", ""), {"id": "e1-silent", "device": "a"}),
        (digest("d1", [silent, silent], "Humidity", "below", ""), {"id": "d1", "text": "2 alerts: 2 silent"}),
    ):
        sent = shape(message)
        given = {name: {"Value": each["StringValue"]} for name, each in sent["MessageAttributes"].items()}
        envelope = {"MessageId": "1", "Timestamp": ROW.time, "Message": sent["Message"], "MessageAttributes": given}
        found = read(json.dumps(envelope))
        assert wanted.items() <= found.items()
        assert "value" not in found
        assert "\n" not in found["text"]


@pytest.mark.parametrize(
    ("arn", "role"),
    [
        ("arn:aws:sts::1:assumed-role/home-OperatorRole-X1Y2/me", "operator"),
        ("arn:aws:sts::1:assumed-role/other-OperatorRole-X1Y2/me", "other-OperatorRole-X1Y2"),
        ("arn:aws:iam::1:root", "root"),
        ("arn:aws:iam::1:user/me", "user/me"),
    ],
)
def test_a_role_of_the_stack_is_named_in_short(arn: str, role: str) -> None:
    assert role_of(arn, "home") == role
