"""Payloads by example and by property: exact numbers, one reject per bad reading, and never an exception."""

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumer.payload.contract import Contract
from consumer.payload.contracts import DEFAULT, Contracts
from consumer.payload.decode import decode
from consumer.payload.reading import MAX_REJECTS, REASONS, Decoded, Reading
from consumer.payload.times import END_MS, FIRST_MS, timestamp
from consumer.payload.values import MAX_DETAIL
from tests.unit.malformed import KINDS, malformed

TIME = 1_795_344_496_123  # 2026-11-22T10:48:16.123Z
GOOD = b'{"name":"soil","humidity":20.1,"timeStampEpoch":1795344496123}'
TRACKER = Contracts([Contract(device="tracker.id", value="fix.speed", time="fix.at", measures=["fix.lat", "battery"])])


def one(data: bytes, contracts: Contracts = DEFAULT) -> Reading:
    """The only reading of a record without rejects."""
    found = decode(data, contracts)
    assert found.rejects == []
    [reading] = found.readings
    return reading


def reason(data: bytes, contracts: Contracts = DEFAULT) -> str:
    """The reason of the only reject of a record without readings."""
    found = decode(data, contracts)
    assert found.readings == []
    [reject] = found.rejects
    assert found.reasons == {reject.reason: 1}
    return reject.reason


def generation_2(**changes: object) -> bytes:
    return json.dumps({"name": "soil", "humidity": 20, "timeStampEpoch": TIME} | changes).encode()


def generation_1(**changes: object) -> bytes:
    return json.dumps({"sensorid": "soil", "value": 20, "timestamp": "2026-11-22T10:48:16.123Z"} | changes).encode()


def tracker(**changes: object) -> bytes:
    fix = {"speed": 12.5, "at": TIME, "lat": 50.123456} | changes
    return json.dumps({"tracker": {"id": "t1"}, "fix": fix, "battery": "3.70"}).encode()


def measuring(*paths: str) -> Contracts:
    return Contracts([Contract(device="name", time="timeStampEpoch", value="humidity", measures=[*paths])])


def test_both_generations_give_the_same_reading() -> None:
    expected = Reading("soil", TIME, Decimal(20), None)
    assert one(generation_1()) == expected
    assert one(generation_2()) == msgspec.structs.replace(expected, field="humidity")
    assert one(generation_1(value="20")) == expected
    assert one(generation_2(humidity="20")) == one(generation_2())


def test_the_naive_time_of_generation_2_is_not_used() -> None:
    for iso in ("2026-11-22T10:48:16", "2026-11-22T10:48:16.123456", "nonsense", None, 17):
        assert one(generation_2(timeStampIso=iso)).time_ms == TIME


