"""Dead letters: counted, shown, and sent again once and no more."""

import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from consumer.archive.compression import Body
from consumer.archive.format import undeliverable_line
from producer.aws import put_records
from producer.cli import main
from tests.component.recovery import Site
from tests.component.recovery import site as new_site
from tests.compression import unpacked
from tests.conftest import Deployed

T0 = 1_795_345_942_830
OTHER = '{"tracker":"t1","speed":%d,"at":%d}'
CONTRACTS = '[{"device":"tracker","value":"speed","time":"at"}]'


@pytest.fixture
def site(stack: Deployed) -> Iterator[Site]:
    """Two good records, four of another contract, three of malformed payloads, in archive objects of three records."""
    with new_site(stack) as made:
        good = [b'{"name":"a","humidity":%d,"timeStampEpoch":%d}' % (n, T0 + n) for n in range(2)]
        foreign = [(OTHER % (n, T0 + n)).encode() for n in range(4)]
        made.put("a", good[0], foreign[0], b"malformed")
        made.put("b", foreign[1], foreign[2], foreign[3])
        made.put("c", good[1], b"\xff\xfe", b'{"name":"c","humidity":"wet","timeStampEpoch":1795345942830}')
        made.consume()
        yield made


def run(site: Site, *arguments: str) -> int:
    return main(["redrive", *arguments, "--stack", site.stack.name])


