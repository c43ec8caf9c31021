"""Reading contracts by example: messages shaped as devices and gateways send them, and the readings they give."""

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import cbor2
import msgspec
import pytest

from consumer.payload.contract import ContractError, parse
from consumer.payload.contracts import DEFAULT, Contracts
from consumer.payload.decode import decode
from consumer.payload.reading import Decoded

ARRIVAL = 1_745_700_010_000  # 2025-04-26T20:40:10Z
SECONDS = 1_745_700_005
TIME = SECONDS * 1000
KEY = "gate-3"
Row = tuple[str, int, str | None, dict[str, str] | None]

SOIL = {"device": "id", "time": "at", "value": "wet"}
BUILT_IN = {"name": "s1", "humidity": 41.5, "timeStampEpoch": TIME}


def contracts(*entries: object) -> Contracts:
    return Contracts(parse(json.dumps(entries).encode())) if entries else DEFAULT


def read(payload: object, *entries: object, arrival: int | None = ARRIVAL) -> Decoded:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return decode(data, contracts(*entries), KEY, arrival)


def rows(found: Decoded) -> list[Row]:
    return [
        (
            reading.device,
            reading.time_ms,
            None if reading.value is None else str(reading.value),
            {name: str(value) for name, value in reading.measures.items()} if reading.measures else None,
        )
        for reading in found.readings
    ]


def reasons(found: Decoded) -> list[str]:
    return [reject.reason for reject in found.rejects]


