"""The audit of any archive, without a ledger: every fault of an archive object and of its place is found, where it
is."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from producer.aws.aggregation import AGGREGATED, aggregate, hash_of
from producer.cli import main
from producer.ops.archive_reader import Bucket
from tests.component.recovery import Site
from tests.component.recovery import site as new_site
from tests.compression import unpacked, zstd
from tests.conftest import Deployed

T0 = 1_795_345_942_830


@pytest.fixture(scope="module")
def whole(stack: Deployed) -> Iterator[Site]:
    """Archive objects of three records in a shard that was split, and in its children; bad records among them."""
    with new_site(stack) as made:
        records = [b'{"name":"a","humidity":%d,"timeStampEpoch":%d}' % (n, T0 + n) for n in range(7)]
        made.put("a", *records[:3], b"malformed", *records[3:])
        made.consume()
        made.split()
        made.put("a", *records, b"malformed")
        made.put("b", *records[:4])
        made.consume()
        yield made


@pytest.fixture
def site(whole: Site) -> Iterator[Site]:
    """The archive to spoil; it is made whole again afterwards."""
    s3, bucket = whole.session.client("s3"), whole.stack.bucket
    held = [(key, s3.get_object(Bucket=bucket, Key=key)) for key in whole.keys("")]
    saved = [(key, answer["Body"].read(), answer["Metadata"]) for key, answer in held]
    yield whole
    for key in whole.keys(""):
        s3.delete_object(Bucket=bucket, Key=key)
    for key, body, metadata in saved:
        s3.put_object(Bucket=bucket, Key=key, Body=body, Metadata=metadata)


def audited(site: Site, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    assert main(["audit", *arguments, "--json", "--stack", site.stack.name]) == code
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def found(site: Site, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, list[str]]:
    report = audited(site, capsys, *arguments, code=1)
    return {kind: finding["places"] for kind, finding in report["findings"].items()}


def change(site: Site, key: str, lines: list[bytes] | None = None, to: str = "", **metadata: Any) -> None:
    """Writes an object again with other lines, at another key, or with other metadata."""
    s3 = site.session.client("s3")
    held = s3.get_object(Bucket=site.stack.bucket, Key=key)
    body = held["Body"].read() if lines is None else zstd.compress(b"".join(lines))
    s3.put_object(Bucket=site.stack.bucket, Key=to or key, Body=body, Metadata=held["Metadata"] | metadata)


def lines(site: Site, key: str) -> list[bytes]:
    body = site.session.client("s3").get_object(Bucket=site.stack.bucket, Key=key)["Body"].read()
    return unpacked(body).splitlines(keepends=True)


def delete(site: Site, key: str) -> None:
    site.session.client("s3").delete_object(Bucket=site.stack.bucket, Key=key)


def place(line: bytes) -> str:
    head = json.loads(line)
    return f"{head['shard']} {head['sequenceNumber']}"


def test_an_object_whose_lines_nobody_reads_holds_no_connection(whole: Site) -> None:
    bucket, key = Bucket(whole.session, whole.stack.bucket), whole.keys("readings/")[0]
    held = [bucket.open(key)]
    before = len(os.listdir("/dev/fd"))
    held += [bucket.open(key) for _ in range(5)]
    assert len(os.listdir("/dev/fd")) == before
    assert len({b"\n".join(each.lines) for each in held}) == 1


def test_a_whole_archive_is_clean_and_compared_with_the_stream(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    report = audited(site, capsys)
    assert (report["lines"], report["compared"], report["waiting"], report["dead_letters"]) == (20, 20, 0, 2)
    assert report["ok"]
    assert main(["audit", "--stack", site.stack.name]) == 0
    assert capsys.readouterr().out.endswith("\nclean\n")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_lost_archive_object_of_a_finished_shard_is_found(
    site: Site, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    """The first, one between, and the last of the parent."""
    key = [k for k in site.keys("readings/") if "000000/" in k][number]
    held = [place(line) for line in lines(site, key)]
    delete(site, key)
    finding = audited(site, capsys, code=1)["findings"]["record_missing"]
    (place_reported,) = finding["places"]
    assert place_reported.startswith(f"{held[0]} up to {held[-1].split()[1]}, {len(held)} records, ")
    assert finding["count"] == len(held)


def test_a_lost_shard_is_found_when_its_children_are_archived(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    for key in site.keys("readings/"):
        if "shardId-000000000000/" in key:
            delete(site, key)
    assert audited(site, capsys, code=1)["findings"]["record_missing"]["count"] == 8


def test_a_line_taken_out_is_missing_and_wrong(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    key = site.keys("readings/")[0]
    first, second, third = lines(site, key)
    change(site, key, [first, third])
    places = found(site, capsys)
    assert place(second) in places["record_missing"][0]
    assert "metadata records is 3, the lines say 2" in places["archive_object_wrong"][0]


def test_other_bytes_and_unknown_records_are_found_beside_the_stream(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    key = site.keys("readings/")[0]
    first, second, third = lines(site, key)
    number = json.loads(second)["sequenceNumber"].encode()
    stranger = second.replace(number, str(int(number) + 1).encode())
    change(site, key, [first.replace(b'"humidity":0', b'"humidity":9'), second, stranger, third], records="4")
    places = found(site, capsys)
    assert place(first) in places["record_different"][0]
    assert place(stranger) in places["record_unknown"][0]
    assert audited(site, capsys, "--no-stream")["ok"]


def test_a_record_in_two_archive_objects_is_an_overlap(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = site.keys("readings/")[:2]
    both = [*lines(site, first), lines(site, second)[0]]
    change(site, first, both, last=f"{json.loads(both[-1])['sequenceNumber']}.0", records="4")
    places = found(site, capsys, "--no-stream")
    assert places["archive_object_overlap"][0].startswith(f"{first} ends at ")
    assert places["dead_letter_missing"]  # the record was rejected


@pytest.mark.parametrize("metadata", [{"first": "1.0"}, {"last": "x"}, {"records": "9"}, {"epoch": ""}])
def test_metadata_that_the_lines_contradict_are_reported(
    site: Site, capsys: pytest.CaptureFixture[str], metadata: dict[str, Any]
) -> None:
    key = site.keys("readings/")[2]
    change(site, key, **metadata)
    (place,) = found(site, capsys)["archive_object_wrong"]
    assert place.startswith(f"{key}: metadata {next(iter(metadata))} is")


def test_an_archive_object_at_a_wrong_place_is_reported(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    key = site.keys("readings/")[0]
    elsewhere = key.replace("date=20", "date=19")
    change(site, key, to=elsewhere)
    delete(site, key)
    change(site, elsewhere, to="readings/odd.txt")
    places = found(site, capsys)["archive_object_wrong"]
    assert f"{elsewhere}: the key does not name the hour of its first record" in places[1]
    assert places[0] == "readings/odd.txt: not an archive object's key"


def test_an_unreadable_line_is_reported_with_its_number(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    key = site.keys("readings/")[0]
    first, second, third = lines(site, key)
    change(site, key, [first, second[:-9] + b"\n", third])
    assert f"{key}: unreadable: line 2:" in found(site, capsys)["archive_object_wrong"][0]


def test_dead_letters_must_be_the_rejected_lines(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = site.keys("dead-letters/")
    good = next(line for line in lines(site, site.keys("readings/")[0]) if b"rejected" not in line)
    change(site, first, [*lines(site, first), good])
    delete(site, second)
    change(site, first, to=first.replace("-0000000000.", "-0000000007."))
    places = found(site, capsys)
    assert place(good) in places["dead_letter_unexpected"][0]
    assert places["dead_letter_unexpected"][1].endswith("there is no such archive object")
    assert len(places["dead_letter_missing"]) == 1


def test_a_dead_letter_that_the_lifecycle_took_away_is_not_missed(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in site.keys("dead-letters/"):
        delete(site, key)
    assert len(found(site, capsys)["dead_letter_missing"]) == 2
    rule: Any = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": "dead-letters/"}, "Expiration": {"Days": 1}}
    site.session.client("s3").put_bucket_lifecycle_configuration(
        Bucket=site.stack.bucket, LifecycleConfiguration={"Rules": [rule]}
    )
    assert Bucket(site.session, site.stack.bucket).days_kept("dead-letters/") == 1
    assert len(found(site, capsys)["dead_letter_missing"]) == 2
    monkeypatch.setattr(Bucket, "days_kept", lambda self, prefix: -1)  # as if it were the day after tomorrow
    assert audited(site, capsys)["ok"]
    site.session.client("s3").delete_bucket_lifecycle(Bucket=site.stack.bucket)


def test_a_part_of_the_archive_can_be_audited(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    arrived = sorted(r["ApproximateArrivalTimestamp"] for r in site.stream())
    delete(site, site.keys("readings/")[0])
    assert not audited(site, capsys, code=1)["ok"]
    report = audited(site, capsys, "--from", arrived[3].isoformat())
    assert report["compared"] == len([t for t in arrived if t >= arrived[3]])
    assert audited(site, capsys, "--to", arrived[0].isoformat(), "--no-stream")["lines"] > 0


def test_a_ledger_and_a_time_are_too_much(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--ledger", "x", "--from", "2026-11-22", "--stack", site.stack.name]) == 2
    assert "with --ledger" in capsys.readouterr().err


def test_records_that_wait_for_their_archive_object_are_no_finding(
    stack: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    with new_site(stack) as fresh:
        assert audited(fresh, capsys, code=3)["nothing"] == "no archive object"
        fresh.put("a", b"{}", b"{}")
        report = audited(fresh, capsys, code=3)
        assert (report["waiting"], report["ok"], report["findings"]) == (2, False, {})
        assert main(["audit", "--stack", fresh.stack.name]) == 3
        reported = capsys.readouterr().out.splitlines()[-1]
        assert reported.startswith("NOTHING compared: no archive object; 2 records wait in the stream for theirs")
        fresh.consume()
        fresh.put("a", b"{}")
        report = audited(fresh, capsys)
        assert (report["lines"], report["compared"], report["waiting"]) == (2, 2, 1)


def test_an_aggregate_is_missing_unless_it_is_kept_as_undeliverable(
    stack: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = AGGREGATED + b"three records, say"
    with new_site(stack) as fresh:
        fresh.put("a", b"{}", packed, b"{}")
        fresh.consume()
        (key,) = fresh.keys("readings/")
        first, _, third = lines(fresh, key)
        for object_key in (key, key.replace("readings/", "dead-letters/")):
            change(fresh, object_key, [first, third], records="2", **{"dead-letters": "2"})
        (reported,) = found(fresh, capsys)["record_missing"]
        assert reported.endswith("a KPL aggregate: was it made for another shard?")
        name = f"dead-letters/date=1970-01-01/hour=00/undeliverable/{hashlib.sha256(packed).hexdigest()}.ndjson.gz"
        fresh.session.client("s3").put_object(Bucket=fresh.stack.bucket, Key=name, Body=b"")
        assert audited(fresh, capsys)["ok"]


def test_a_hole_in_an_aggregate_is_found(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    key = site.keys("readings/")[0]
    *others, last = lines(site, key)
    change(site, key, [*others, last.replace(b'"subSequenceNumber":0', b'"subSequenceNumber":2')])
    number = json.loads(last)["sequenceNumber"]
    places = found(site, capsys, "--no-stream")
    assert f"{number}.0 up to .1 of an aggregate, before a record in {key}" in places["record_missing"][0]


def test_aggregates_are_compared_record_by_record(stack: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    """Archive objects of three records, so that one ends within the first aggregate."""
    with new_site(stack) as fresh:
        payloads = [b'{"name":"a","humidity":%d,"timeStampEpoch":%d}' % (n, T0 + n) for n in range(7)]
        for part in (payloads[:4], payloads[4:]):
            fresh.put("a", aggregate([("a", data) for data in part], hash_of("a")))
        fresh.consume()
        report = audited(fresh, capsys)
        assert (report["lines"], report["compared"], report["waiting"]) == (7, 7, 0)
        first, second, last = fresh.keys("readings/")
        whole = lines(fresh, second)
        change(fresh, second, whole[1:], records="2")
        [reported] = found(fresh, capsys)["record_missing"]
        assert re.search(r"\.3 up to \.3 of an aggregate, before \d+\.0 in ", reported)
        change(fresh, second, whole, records="3")
        delete(fresh, last)
        assert audited(fresh, capsys)["waiting"] == 1
        one, two, three = lines(fresh, first)
        change(fresh, first, [one, two.replace(b'"humidity":1', b'"humidity":8'), three])
        assert [text.split()[1] for text in found(fresh, capsys)["record_different"]] == [place(two).split()[1] + ".1"]
