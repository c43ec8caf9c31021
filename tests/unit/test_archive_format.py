"""Archive objects: where they end, what a line holds, and that the original bytes can be had back from every line."""

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.archive.compression import SUFFIXES, Compression
from consumer.archive.fence import Adopt, Committed, Fenced, Outcome, Replace, decide
from consumer.archive.format import (
    DEAD_LETTERS,
    KEY,
    UNDELIVERABLE,
    ArchiveObject,
    ObjectMetadata,
    UnreadableLine,
    key,
    line,
    parse_line,
    parse_undeliverable,
    undeliverable_key,
    undeliverable_line,
)
from consumer.archive.writer import ObjectWriter, RotationPolicy
from consumer.payload.decode import decode
from consumer.record import Position, Record

SHARD = "shardId-000000000007"
T0 = 1_767_268_800_000  # 2026-01-01T12:00:00Z
MINE = ObjectMetadata((1, 0), (5, 0), 5, 7)


def record(
    number: int, data: bytes = b'{"name":"d","humidity":1,"timeStampEpoch":1767268800000}', arrival: int = T0
) -> Record:
    return Record(data, "d", str(number), 0, arrival)


def original(text: bytes) -> bytes:
    """The bytes that were sent, from an archive line alone."""
    parsed = json.loads(text)
    if "data" in parsed:
        return base64.b64decode(parsed["data"])
    return text[text.index(b'"payload":') + len(b'"payload":') : text.rindex(b"}")]


def pack(
    records: list[Record], cut: RotationPolicy, epoch: int = 1, compression: Compression = "zstd"
) -> list[ArchiveObject]:
    """All archive objects of a shard's records, the last one as it stands."""
    archive_objects: list[ArchiveObject] = []
    items = [(one.position, one, decode(one.data)) for one in records]
    while items:
        writer = ObjectWriter(SHARD, epoch, compression, cut, *items[0][:2])
        items = items[writer.take(items) :]
        archive_objects.append(writer.close())
    return archive_objects


payloads = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(str.encode),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    ).flatmap(
        lambda value: st.sampled_from([None, 1]).map(lambda i: json.dumps(value, ensure_ascii=False, indent=i).encode())
    ),
)


@given(payloads, st.text(max_size=20))
def test_every_line_is_one_json_object_that_gives_the_original_bytes_back(data: bytes, partition_key: str) -> None:
    text = line(SHARD, Record(data, partition_key, "49", 3, None), decode(data))
    assert text.endswith(b"\n")
    assert text.count(b"\n") == 1
    assert b"\r" not in text
    parsed = json.loads(text)
    assert (parsed["partitionKey"], parsed["sequenceNumber"], parsed["subSequenceNumber"]) == (partition_key, "49", 3)
    assert list(parsed)[-1] == "payload"
    assert original(text) == data


def test_a_one_line_payload_stands_verbatim() -> None:
    data = b'{"name": "d",  "humidity": 20.10, "timeStampEpoch": 1767268800000, "more": {"a": [1]}}'
    text = line(SHARD, record(1, data), decode(data))
    assert text == (
        b'{"shard":"shardId-000000000007","sequenceNumber":"1","subSequenceNumber":0,"partitionKey":"d",'
        b'"arrival":1767268800000,"payload":' + data + b"}\n"
    )


def test_a_reject_stands_with_its_reason_and_its_bytes() -> None:
    parsed = json.loads(line(SHARD, record(1, b"\xff"), decode(b"\xff")))
    assert parsed["rejected"] == 1
    assert parsed["rejects"][0]["reason"] == "not-utf8"
    assert parsed["data"] == "/w=="
    assert parsed["payload"] is None


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=40), st.integers(1, 9), st.integers(1, 5))
def test_archive_objects_are_contiguous_and_start_the_same_from_any_checkpoint(
    gaps: list[int], count: int, seconds: int
) -> None:
    arrival, records = T0, []
    for number, gap in enumerate(gaps):
        arrival += gap
        records.append(record(number, arrival=arrival))
    cut = RotationPolicy(count, 2_000, seconds * 1000)
    archive_objects = pack(records, cut)
    assert sum(p.metadata.records for p in archive_objects) == len(records)
    for archive_object in archive_objects:  # a restart after any checkpoint gives the same archive objects again
        first: Position = archive_object.metadata.first
        assert pack([r for r in records if r.position >= first], cut)[0] == archive_object


def test_an_archive_object_ends_at_its_size_in_bytes() -> None:
    size = len(line(SHARD, record(1), decode(record(1).data)))
    assert [
        p.metadata.records for p in pack([record(n) for n in range(1, 8)], RotationPolicy(100, 3 * size, 1000))
    ] == [3, 3, 1]