@pytest.mark.parametrize(
    ("payload", "entry", "wanted"),
    [
        pytest.param(
            {"deviceID": "c0ffee", "timeStamp": SECONDS, "data": {"temp_C": 18.5, "humidity": 39}},
            {"device": "deviceID", "time": "timeStamp", "value": "data.humidity", "measures": {"t": "data.temp_C"}},
            [("c0ffee", TIME, "39", {"t": "18.5"})],
            id="a sketch with seconds and nested values",
        ),
        pytest.param(
            {"dev": "0007", "time": f"{SECONDS}", "celsius": "25.50"},
            {"device": "dev", "time": "time", "value": "celsius"},
            [("0007", TIME, "25.50", None)],
            id="numbers as strings",
        ),
        pytest.param(
            {"temperature": 9.1, "linkquality": 120, "humidity": 80.2, "battery": 67},
            {"device": "$partitionKey", "time": "$arrival", "value": "humidity",
             "measures": ["temperature", "battery", "linkquality"]},
            [(KEY, ARRIVAL, "80.2", {"temperature": "9.1", "battery": "67", "linkquality": "120"})],
            id="neither device nor time",
        ),
        pytest.param(
            {"temperature": 9.1, "humidity": 80.2},
            {"device": "$partitionKey", "time": "$arrival", "sensors": ["temperature", "humidity", "pressure"]},
            [(f"{KEY}/temperature", ARRIVAL, "9.1", None), (f"{KEY}/humidity", ARRIVAL, "80.2", None)],
            id="each sensor a series of its own",
        ),
        pytest.param(
            {"Time": "2025-04-26T22:40:05", "AM2301": {"Temperature": 21, "Humidity": 55.1}},
            {"device": "$partitionKey", "time": "Time", "time_zone": "Europe/Madrid", "value": "AM2301.Humidity"},
            [(KEY, TIME, "55.1", None)],
            id="local time without a zone",
        ),
        pytest.param(
            {"model": "Tower", "id": 77, "at": SECONDS, "wet": 45},
            {"device": "{model}-{id}", "time": "at", "value": "wet"},
            [("Tower-77", TIME, "45", None)],
            id="a name made of two fields",
        ),
        pytest.param(
            {"end_device_ids": {"device_id": "n9"}, "received_at": "2025-04-26T20:40:05.000999999Z",
             "uplink_message": {"decoded": {"wet": 4.50}}},
            {"device": "end_device_ids.device_id", "time": "received_at", "value": "uplink_message.decoded.wet"},
            [("n9", TIME, "4.5", None)],
            id="a deep uplink with nanoseconds",
        ),
        pytest.param(
            {"esp": "B2", "ts": TIME, "cells": [3301, 3299], "t": [25, 27]},
            {"device": "esp", "time": "ts", "value": "cells[0]", "measures": {"last": "t[-1]", "third": "t[2]"}},
            [("B2", TIME, "3301", {"last": "27"})],
            id="elements of arrays",
        ),
        pytest.param(
            {"id": "buoy", "at": TIME, "o2": 79.5},
            {"device": "id", "time": "at", "measures": ["ph", "o2"]},
            [("buoy", TIME, None, {"o2": "79.5"})],
            id="measures without a value, some there",
        ),
        pytest.param(
            {"id": "b", "at": TIME, "wet": 7.1, "full": True, "open": False},
            SOIL | {"measures": ["full", "open"]},
            [("b", TIME, "7.1", {"full": "1", "open": "0"})],
            id="booleans",
        ),
        pytest.param(
            {"id": "b", "at": TIME, "wet": 7.1, "t": "N/A", "u": None, "v": [1], "w": "NaN", "x": "2"},
            SOIL | {"measures": ["t", "u", "v", "w", "x"]},
            [("b", TIME, "7.1", {"x": "2"})],
            id="measures that are no numbers",
        ),
        pytest.param(
            {"dev.id": "x", "soil, wet": 2, "at time": TIME},
            {"device": '"dev.id"', "time": '"at time"', "value": '"soil, wet"'},
            [("x", TIME, "2", None)],
            id="keys with dots, commas and blanks",
        ),
        pytest.param(
            {"gateway": "g", "sent": TIME, "list": [{"n": 1, "wet": 5}, {"n": 2, "wet": 6}]},
            {"each": "list", "device": "{$.gateway}-{n}", "time": "$.sent", "value": "wet"},
            [("g-1", TIME, "5", None), ("g-2", TIME, "6", None)],
            id="an envelope whose fields belong to all its readings",
        ),
        pytest.param(
            {"Time": f"{SECONDS}", "SHT": {"H": 50}, "DHT": {"H": 51}, "Unit": "C"},
            {"each": "@", "device": "{$partitionKey}/{$key}", "time": "$.Time", "value": "H"},
            [(f"{KEY}/SHT", TIME, "50", None), (f"{KEY}/DHT", TIME, "51", None)],
            id="an object of readings by their names",
        ),
        pytest.param(
            {"gate": "g", "devices": [{"n": 1, "list": [{"at": TIME, "wet": 5}, {"at": TIME + 1, "wet": 6}]},
                                      {"n": 2, "list": [{"at": TIME, "wet": 7}]}]},
            {"each": ["devices", "list"], "device": "{$.gate}/{$1.n}", "time": "at", "value": "wet"},
            [("g/1", TIME, "5", None), ("g/1", TIME + 1, "6", None), ("g/2", TIME, "7", None)],
            id="lists within a list",
        ),
        pytest.param(
            {"id": "m", "points": [[TIME, 1.5], [TIME + 1, 2.5]]},
            {"each": "points", "device": "$.id", "time": "[0]", "value": "[1]"},
            [("m", TIME, "1.5", None), ("m", TIME + 1, "2.5", None)],
            id="readings as arrays",
        ),
        pytest.param(
            {"id": 4, "at": TIME, "wet": 2, "t": 1.5, "unit": "C", "x": None, "ok": True, "more": {"y": 1}, "": 3},
            SOIL | {"measures": {"*": "@"}},
            [("4", TIME, "2", {"t": "1.5", "ok": "1"})],
            id="all numbers of a message",
        ),
        pytest.param(
            {"id": "n", "at": TIME, "data": {"wet": 2, "t": 1.5, "rows": [1]}},
            {"device": "id", "time": "at", "value": "data.wet", "sensors": {"*": "data"}},
            [("n", TIME, "2", None), ("n/t", TIME, "1.5", None)],
            id="all numbers of an object as series",
        ),
        pytest.param(
            {"id": "f", "at": TIME, "cells": [3.1, 3.2], "list": [{"k": "wet", "v": 3}, {"k": "dry", "v": 4}]},
            {"device": "id", "time": "at", "value": "list[?k=='dry'].v | [0]",
             "measures": {"mean": "avg(cells)", "most": "max(cells)", "wrong": "sum(id)"}},
            [("f", TIME, "4", {"mean": "3.15", "most": "3.2"})],
            id="JMESPath with filters and functions",
        ),
        pytest.param(
            {"id": "f", "at": TIME, "list": [{"k": "wet", "v": 3}, {"k": "dry", "v": 4}]},
            {"device": "id", "time": "at", "value": "list[?k==`dry`].v | [0]"},
            [("f", TIME, "4", None)],
            id="a text in back quotes, as the examples of AWS write it",
        ),
    ],
)  # fmt: skip
def test_a_contract_reads_the_messages_of_its_fleet(payload: object, entry: object, wanted: list[Row]) -> None:
    found = read(payload, entry)
    assert rows(found) == wanted
    assert found.rejects == []


