"""A lost table is rebuilt from the archive row by row; another stream gets the bytes that this one got."""

import json
import time
from collections.abc import Iterator

import pytest

from producer.cli import main
from tests.component.recovery import Site, make_table
from tests.component.recovery import site as new_site
from tests.conftest import Deployed

ANY_TIME = '[{"device":"name","time":"timeStampEpoch","value":"humidity","max_future_seconds":10000000000}]'
BATTERY = '[{"device":"name","time":"timeStampEpoch","value":"humidity","measures":["battery"]}]'

T0 = 1_795_345_942_830


@pytest.fixture
def site(stack: Deployed) -> Iterator[Site]:
    with new_site(stack) as made:
        yield made


def reading(device: str, ms: int, value: str, **more: object) -> bytes:
    extra = "".join(f',"{name}":{json.dumps(value)}' for name, value in more.items())
    return f'{{"name":"{device}","humidity":{value},"timeStampEpoch":{T0 + ms}{extra}}}'.encode()


def fill(site: Site) -> None:
    """Good and bad readings, batches, odd bytes, keys that come again: in one archive object, in others, after a
    split."""
    for n in range(8):
        key = f"d{n}"
        site.put(key, reading(key, 0, f"{n}.10"), reading(key, 1, "-0.5", battery=n), b"malformed", b"\xff\x00")
        site.put(key, b"[" + reading(key, 2, "1E+20") + b",\n" + reading(key, 3, '"7"') + b"]")
        site.put(key, reading(key, 4, "1") + b"\n{}\n" + reading(key, 4, "2"))
        site.put(key, reading(key, 0, "50"))
    site.consume()
    site.split()
    for n in range(8):
        key = f"d{n}"
        site.put(key, reading(key, 0, f"9{n}"), reading(key, 1, "3"), reading(key, 1, "4.00", battery=1.5))
    site.consume()


def run(site: Site, *arguments: str) -> int:
    return main([*arguments, "--stack", site.stack.name])


def test_a_deleted_table_is_rebuilt_row_by_row(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.settings = {"READING_CONTRACTS": BATTERY, "ROW_TTL_DAYS": "400"}
    fill(site)
    before = site.rows()
    assert len(before) == 8 * 5
    assert {row["Value"]["N"] for row in before if row["Timestamp"]["S"] == before[0]["Timestamp"]["S"]} == {
        f"9{n}" for n in range(8)
    }
    assert all(row["Measures"]["M"]["battery"]["N"] == "1.5" for row in before[1::5])
    site.new_table()
    assert site.rows() == []
    settings = ["--reading-contracts", BATTERY, "--row-ttl-days", "400"]
    assert run(site, "replay", "--to-table", *settings, "--json") == 0
    assert site.rows() == before
    reported = json.loads(capsys.readouterr().out)
    assert (reported["records"], reported["otherwise"], reported["ok"]) == (8 * 10, 0, True)
    assert run(site, "replay", "--to-table", *settings) == 0  # again: nothing changes
    assert site.rows() == before


def test_rows_of_wrong_clocks_expire_as_before_and_expired_ones_are_left_out(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site.settings = {"ROW_TTL_DAYS": "30", "READING_CONTRACTS": ANY_TIME}
    monkeypatch.setenv("READING_CONTRACTS", ANY_TIME)
    now = int(time.time()) * 1000
    clocks = [946_684_800_000, 4_102_444_799_999, now, now - 40 * 86_400_000]
    site.put("a", *[b'{"name":"a","humidity":1,"timeStampEpoch":%d}' % at for at in clocks])
    site.consume()
    before = site.rows()
    assert len(before) == 4
    site.new_table()
    assert run(site, "replay", "--to-table", "--row-ttl-days", "30", "--json") == 0
    assert site.rows() == before
    assert json.loads(capsys.readouterr().out)["expired"] == 0
    site.new_table()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 2 * 86_400)
    assert run(site, "replay", "--to-table", "--row-ttl-days", "30") == 0
    monkeypatch.setattr(time, "time", real)
    assert len(site.rows()) == 2
    assert "2 readings left out: their rows have expired" in capsys.readouterr().out
    assert run(site, "replay", "--to-table", "--row-ttl-days", "0") == 0
    assert len(site.rows()) == 4


def test_rows_go_into_another_table_as_well(site: Site) -> None:
    fill(site)
    make_table(site.session.client("dynamodb"), f"{site.stack.table}-copy")
    assert run(site, "replay", "--to-table", f"{site.stack.table}-copy", "--rate", "100000") == 0
    assert site.rows(f"{site.stack.table}-copy") == site.rows()


def test_another_stream_gets_the_same_bytes_in_the_same_order(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    fill(site)
    copy = f"{site.stack.stream}-copy"
    site.session.client("kinesis").create_stream(StreamName=copy, ShardCount=2)
    assert run(site, "replay", "--to-stream", copy, "--json") == 0
    assert json.loads(capsys.readouterr().out)["records"] == 8 * 10

    def by_key(stream: str) -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for record in site.stream(stream):
            found.setdefault(record["PartitionKey"], []).append(record["Data"])
        return found

    assert by_key(copy) == by_key(site.stack.stream)


def test_only_what_arrived_in_the_time_is_replayed(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    fill(site)
    third = sorted(site.stream(), key=lambda r: int(r["SequenceNumber"]))[2]["ApproximateArrivalTimestamp"]
    arrived = [r["ApproximateArrivalTimestamp"] for r in site.stream()]
    assert run(site, "replay", "--to-table", "--from", third.isoformat(), "--json") == 0
    assert json.loads(capsys.readouterr().out)["records"] == sum(t >= third for t in arrived)
    assert run(site, "replay", "--to-table", "--to", "2001-01-01") == 2
    assert "holds no archive object of that time" in capsys.readouterr().err


def test_settings_that_are_not_the_consumers_are_noticed(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    fill(site)
    assert run(site, "replay", "--to-table", "--reading-contracts", '[{"device":"a","value":"b","time":"c"}]') == 0
    assert "64 records are read otherwise than when they were archived" in capsys.readouterr().out


def test_what_cannot_be_read_is_reported_and_the_rest_goes_on(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    fill(site)
    key = site.keys("readings/")[1]
    site.session.client("s3").put_object(Bucket=site.stack.bucket, Key=key, Body=b"no object")
    assert run(site, "replay", "--to-table") == 1
    assert f"{key}: unreadable: line 1: not a whole object" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["--to-table", "no-such-table"], "DescribeTable: ResourceNotFoundException"),
        (["--to-stream", "no-such-stream"], "DescribeStreamSummary: ResourceNotFoundException"),
        (["--to-table", "--reading-contracts", "[]"], "READING_CONTRACTS: Expected `array` of length >= 1"),
        (["--to-table", "--from", "2026-11-23", "--to", "2026-11-22"], "--from must be before --to"),
    ],
)
def test_user_errors_are_one_line(
    site: Site, capsys: pytest.CaptureFixture[str], arguments: list[str], reported: str
) -> None:
    assert run(site, "replay", *arguments) == 2
    errors = capsys.readouterr().err
    assert reported in errors
    assert errors.count("\n") == 1


def test_the_stacks_own_stream_is_refused(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(site, "replay", "--to-stream", site.stack.stream) == 2
    assert "is the stack's own stream" in capsys.readouterr().err