def test_a_foreign_field_does_not_decide_the_generation() -> None:
    assert one(generation_1(name="kitchen", humidity=3)).value == 20
    assert one(generation_2(sensorid="x")).device == "soil"
    assert one(generation_2(sensorid="x", value=3, timestamp="2026-11-22T10:48:16Z")).device == "soil"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("20.1", "20.1"),
        ("20.10", "20.10"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("1E+2", "1E+2"),
        ("1e-130", "1E-130"),
        ("9.9999999999999999999999999999999999999e125", "9.9999999999999999999999999999999999999E+125"),
        ("18446744073709551616", "18446744073709551616"),
        ("-99999999999999999999999999999999999999", "-99999999999999999999999999999999999999"),
        ("1" + "0" * 125, "1E+125"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("0e500", "0"),
        ('"20.1"', "20.1"),
        ('"+20"', "20"),
        ('"007"', "7"),
        ('".5"', "0.5"),
        ('"5."', "5"),
        ('"\\u0032\\u0030"', "20"),
    ],
)
def test_a_number_is_exactly_the_number_sent(text: str, number: str) -> None:
    value = one(b'{"name":"soil","humidity":%b,"timeStampEpoch":%d}' % (text.encode(), TIME)).value
    assert value == Decimal(number)
    assert len(value.as_tuple().digits) <= 38


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", "empty"),
        (b" \r\n\t ", "empty"),
        (b"[]", "empty"),
        (b"\xff\xfe", "not-utf8"),
        (GOOD.replace(b"soil", b"so\xc3il"), "not-utf8"),
        (b"soil is wet", "not-json"),
        (GOOD[:-1], "not-json"),
        (b'{"name":"soil","humidity":NaN,"timeStampEpoch":1795344496123}', "not-json"),
        (GOOD.replace(b"soil", b"\\ud800"), "not-json"),
        (b"[" * 100_000, "not-json"),
        (b"[" * 65 + b"]" * 65, "not-json"),
        (GOOD.replace(b"}", b',"a":' + b"[" * 64 + b"]" * 64 + b',"a":1}'), "not-json"),
        (b"20", "not-an-object"),
        (b"null", "not-an-object"),
        (b"[[]]", "not-an-object"),
        (b"{}", "missing-field"),
        (generation_2(name=""), "missing-field"),
        (generation_1(name="kitchen").replace(b"timestamp", b"time"), "missing-field"),
        (generation_2(humidity=True), "wrong-type"),
        (generation_2(humidity=None), "wrong-type"),
        (generation_2(humidity=" 20"), "wrong-type"),
        (generation_2(humidity="1_000"), "wrong-type"),
        (generation_2(humidity="٢٠"), "wrong-type"),
        (generation_2(name=1.5), "wrong-type"),
        (generation_2(timeStampEpoch=True), "wrong-type"),
        (generation_2(humidity="NaN"), "not-finite"),
        (generation_2(humidity="-Infinity"), "not-finite"),
        (b'{"name":"soil","humidity":1e400,"timeStampEpoch":1795344496123}', "number-out-of-range"),
        (GOOD.replace(b"20.1", b"1e99999999999999999999"), "number-out-of-range"),
        (GOOD.replace(b"20.1", b"1" * 39), "number-out-of-range"),
        (GOOD.replace(b"20.1", b"1" * 100_000), "number-out-of-range"),
        (generation_2(humidity="1e99999999999999999999"), "number-out-of-range"),
        (generation_2(humidity="9.9e-131"), "number-out-of-range"),
        (generation_1(timestamp="2026-11-22T10:48:16"), "bad-time"),
        (generation_1(timestamp="2026-02-30T10:48:16Z"), "bad-time"),
        (generation_1(timestamp="2026-11-22T10:48:16+24:00"), "bad-time"),
        (generation_2(timeStampEpoch=TIME // 100), "time-out-of-range"),
        (generation_2(timeStampEpoch=10**40), "time-out-of-range"),
        (generation_1(timestamp="1999-12-31T23:59:59.999Z"), "time-out-of-range"),
        (generation_1(timestamp="2000-01-01T00:00:00+00:01"), "time-out-of-range"),
        (generation_2(name="x" * 2049), "too-long"),
        (generation_2(name="ü" * 1025), "too-long"),
    ],
)
def test_each_fault_has_its_reason(payload: bytes, expected: str) -> None:
    assert reason(payload) == expected


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        ("2026-11-22T10:48:16.123Z", TIME),
        ("2026-11-22T10:48:16.1239999999Z", TIME),
        ("2026-11-22T11:48:16.123+01:00", TIME),
        ("2026-11-22t05:18:16,123-0530", TIME),
        ("2026-11-22 10:48:16.123z", TIME),
        ("2026-11-22T10:48Z", TIME - 16_123),
        ("2026-11-22T11:48+01", TIME - 16_123),
        ("2000-01-01T00:00:00Z", FIRST_MS),
        ("2099-12-31T23:59:59.999999Z", END_MS - 1),
    ],
)
def test_times_are_cut_to_milliseconds(text: str, millis: int) -> None:
    assert one(generation_1(timestamp=text)).time_ms == millis
    assert one(tracker(at=text), TRACKER).time_ms == millis


def test_the_longest_device_name_passes() -> None:
    assert one(generation_2(name="ü" * 1024)).device == "ü" * 1024


def test_of_equal_keys_the_last_holds() -> None:
    assert one(GOOD.replace(b"20.1", b'"x","humidity":7')).value == 7
    assert reason(GOOD.replace(b"20.1", b'7,"humidity":"x"')) == "wrong-type"