@pytest.mark.parametrize("time", [SECONDS, TIME, TIME * 1000 + 7, TIME * 10**6 + 7, f"{TIME}", SECONDS + 0.0,
                                  f"{SECONDS}.0004", "2025-04-26T20:40:05Z", "2025-04-26 22:40:05+0200",
                                  "2025-04-26T20:40:05.00000000001Z", "20250426T204005Z", "2025-04-26T20:40:05 +00",
                                  "2025-04-26 20:40:05 UTC", "2025-04-26T20:40:05GMT",
                                  "Sat, 26 Apr 2025 20:40:05 GMT", "26 Apr 2025 16:40:05 -0400"])  # fmt: skip
def test_the_unit_of_a_time_follows_from_its_magnitude_and_its_form_from_itself(time: object) -> None:
    assert rows(read(BUILT_IN | {"timeStampEpoch": time})) == [("s1", TIME, "41.5", None)]
    assert rows(read({"sensorid": "s1", "value": 41.5, "timestamp": time})) == [("s1", TIME, "41.5", None)]


def test_an_exponent_is_a_number_as_any() -> None:
    assert rows(read(b'{"name":"s1","humidity":4,"timeStampEpoch":1.745700005e12}')) == [("s1", TIME, "4", None)]


def test_a_clock_at_1970_is_rejected_or_replaced_by_the_arrival() -> None:
    stale = BUILT_IN | {"timeStampEpoch": 12345}
    assert reasons(read(stale)) == ["time-out-of-range"]
    lenient = {"device": "name", "time": "timeStampEpoch", "value": "humidity", "bad_time": "arrival"}
    for time in (12345, None, "soon", ARRIVAL + 10**9):
        [reading] = read(stale | {"timeStampEpoch": time}, lenient).readings
        assert (reading.time_ms, reading.arrived) == (ARRIVAL, True)
    [reading] = read(BUILT_IN, lenient).readings
    assert (reading.time_ms, reading.arrived) == (TIME, False)
    assert reasons(read(stale, lenient, arrival=None)) == ["bad-time"]


def test_no_reading_is_far_ahead_of_its_arrival() -> None:
    day = 86_400_000
    assert rows(read(BUILT_IN | {"timeStampEpoch": ARRIVAL + day}))
    assert reasons(read(BUILT_IN | {"timeStampEpoch": ARRIVAL + day + 1})) == ["time-in-future"]
    assert rows(read(BUILT_IN | {"timeStampEpoch": ARRIVAL + day + 1}, arrival=None))
    bounded = SOIL | {"max_future_seconds": 0, "max_past_seconds": 60}
    for offset, expected in ((1, "time-in-future"), (0, None), (-60_000, None), (-60_001, "time-in-past")):
        found = read({"id": 1, "wet": 2, "at": ARRIVAL + offset}, bounded)
        assert reasons(found) == ([expected] if expected else [])


