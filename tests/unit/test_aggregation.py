"""KPL aggregates: written as the format says, and unpacked as the KCL does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.aws.aggregation import AGGREGATED, DIGEST_BYTES, _md5, aggregate, hash_of, unpacked
from producer.aws.put_records import Outgoing
from producer.fleet.message import Message
from producer.fleet.packing import MAX_BYTES, Aggregator, one_each
from tests.system import aggregates

records = st.lists(st.tuples(st.text(max_size=300), st.binary(max_size=300)), min_size=1, max_size=40)


def test_the_format_is_that_of_the_documentation() -> None:
    """Magic number, tables of keys, records that refer to them, MD5."""
    made = aggregate([("a", b"one"), ("b", b"two"), ("a", b"three")], 7)
    message = b"\n\x01a\n\x01b\x12\x017\x1a\t\x08\x00\x10\x00\x1a\x03one\x1a\t\x08\x01\x10\x00\x1a\x03two"
    message += b"\x1a\x0b\x08\x00\x10\x00\x1a\x05three"
    assert made == AGGREGATED + message + _md5(message)


@given(st.text(max_size=300), st.lists(st.binary(max_size=300), min_size=1), st.integers(0, 2**128 - 1))
def test_it_is_what_the_tests_own_encoder_makes(key: str, payloads: list[bytes], hash_key: int) -> None:
    packed = aggregate([(key, payload) for payload in payloads], hash_key)
    assert packed == aggregates.aggregate(payloads, key, str(hash_key))


@given(records, st.integers(0, 2**128 - 1))
def test_what_was_packed_is_unpacked(packed: list[tuple[str, bytes]], hash_key: int) -> None:
    assert unpacked(aggregate(packed, hash_key)) == [data for _, data in packed]


@given(records, st.data())
def test_a_changed_byte_makes_it_a_record_like_any_other(packed: list[tuple[str, bytes]], data: st.DataObject) -> None:
    whole = bytearray(aggregate(packed, 0))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    assert unpacked(bytes(whole)) == [bytes(whole)]


@given(st.binary(max_size=100))
def test_no_message_with_a_right_digest_makes_the_audit_fail(message: bytes) -> None:
    data = AGGREGATED + message + _md5(message)
    found = unpacked(data)
    assert found == [data] or all(each in message for each in found)


@pytest.mark.parametrize("message", [b"\x1a\x05\x08", b"\x1a\x02\x08\x00", b"\x1a\xff", b"\x0d\x00\x00\x00\x00"])
def test_a_broken_one_stays_as_it_is(message: bytes) -> None:
    """Cut off, without data, cut off in a number, with a field of another type."""
    data = AGGREGATED + message + _md5(message)
    assert unpacked(data) == [data]


def test_kinesis_places_a_key_by_its_md5() -> None:
    assert hash_of("key") == 0x3C6E0B8A9C15224A8228B9A98CA1531D


def message(number: int, device: str, payload: bytes = b"{}") -> Message:
    return Message(number, device, payload, ())


STARTS = [0, 2**126, 2**127, 3 * 2**126]


@given(st.lists(st.sampled_from([f"d{n}" for n in range(12)]), max_size=80), st.integers(1, 7))
def test_a_record_holds_messages_of_one_shard_in_their_order(devices: list[str], most: int) -> None:
    messages = [message(n, device, b'{"n":%d}' % n) for n, device in enumerate(devices)]
    found = list(Aggregator(STARTS, most)(messages))
    assert sorted(m.number for packed in found for m in packed.messages) == list(range(len(devices)))
    for record, own in found:
        assert 1 <= len(own) <= most
        assert unpacked(record.data) == [m.payload for m in own]
        assert record.data.startswith(AGGREGATED) == (len(own) > 1)
        assert {start for m in own for start in STARTS if start <= hash_of(m.device) < start + 2**126} == {
            record.hash_key
        }
    for device in set(devices):
        sent = [m.number for packed in found for m in packed.messages if m.device == device]
        assert sent == sorted(sent)


def test_a_record_is_never_larger_than_kinesis_takes() -> None:
    messages = [message(n, "d" * 128, b"x" * 65_000) for n in range(40)]
    found = list(Aggregator([0], 500)(messages))
    assert [len(packed.messages) for packed in found] == [15, 15, 10]
    assert all(MAX_BYTES - 65_128 < len(packed.record.data) < 1 << 20 for packed in found[:-1])


def test_without_aggregation_the_partition_key_places_a_record() -> None:
    [packed] = one_each([message(5, "d", b"payload")])
    assert packed.record == Outgoing("5", "d", b"payload", None)
    assert len(AGGREGATED) + DIGEST_BYTES == 20