def test_another_fleet_needs_settings_only() -> None:
    measures = {"fix.lat": Decimal("50.123456"), "battery": Decimal("3.70")}
    assert one(tracker(), TRACKER) == Reading("t1", TIME, Decimal("12.5"), measures, field="fix.speed")
    assert reason(generation_2(), TRACKER) == "missing-field"
    assert reason(b'{"tracker":"t1","fix":[]}', TRACKER) == "missing-field"


def test_measures_may_be_absent_or_wrong() -> None:
    assert one(tracker(lat=None), TRACKER).measures == {"battery": Decimal("3.70")}
    assert one(generation_2(), measuring("battery", "gps.lat")).measures is None
    assert one(generation_2(battery=3), measuring("battery")).measures == {"battery": Decimal(3)}
    assert one(generation_2(gps=5), measuring("gps.lat")).measures is None
    assert one(tracker(lat="north"), TRACKER).measures == {"battery": Decimal("3.70")}
    assert one(tracker(lat=True), TRACKER).measures == {"fix.lat": Decimal(1), "battery": Decimal("3.70")}


def test_a_one_line_payload_stands_verbatim() -> None:
    data = b' {"name" : "so\xc3\xbcl\xe2\x80\xa8", "humidity":20.10,"timeStampEpoch":1795344496123, "x":[1,{}]}\t'
    found = decode(data)
    assert found.verbatim
    assert found.payload == data


def test_a_payload_of_several_lines_becomes_one_line() -> None:
    data = json.dumps(json.loads(GOOD), indent=2).replace("\n", "\r\n").encode()
    found = decode(data)
    assert len(found.readings) == 1
    assert not found.verbatim
    assert json.loads(found.payload) == json.loads(GOOD)
    assert b"\n" not in found.payload
    assert b"\r" not in found.payload


def test_a_bad_reading_does_not_take_its_batch_along() -> None:
    found = decode(b"[" + b",".join([GOOD, b"{}", GOOD, b"7"]) + b"]")
    assert len(found.readings) == 2
    assert [(reject.index, reject.reason) for reject in found.rejects] == [(1, "missing-field"), (3, "not-an-object")]
    assert found.verbatim


def test_documents_may_be_separated_by_newlines() -> None:
    found = decode(b"\n".join([GOOD, b"  {oops", b"", b" \r", GOOD + b"\r", b"\xff", b"7", b"[1,\r2]", b""]))
    assert len(found.readings) == 2
    rejects = [(reject.index, reject.reason) for reject in found.rejects]
    assert rejects == [(1, "not-json"), (3, "not-utf8"), *((place, "not-an-object") for place in (4, 5, 6))]
    assert not found.verbatim
    good = json.loads(GOOD)
    assert json.loads(found.payload) == [good, None, good, None, 7, [1, 2]]
    assert b"\r" not in found.payload


def test_lines_without_any_object_are_one_bad_record() -> None:
    found = decode(b'{\n"name": "soil",\n20\n"humidity')
    assert (found.rejected, found.payload, found.rejects[0].index) == (1, b"null", 0)


def test_only_the_first_rejects_are_listed_but_all_are_counted() -> None:
    found = decode(b"[" + b",".join([b"{}"] * 150 + [b"1"] * 50 + [GOOD]) + b"]")
    assert found.rejected == 200
    assert found.reasons == {"missing-field": 150, "not-an-object": 50}
    assert [reject.index for reject in found.rejects] == list(range(MAX_REJECTS))
    assert len(found.readings) == 1


def test_a_detail_does_not_carry_the_payload() -> None:
    for payload in (generation_2(humidity="x" * 5000), generation_1(timestamp="ü" * 5000), generation_2(name=["x"])):
        [reject] = decode(payload).rejects
        assert len(reject.detail) <= MAX_DETAIL
        assert reject.detail.isascii()