def test_a_time_that_no_clock_shows_is_told() -> None:
    local = SOIL | {"time_zone": "Europe/Berlin"}
    [reject] = read({"id": 1, "wet": 2, "at": "2025-03-30T02:30:00"}, local).rejects
    assert (reject.reason, "Europe/Berlin" in reject.detail) == ("bad-time", True)
    assert read({"id": 1, "wet": 2, "at": "2024-10-27T02:30:00"}, local).readings[0].time_ms == 1_729_989_000_000
    assert reasons(read({"id": 1, "wet": 2, "at": "2025-03-30T02:30:00"}, SOIL)) == ["bad-time"]


def test_the_first_contract_whose_paths_are_there_reads_a_message() -> None:
    two = ({"name": "wet", **SOIL}, {"name": "dry", "device": "id", "time": "at", "value": "dry"}, "generation-2")
    found = read([{"id": "a", "at": TIME, "dry": 1, "wet": 2}, {"id": "b", "at": TIME, "dry": 3}, BUILT_IN], *two)
    assert [row[2] for row in rows(found)] == ["2", "3", "41.5"]
    [reject] = read({"id": "c", "at": TIME, "damp": 1}, *two).rejects
    assert (reject.reason, reject.detail) == ("missing-field", "no contract reads it; wet comes nearest and lacks wet")
    [reject] = read({"at": TIME}, {"device": "id", "time": "at", "measures": ["x", "y"]}).rejects
    assert reject.detail == "lacks id, any of x, y"


def test_readings_of_one_list_may_be_of_several_kinds() -> None:
    kinds = [{"each": "list", "device": "n", "time": "at", "value": field} for field in ("wet", "dry")]
    payload = {"list": [{"n": "a", "at": TIME, "wet": 1}, {"n": "b", "at": TIME, "dry": 2}, {"n": "c"}, 7]}
    found = read(payload, *kinds)
    assert [row[0] for row in rows(found)] == ["a", "b"]
    assert [(reject.index, reject.reason) for reject in found.rejects] == [(2, "missing-field"), (3, "not-an-object")]
    after = read([payload, {"n": 1}], *kinds)
    assert [reject.index for reject in after.rejects] == [2, 3, 4]
    assert reasons(read({"list": []}, *kinds)) == ["empty"]
    assert reasons(read({"list": "x"}, *kinds)) == ["missing-field"]


def test_an_inner_list_that_is_missing_costs_its_element_alone() -> None:
    nested = {"each": ["a", "b"], "device": "$1.n", "time": "$arrival", "value": "v"}
    found = read({"a": [{"n": "x", "b": [{"v": 1}, {}]}, {"n": "y"}, 7, {"n": "z", "b": [{"v": 2}]}]}, nested)
    assert [row[0] for row in rows(found)] == ["x", "z"]
    assert [reject.index for reject in found.rejects] == [1, 2, 3]
    assert reasons(read({"b": []}, nested)) == ["missing-field"]
    with pytest.raises(ContractError, match=r"\[0\].device: '\$2.n' is none of"):
        contracts(nested | {"device": "$2.n"})


def test_lists_within_lists_without_any_element_are_told_as_an_empty_list_is() -> None:
    nested = {"each": ["gates", "list"], "device": "n", "time": "$arrival", "value": "v"}
    assert reasons(read({"gates": []}, nested)) == ["empty"]
    assert reasons(read({"gates": [{"list": []}, {"list": []}]}, nested)) == ["empty"]
    found = read({"gates": [{"list": []}, {"list": [{"n": "a", "v": 1}]}]}, nested)
    assert (rows(found), found.rejects) == ([("a", ARRIVAL, "1", None)], [])


def test_numbers_are_counted_by_what_became_of_them() -> None:
    several = contracts({"name": "soil", **SOIL, "measures": ["t", "u", "v"]})
    for t in (1, "N/A", None):
        decode(json.dumps({"id": 1, "at": TIME, "wet": 1, "t": t, "u": 2}).encode(), several, KEY, ARRIVAL)
    [usage] = several.usages()
    assert (usage.name, usage.matched) == ("soil", 3)
    assert usage.missing == {"t": 0, "u": 0, "v": 3}
    assert usage.unusable == {"t": 2, "u": 0, "v": 0}


