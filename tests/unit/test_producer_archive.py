"""Archive lines, archive objects, and the numbers in them."""

import base64
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.archive import format
from consumer.archive.compression import SUFFIXES, Body, Compression
from consumer.archive.format import UnreadableLine
from producer.fleet.normal import normal
from producer.ops import audit_format
from producer.ops.archive_reader import unpacked
from producer.ops.audit_format import CheckedObject, overlaps

HEAD = '{"shard":"shardId-000000000000","sequenceNumber":"49","subSequenceNumber":0,"partitionKey":%s,"arrival":17,'


@given(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists), st.booleans())
def test_the_original_bytes_come_back(key: str, document: object, ascii_only: bool) -> None:
    payload = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    line = (HEAD % json.dumps(key)).encode() + b'"payload":' + payload + b"}"
    head, data = format.parse_line(line)
    assert data == payload
    assert head.partition_key == json.loads(json.dumps(key))
    checked, seen = audit_format.parse(line)
    assert seen == payload
    assert head.position == checked.position == (49, 0)


@given(st.binary())
def test_other_bytes_come_back_from_base64(payload: bytes) -> None:
    encoded = base64.b64encode(payload).decode()
    reject = '"rejected":1,"rejects":[{"index":0,"reason":"not-json","detail":"\\"payload\\":"}],'
    line = (HEAD % '"k"' + reject + f'"data":"{encoded}","payload":null}}').encode()
    for head, data in (format.parse_line(line), audit_format.parse(line)):
        assert data == payload
        assert [r.reason for r in head.rejects] == ["not-json"]


@pytest.mark.parametrize(
    "line", [b"", b"{}", b'{"shard":1,"payload":{}}', b'{"shard":"s","sequenceNumber":"1","payload":{}']
)
def test_other_lines_are_unreadable(line: bytes) -> None:
    with pytest.raises(UnreadableLine):
        format.parse_line(line)
    with pytest.raises(UnreadableLine):
        audit_format.parse(line)


def archive_object(begin: int, end: int, shard: str = "s", **metadata: str) -> CheckedObject:
    reported = {"first": f"{begin}.0", "last": f"{end}.0", "records": str(end - begin + 1), "epoch": "7"} | metadata
    made = CheckedObject(f"readings/date=2026-11-22/hour=10/{shard}/{begin:056d}-{0:010d}.ndjson.gz", reported)
    for number in range(begin, end + 1):
        made.take(shard, (number, 0))
    return made


def test_a_good_archive_object_has_no_faults() -> None:
    assert list(archive_object(3, 9).faults()) == []


@pytest.mark.parametrize("field", ["first", "last", "records", "epoch"])
def test_metadata_that_does_not_fit_is_a_fault(field: str) -> None:
    assert [field in fault for fault in archive_object(3, 9, **{field: "x"}).faults()] == [True]


def test_disorder_unexpected_keys_and_emptiness_are_faults() -> None:
    disordered = archive_object(3, 9)
    disordered.take("other", (4, 0))
    assert len(list(disordered.faults())) == 4  # order, shard, and the metadata's last and records
    assert list(CheckedObject("readings/x", {}).faults()) == ["holds no record"]


def test_overlaps_are_found_within_a_shard_only() -> None:
    assert list(overlaps([archive_object(1, 5), archive_object(6, 9), archive_object(4, 9, "t")])) == []
    assert len(list(overlaps([archive_object(6, 9), archive_object(1, 6)]))) == 1


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("20.10", "20.1"),
        ("2.01e1", "20.1"),
        ("-0.0", "0"),
        ("20", "20"),
        ("wet", "wet"),
        ("NaN", "NaN"),
        ("0.123456789012345678901234567890123456780", "0.12345678901234567890123456789012345678"),
        ("1234567890123456789012345678901234567.80", "1234567890123456789012345678901234567.8"),
        ("1E+400000000", "1E+400000000"),
    ],
)
def test_one_number_has_one_text(text: str, same: str) -> None:
    assert normal(text) == same


@given(st.integers(0, 10**38), st.integers(0, 10**6), st.integers(0, 2**41), st.sampled_from(list(SUFFIXES)))
def test_the_audits_definitions_are_the_writers(
    sequence: int, sub: int, arrival: int, compression: Compression
) -> None:
    first = sequence, sub
    text, data = format.position_text(first), str(first).encode()
    metadata = {"first": text, "last": text, "records": "1", "epoch": "1", "dead-letters": "none"}
    checked = CheckedObject(format.READINGS + format.key("s", first, arrival, compression), metadata)
    checked.take("s", first, arrival)
    assert list(checked.faults()) == []
    assert audit_format.undeliverable_key(data) == format.undeliverable_key(data)
    prefixes = format.READINGS, format.DEAD_LETTERS, format.UNDELIVERABLE
    assert prefixes == (audit_format.READINGS, audit_format.DEAD_LETTERS, audit_format.UNDELIVERABLE)


@pytest.mark.parametrize(("compression", "suffix"), SUFFIXES.items())
def test_a_part_of_an_object_is_unreadable(compression: Compression, suffix: str) -> None:
    made = Body(compression, 1)
    made.write([b"one\n", b"two\n"])
    whole = made.read()

    def lines(body: bytes) -> list[bytes]:
        return list(unpacked(f"readings/a.ndjson.{suffix}", io.BytesIO(body)))

    assert lines(whole) == [b"one", b"two"]
    for body in (whole[:-1], whole[:-9], b"no object", whole[:20], whole + b"more"):
        with pytest.raises(UnreadableLine, match="not a whole object"):
            lines(body)