def reported(site: Site, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    assert run(site, *arguments, "--json") == code
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_they_are_counted_by_reason_and_nothing_is_sent(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    before = site.stream()
    assert run(site) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in out[:6]] == [
        ["REASON", "RECORDS", "NEW"],
        ["missing-field", "4", "4"],
        ["not-json", "1", "1"],
        ["not-utf8", "1", "1"],
        ["wrong-type", "1", "1"],
        ["all", "7", "7"],
    ]
    assert out[-1] == "--send would put 7 records into the stream again; nothing was sent"
    assert site.stream() == before
    assert site.keys("redriven/") == []


def test_they_are_counted_by_key_and_by_time(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    groups = reported(site, capsys, "--by", "key")["groups"]
    assert {name: group["records"] for name, group in groups.items()} == {"a": 2, "b": 3, "c": 2}
    (hour,) = reported(site, capsys, "--by", "hour")["groups"].values()
    assert hour["records"] == 7
    assert reported(site, capsys, "--to", "2001-01-01")["records"] == 0
    arrived = sorted(record["ApproximateArrivalTimestamp"] for record in site.stream())[-1].isoformat()
    assert reported(site, capsys, "--from", arrived)["records"] >= 1


def test_one_is_shown_with_its_reason_and_its_bytes(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    malformed = site.stream()[2]
    assert run(site, "--show", "--sequence", malformed["SequenceNumber"]) == 0
    out = capsys.readouterr().out
    assert f"shardId-000000000000 {malformed['SequenceNumber']}.0" in out
    assert "[0] not-json: " in out
    assert out.endswith("  9 bytes\nmalformed\n\n")
    shown = reported(site, capsys, "--show", "--reason", "not-utf8")
    assert (shown["base64"], shown["state"], shown["partitionKey"]) == ("//4=", "new", "c")
    assert run(site, "--show", "--limit", "2", "--json") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_after_the_right_settings_are_back_the_table_is_completed(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong deploy: only what the right settings read is sent, and rows appear exactly once."""
    assert len(site.rows()) == 2
    right = ("--readable", "--reading-contracts", CONTRACTS)
    assert reported(site, capsys, *right)["records"] == 4
    report = reported(site, capsys, *right, "--send")
    assert (report["sent"], report["skipped"], report["ok"]) == (4, 0, True)
    site.settings = {"READING_CONTRACTS": CONTRACTS}
    site.consume()
    assert len(rows := site.rows()) == 2 + 4
    archived = len(site.keys("readings/"))
    again = reported(site, capsys, *right, "--send")
    assert (again["sent"], again["skipped"], again["ok"]) == (0, 4, True)
    site.consume()
    assert site.rows() == rows
    assert len(site.keys("readings/")) == archived
    records = [(record["PartitionKey"], record["Data"]) for record in site.stream()]
    assert sorted(records[9:]) == sorted(record for record in records[:9] if b"tracker" in record[1])


def test_what_was_redriven_is_reported_with_its_new_place(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(site, "--send", "--reason", "not-json") == 0
    assert "1 records of 1 dead-letter objects sent to stream" in capsys.readouterr().out
    shown = reported(site, capsys, "--show", "--reason", "not-json")
    assert shown["state"] == "redriven"
    assert shown["redriven"]["sequenceNumber"] == site.stream()[-1]["SequenceNumber"]
    counts = reported(site, capsys)
    assert (counts["records"], counts["new"], counts["redriven"]) == (7, 6, 1)
    assert len(site.keys("redriven/")) == 1


def test_a_redriven_record_that_is_rejected_again_is_a_new_dead_letter(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reported(site, capsys, "--send", "--reason", "not-json")["sent"] == 1
    site.consume()
    counts = reported(site, capsys, "--reason", "not-json")
    assert (counts["records"], counts["new"], counts["redriven"]) == (2, 1, 1)


def test_dead_letters_of_an_object_that_was_replaced_are_none(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong settings, killed between the archive's PUT and the checkpoint, started again with the right ones."""
    s3, bucket = site.session.client("s3"), site.stack.bucket
    outdated = {key: s3.get_object(Bucket=bucket, Key=key) for key in site.keys("dead-letters/")}
    bodies = {key: (answer["Body"].read(), answer["Metadata"]) for key, answer in outdated.items()}
    site.start_again(READING_CONTRACTS=CONTRACTS)
    site.consume()
    counts = reported(site, capsys)
    assert (counts["records"], counts["readable"]) == (5, 2)  # by the settings of before; those now reject these
    assert main(["audit", "--json", "--stack", site.stack.name]) == 0
    assert json.loads(capsys.readouterr().out)["outdated"] == 0
    for key, (body, metadata) in bodies.items():  # as if the second owner had stopped before its dead letters
        s3.put_object(Bucket=bucket, Key=key, Body=body, Metadata=metadata)
    assert reported(site, capsys)["records"] == 0
    assert reported(site, capsys, "--send")["sent"] == 0
    assert main(["audit", "--json", "--stack", site.stack.name]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["outdated"], list(report["findings"])) == (3, ["dead_letter_missing"])
    site.start_again(READING_CONTRACTS=CONTRACTS)  # the replay after that stop
    site.consume()
    assert reported(site, capsys)["records"] == 5
    assert main(["audit", "--stack", site.stack.name]) == 0


def test_settings_that_reject_nothing_any_more_leave_no_dead_letter(
    stack: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    with new_site(stack) as site:
        site.put("a", *[(OTHER % (n, T0 + n)).encode() for n in range(4)])
        site.consume()
        assert reported(site, capsys)["records"] == 4
        site.start_again(READING_CONTRACTS=CONTRACTS)
        site.consume()
        assert reported(site, capsys)["records"] == 0
        bodies = [
            site.session.client("s3").get_object(Bucket=site.stack.bucket, Key=k) for k in site.keys("dead-letters/")
        ]
        assert [unpacked(body["Body"].read()) for body in bodies] == [b"", b""]
        assert main(["audit", "--stack", site.stack.name]) == 0
        assert len(site.rows()) == 4


def test_objects_without_a_dead_letter_count_are_read(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    s3, bucket = site.session.client("s3"), site.stack.bucket
    for key in site.keys("readings/") + site.keys("dead-letters/"):
        held = s3.get_object(Bucket=bucket, Key=key)
        metadata = {name: value for name, value in held["Metadata"].items() if name != "dead-letters"}
        s3.put_object(Bucket=bucket, Key=key, Body=held["Body"].read(), Metadata=metadata)
    assert reported(site, capsys)["records"] == 7
    assert main(["audit", "--stack", site.stack.name]) == 0
    capsys.readouterr()
    site.start_again(READING_CONTRACTS=CONTRACTS)
    site.consume()
    assert reported(site, capsys)["records"] == 5
    assert main(["audit", "--stack", site.stack.name]) == 0


class Lost:
    """A stream that takes records, and Ctrl-C before its answer arrives."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def put_records(self, **request: Any) -> Any:
        self._client.put_records(**request)
        raise KeyboardInterrupt


def test_a_redrive_that_was_interrupted_leaves_a_trace(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """It is unknown whether those records are in the stream: they are reported, and sent only on request."""
    real = site.session.client("kinesis")
    with mock.patch.object(put_records, "connect", return_value=Lost(real)):
        assert run(site, "--send", "--reason", "not-utf8") == 130
    assert reported(site, capsys)["uncertain"] == 1
    report = reported(site, capsys, "--send", code=1)
    assert (report["sent"], report["uncertain"]) == (6, 1)
    assert reported(site, capsys, "--send", "--again")["sent"] == 1
    assert reported(site, capsys)["redriven"] == 7
    assert [r["Data"] for r in site.stream()].count(b"\xff\xfe") == 3


class Refusing:
    """A stream that is gone."""

    def put_records(self, **request: Any) -> Any:
        reported: Any = {"Error": {"Code": "ResourceNotFoundException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        raise ClientError(reported, "PutRecords")


def test_what_was_certainly_not_sent_is_new_again(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch.object(put_records, "connect", return_value=Refusing()):
        assert run(site, "--send") == 2
    assert "ResourceNotFoundException" in capsys.readouterr().err
    assert reported(site, capsys)["new"] == 7


def test_two_redrives_never_send_the_same_record(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The second one comes when the first has read the dead letters and not yet claimed them."""
    from producer.ops import redrive

    first = redrive._send_object
    ran: list[int] = []

    def second_comes_first(*arguments: Any) -> Any:
        if not ran:
            ran.append(0)
            with mock.patch.object(redrive, "_send_object", first):
                ran.append(run(site, "--send"))
        return first(*arguments)

    with mock.patch.object(redrive, "_send_object", second_comes_first):
        assert run(site, "--send") == 2
    assert ran == [0, 0]
    assert "another redrive is at work" in capsys.readouterr().err
    assert len(site.stream()) == 9 + 7


def test_aggregates_that_cannot_be_deaggregated_are_never_sent(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    body = Body("gzip", 0)
    body.write([undeliverable_line(b"\xf3\x89\x9a\xc2broken")])
    key = "dead-letters/date=1970-01-01/hour=00/undeliverable/abc.ndjson.gz"
    site.session.client("s3").put_object(Bucket=site.stack.bucket, Key=key, Body=body.read())
    counts = reported(site, capsys, "--reason", "bad-aggregate")
    assert (counts["records"], counts["new"], counts["undeliverable"]) == (1, 0, 1)
    shown = reported(site, capsys, "--show", "--reason", "bad-aggregate")
    assert (shown["object"], shown["bytes"], shown["shard"]) == (key, 10, "")
    assert run(site, "--send", "--reason", "bad-aggregate") == 0
    assert "1 not sent: aggregates that the KCL cannot de-aggregate" in capsys.readouterr().out
    assert len(site.stream()) == 9


def test_a_dead_letter_object_that_cannot_be_read_is_reported(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    key = site.keys("dead-letters/")[0]
    site.session.client("s3").put_object(Bucket=site.stack.bucket, Key=key, Body=b"no object")
    assert run(site) == 1
    assert f"{key}: unreadable: line 1: not a whole object" in capsys.readouterr().out


def test_lost_connections_are_tried_again_and_counted(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    real = site.session.client("kinesis")
    answers = [EndpointConnectionError(endpoint_url="x"), None]

    class Flaky:
        def put_records(self, **request: Any) -> Any:
            if answers and (error := answers.pop(0)):
                raise error
            return real.put_records(**request)

    with mock.patch.object(put_records, "connect", return_value=Flaky()):
        report = reported(site, capsys, "--send", "--reason", "not-json")
    assert (report["sent"], report["repeated"], report["ok"]) == (1, 1, True)