def test_all_numbers_of_a_message_are_bounded() -> None:
    everything = contracts({"device": "$partitionKey", "time": "$arrival", "measures": {"*": "@"}})
    many = {f"n{place}": place for place in range(300)} | {"x" * 256: 1}
    [reading] = decode(json.dumps(many).encode(), everything, KEY, ARRIVAL).readings
    assert list(reading.measures or {}) == [f"n{place}" for place in range(200)]
    assert everything.usages()[0].unusable == {"*": 101}
    decode(b'{"a":NaN,"b":1e200,"c":null,"d":"C","e":1}', everything, KEY, ARRIVAL)
    assert everything.usages()[0].unusable == {"*": 103}  # what is no number to its sender is not counted
    assert reasons(decode(b'{"unit":"C"}', everything, KEY, ARRIVAL)) == ["missing-field"]
    assert reasons(decode(b"21.5", everything, KEY, ARRIVAL)) == ["not-an-object"]  # it has no name
    assert reasons(decode(b"online", everything, KEY, ARRIVAL)) == ["not-json"]


def test_a_message_whose_measures_are_all_no_numbers_is_no_reading() -> None:
    for kind in ("measures", "sensors"):
        found = read({"id": 1, "at": TIME, "x": "N/A"}, {"device": "id", "time": "at", kind: ["x", "y"]})
        assert reasons(found) == ["missing-field"]


def test_what_is_read_of_gzip_cbor_and_messagepack_is_the_same() -> None:
    plain = json.dumps(BUILT_IN).encode()
    wanted = [("s1", TIME, "41.5", None)]
    for data in (
        gzip.compress(plain),
        gzip.compress(plain[:20]) + gzip.compress(plain[20:]),
        cbor2.dumps(BUILT_IN),
        cbor2.dumps([BUILT_IN]),
        cbor2.dumps(cbor2.CBORTag(55799, BUILT_IN)),
        cbor2.dumps(BUILT_IN | {"humidity": Decimal("41.5")}),
        msgspec.msgpack.encode(BUILT_IN),
        msgspec.msgpack.encode([BUILT_IN]),
        gzip.compress(msgspec.msgpack.encode(BUILT_IN)),
        b"\xef\xbb\xbf" + plain + b"\0\0",
    ):
        found = read(data)
        assert (rows(found), found.verbatim) == (wanted, False)
    assert read(gzip.compress(plain)).payload == plain
    assert read(cbor2.dumps(BUILT_IN)).payload == b"null"


def test_what_json_has_no_kind_for_is_text_a_time_or_no_value() -> None:
    moment = datetime(2025, 4, 26, 20, 40, 5, tzinfo=UTC)
    message: dict[Any, Any] = {"id": b"\x0a\xff", "at": moment, "wet": 1, "u": cbor2.undefined, "f": float("nan"), 5: 6}
    fleet = SOIL | {"measures": ["u", "f", "big", "tag", "wide"]}
    more = {"big": 2**9000, "tag": cbor2.CBORTag(4711, 1), "wide": Decimal("Infinity")}
    assert rows(read(cbor2.dumps(message | more), fleet)) == [("0aff", TIME, "1", None)]
    assert rows(read(msgspec.msgpack.encode(message | {"u": None}), fleet)) == [("0aff", TIME, "1", None)]
    assert reasons(read(cbor2.dumps(message | {"at": cbor2.CBORTag(4711, 1)}), fleet)) == ["wrong-type"]
    deep: Any = 1
    for _ in range(70):
        deep = [deep]
    assert reasons(read(msgspec.msgpack.encode([deep]), fleet)) == ["bad-encoding"]