def test_the_answer_does_not_depend_on_the_stack() -> None:
    payload = b"[" * 60 + b"1" + b"]" * 60

    def deeper(levels: int) -> Decoded:
        return decode(payload) if levels == 0 else deeper(levels - 1)

    assert deeper(sys.getrecursionlimit() // 2) == decode(payload)


def test_a_large_batch_nests_no_deeper_than_a_small_one() -> None:
    assert len(decode(b"[" + b",".join([GOOD] * 500) + b"]").readings) == 500


@pytest.mark.parametrize(
    "text", [b'\\"' * 200_000 + b"[" * 100, b'"' * 200_001 + b"{" * 100, b'"\\' * 200_000 + b"[" * 100]
)
def test_quotes_without_end_take_no_quadratic_time(text: bytes) -> None:
    # Quadratic, this would take minutes.
    assert reason(text) == "not-json"


def check(data: bytes, found: Decoded) -> None:
    """What holds for the answer to any bytes."""
    assert found.rejected == sum(found.reasons.values())
    assert found.readings or found.rejected
    assert len(found.rejects) == min(found.rejected, MAX_REJECTS)
    assert set(found.reasons) <= set(REASONS)
    assert all(0 < len(reject.detail) <= MAX_DETAIL for reject in found.rejects)
    assert b"\n" not in found.payload
    assert b"\r" not in found.payload
    json.loads(found.payload)
    assert found.verbatim == (found.payload == data)
    for reading in found.readings:
        assert 0 < len(reading.device.encode()) <= 2048
        assert FIRST_MS <= reading.time_ms < END_MS
        assert reading.value is None or reading.value.is_finite()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals().map(str),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=3)
            | st.sampled_from(["name", "humidity", "timeStampEpoch", "sensorid", "value", "timestamp"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"\n{}\n\r{}")
def test_any_bytes_get_an_answer(data: bytes) -> None:
    check(data, decode(data))
    check(data, decode(data, TRACKER))


@given(JSON, st.sampled_from([None, 1]), st.booleans())
def test_any_json_gets_an_answer(value: object, indent: int | None, ascii_only: bool) -> None:
    data = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    check(data, decode(data))
    check(data, decode(data, TRACKER))


@given(st.data())
def test_a_damaged_payload_gets_an_answer(data: st.DataObject) -> None:
    whole = bytearray(
        data.draw(st.sampled_from([GOOD, generation_1(), b"[%b,%b]" % (GOOD, GOOD), GOOD + b"\n" + GOOD]))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(whole)))
        whole[start : start + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    check(bytes(whole), decode(bytes(whole)))


@given(st.lists(st.sampled_from([GOOD, b"{}", b"7", b"{", b"\xff", b" ", b"\r", GOOD[:-1] + b"\r}"]), max_size=8))
def test_lines_keep_their_order_and_number(lines: list[bytes]) -> None:
    data = b"\n".join(lines)
    found = decode(data)
    check(data, found)
    documents = [line for line in lines if line.strip()]
    if len(documents) > 1 and any(line.startswith(b"{") and line != b"{" for line in documents):
        assert len(json.loads(found.payload)) == len(documents) == len(found.readings) + found.rejected


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=5, min_value=-(10**30), max_value=10**30),
    st.booleans(),
    st.sampled_from(["{:f}", "{:e}"]),
)
def test_numbers_survive_exactly(number: Decimal, quoted: bool, form: str) -> None:
    text = form.format(number)
    value = f'"{text}"' if quoted else text
    assert one(f'{{"name":"soil","humidity":{value},"timeStampEpoch":{TIME}}}'.encode()).value == number


@given(st.integers(FIRST_MS, END_MS - 1))
@example(TIME)
def test_timestamps_are_those_of_the_calendar_and_can_be_read_back(time_ms: int) -> None:
    text = timestamp(time_ms)
    moment = datetime.fromtimestamp(time_ms // 1000, UTC).replace(microsecond=time_ms % 1000 * 1000)
    assert text == moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert one(generation_1(timestamp=text)).time_ms == time_ms


@settings(max_examples=5)
@given(st.integers())
def test_a_thousand_kinds_of_malformed_payload_are_rejected(seed: int) -> None:
    payloads = malformed(2500, seed)
    assert len(set(payloads)) == 2500
    assert payloads == malformed(2500, seed)
    for payload in payloads:
        found = decode(payload)
        check(payload, found)
        assert found.readings == [], payload[:200]


def test_there_are_more_than_a_thousand_kinds_and_every_reason_among_them() -> None:
    payloads = {payload for kind in KINDS for payload in kind()}
    assert len(payloads) > 1000
    reasons = {reject.reason for payload in payloads for reject in decode(payload).rejects}
    assert reasons == set(REASONS) - {
        "bad-aggregate",
        "decoder-failed",
        "time-in-future",
        "time-in-past",
    }  # which need more than bytes