def test_an_adopted_archive_object_goes_on_to_the_wanted_record_past_its_cut() -> None:
    writer = ObjectWriter(SHARD, 1, "zstd", RotationPolicy(2, 1 << 20, 1000), (1, 0), record(1))

    def take(number: int) -> tuple[int, bool, bool]:
        """A record that arrived after the window; how many were taken, and whether the object is full and may end."""
        late = record(number, arrival=T0 + 99_999)
        return writer.take([((number, 0), late, decode(b"{}"))]), writer.full, writer.closable

    assert writer.take([((1, 0), record(1), decode(b"{}"))]) == 1
    assert take(2) == (0, False, True)
    writer.want = (4, 0)
    assert take(2) == (1, False, False)
    assert take(3) == (1, False, False)
    assert take(4) == (1, True, True)


@pytest.mark.parametrize(("compression", "suffix"), SUFFIXES.items())
def test_the_key_is_made_of_the_first_record_and_the_compression(compression: Compression, suffix: str) -> None:
    wanted = f"date=2026-01-01/hour=12/{SHARD}/{'0' * 54}49-0000000002.ndjson.{suffix}"
    assert key(SHARD, (49, 2), T0 + 3_599_999, compression) == wanted


@pytest.mark.parametrize("compression", SUFFIXES)
def test_a_key_can_be_read_again_and_sorts_as_the_records_do(compression: Compression) -> None:
    found = KEY.fullmatch(key(SHARD, (49, 2), T0, compression))
    assert found
    assert found.groupdict() == {"date": "2026-01-01", "hour": "12", "shard": SHARD, "first": f"{49:056d}-0000000002"}
    keys = [key(SHARD, position, T0, compression) for position in ((9, 0), (49, 0), (49, 2))]
    assert keys == sorted(keys)
    assert not KEY.fullmatch(UNDELIVERABLE.removeprefix(DEAD_LETTERS) + "0.ndjson.gz")


@given(payloads, st.text(max_size=20))
def test_a_line_can_be_read_again(data: bytes, partition_key: str) -> None:
    decoded = decode(data)
    found, sent = parse_line(line(SHARD, Record(data, partition_key, "49", 3, T0), decoded).removesuffix(b"\n"))
    assert sent == data
    assert (found.shard, found.partition_key, found.position, found.arrival) == (SHARD, partition_key, (49, 3), T0)
    assert (found.rejected, found.rejects) == (decoded.rejected, decoded.rejects)


@pytest.mark.parametrize("text", [b"", b"{}", b'{"shard":1,"payload":{}}', b'{"shard":"s","payload":{}'])
def test_what_is_no_line_is_unreadable(text: bytes) -> None:
    with pytest.raises(UnreadableLine):
        parse_line(text)


def test_a_stamp_survives_the_objects_metadata() -> None:
    metadata = ObjectMetadata((49, 2), (50, 0), 17, 1767268800000)
    assert ObjectMetadata.parse(metadata.metadata()) == metadata


@pytest.mark.parametrize(
    ("last", "epoch", "decision"),
    [
        (5, 9, Fenced(9)),
        (9, 9, Fenced(9)),
        (6, 7, Adopt((6, 0))),
        (6, 3, Adopt((6, 0))),
        (5, 7, Committed(ObjectMetadata((1, 0), (5, 0), 5, 7))),
        (5, 3, Replace(MINE)),
        (4, 3, Replace(MINE)),
        (4, 7, Replace(MINE)),
    ],
)
def test_the_fence_decides(last: int, epoch: int, decision: Outcome | Replace) -> None:
    assert decide(MINE, ObjectMetadata((1, 0), (last, 0), last, epoch)) == decision


@pytest.mark.parametrize(
    ("mine", "stored", "then"), [(None, None, None), (None, 0, 0), (None, 3, 0), (2, None, 2), (2, 3, 2)]
)
def test_that_there_were_dead_letters_is_inherited(mine: int | None, stored: int | None, then: int | None) -> None:
    decision = decide(replace(MINE, dead=mine), ObjectMetadata((1, 0), (4, 0), 4, 3, stored))
    assert decision == Replace(replace(MINE, dead=then))


def test_an_undeliverable_record_keeps_its_bytes() -> None:
    data = b"\xf3\x89\x9a\xc2x"
    assert original(undeliverable_line(data)) == data
    found, sent = parse_undeliverable(undeliverable_line(data))
    assert (sent, found.sequence_number, [reject.reason for reject in found.rejects]) == (data, None, ["bad-aggregate"])
    assert undeliverable_key(data).startswith(UNDELIVERABLE)