def test_a_key_that_is_a_whole_number_is_its_text() -> None:
    fleet = {"device": '"0"', "time": "$arrival", "value": 'data."1"', "measures": {"*": "data"}}
    for encode in (cbor2.dumps, msgspec.msgpack.encode):
        found = read(encode({0: "a", "data": {1: 5, -2: 6}}), fleet)
        assert rows(found) == [("a", ARRIVAL, "5", {"-2": "6"})]


def test_a_contract_may_be_for_one_encoding() -> None:
    binary = SOIL | {"encoding": "cbor"}
    message: dict[str, Any] = {"id": "a", "at": TIME, "wet": 1}
    assert rows(read(cbor2.dumps(message), binary))
    assert reasons(read(message, binary)) == ["missing-field"]
    assert reasons(read(msgspec.msgpack.encode(message), binary)) == ["missing-field"]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"device": "a", "time": "b", "value": "c", "unit": "d"}, "[0]: Object contains unknown field `unit`"),
        ({"device": "a", "time": "b"}, "[0]: names neither value nor measures nor sensors"),
        ({"device": "a", "time": "b", "value": "c..d"}, "[0].value: 'c..d' is not JMESPath"),
        ({"device": "a", "time": "b", "value": "PM2-5"}, "quote a key with other signs"),
        ({"device": "a", "time": "b", "value": "median(c)"}, "[0].value: there is no function median()"),
        ({"device": "{a", "time": "b", "value": "c"}, "[0].device: '{a' is no template"),
        ({"device": '`"\\ud800"`', "time": "b", "value": "c"}, "[0].device: "),
        ({"device": "$arrival", "time": "b", "value": "c"}, "[0].device: $arrival is for a time only"),
        ({"device": "$key", "time": "b", "value": "c"}, "[0].device: '$key' is none of"),
        ({"device": "a", "time": "b", "value": "c", "time_zone": "CEST"}, "[0].time_zone: 'CEST' is no time zone"),
        ({"device": "a", "time": "b", "measures": {"x": "]"}}, "[0].measures.x: ']' is not JMESPath"),
        ({"device": "a", "time": "b", "measures": ["x", "]"]}, "[0].measures[1]: ']' is not JMESPath"),
        ({"device": "a", "time": "b", "measures": ["x", "x"]}, "[0].measures: names a path twice"),
        ({"device": "a", "time": "b", "measures": ["a" * 256]}, "[0].measures[0]: has a name of more than 255 bytes"),
        ({"device": "a", "time": "b", "sensors": {"x" * 256: "a"}}, "has a name of more than 255 bytes"),
        ({"device": "a", "time": "b", "measures": [f"a{n}" for n in range(201)]}, "[0].measures: Expected `array`"),
        ({"each": "[", "device": "a", "time": "b", "value": "c"}, "[0].each: '[' is not JMESPath"),
        ({"device": "a", "time": "b", "value": "c", "bad_time": "now"}, "[0].bad_time: Invalid enum value 'now'"),
    ],
)
def test_a_contract_that_cannot_be_meant_is_refused(entry: object, told: str) -> None:
    with pytest.raises(ContractError) as raised:
        contracts(entry)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (SOIL, SOIL | {"measures": ["t"]}),
        ({"device": "$partitionKey", "time": "$arrival", "value": "humidity"}, "generation-2"),
        ({"device": "id", "time": "at", "measures": ["wet", "x"]}, SOIL),
        ({"device": "id", "time": "at", "sensors": ["x", "y"]}, {"device": "id", "time": "at", "measures": ["y"]}),
    ],
)
def test_a_contract_that_another_hides_is_refused(first: object, second: object) -> None:
    with pytest.raises(ContractError, match=r"\[1\]: never reads a message"):
        contracts(first, second)


def test_the_more_special_contract_may_stand_before_the_general_one() -> None:
    assert contracts("generation-2", {"device": "$partitionKey", "time": "$arrival", "value": "humidity"})
    assert contracts({"device": "id", "time": "at", "measures": ["x"]}, SOIL)
    assert contracts(SOIL | {"encoding": "cbor"}, SOIL)
    assert contracts(SOIL | {"each": "list"}, SOIL)
