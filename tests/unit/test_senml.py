"""SenML by the rules of RFC 8428: base fields, relative times, versions, and what of a pack is no number."""

import json
from typing import Any

import cbor2
import pytest

from consumer.payload.contracts import Contracts
from consumer.payload.decode import decode
from consumer.payload.reading import Decoded

NOW = 1_745_700_010_000
T = 1_745_700_000
SENML = Contracts(["senml", "generation-2"])


def read(pack: object, arrival: int | None = NOW) -> Decoded:
    return decode(pack if isinstance(pack, bytes) else json.dumps(pack).encode(), SENML, "key", arrival)


def rows(pack: object) -> list[tuple[str, int, str]]:
    found = read(pack)
    assert found.rejects == []
    return [(reading.device, reading.time_ms, str(reading.value)) for reading in found.readings]


def test_base_fields_hold_until_they_change() -> None:
    pack = [
        {"bn": "urn:dev:", "bt": T, "bv": 20, "bu": "Cel", "n": "in", "v": 1.5},
        {"n": "out", "v": -3, "t": -5.5},
        {"bn": "urn:other:", "n": "in", "v": 2},
        {"bt": T + 1, "bv": 0, "v": 7},
    ]
    assert rows(pack) == [
        ("urn:dev:in", T * 1000, "21.5"),
        ("urn:dev:out", T * 1000 - 5500, "17"),
        ("urn:other:in", T * 1000, "22"),
        ("urn:other:", T * 1000 + 1000, "7"),
    ]


def test_times_below_2_to_the_28_are_relative_to_the_arrival() -> None:
    pack = [{"bn": "x", "v": 1}, {"v": 2, "t": -60}, {"v": 3, "t": 1.25}, {"v": 4, "t": T}]
    assert [time for _, time, _ in rows(pack)] == [NOW, NOW - 60_000, NOW + 1250, T * 1000]
    assert [reading.arrived for reading in read(pack).readings] == [True, True, True, False]
    assert [reject.reason for reject in read(pack, arrival=None).rejects] == ["bad-time"] * 3


def test_a_time_beyond_all_years_is_none() -> None:
    for time in (-1e11, -1e12, -1e100, 1e12, 1e100):
        assert [reject.reason for reject in read([{"n": "x", "v": 1, "t": time}]).rejects] == ["time-out-of-range"]


def test_of_several_packs_each_record_counts_once() -> None:
    found = read(b'[{"n":"a","v":"x"}][{"n":"b","v":"x"}]')
    assert [(reject.index, reject.reason) for reject in found.rejects] == [(0, "wrong-type"), (1, "wrong-type")]


def test_booleans_sums_and_what_is_no_number() -> None:
    pack = [
        {"bn": "x", "bt": T, "n": "open", "vb": True},
        {"n": "label", "vs": "hot"},
        {"n": "power", "u": "W", "v": 5, "s": 100, "bs": 7},
        {"n": "total", "s": 1},
        {"n": "raw", "vd": "aGk"},
    ]
    found = read(pack)
    assert found.rejects == []
    assert [(r.device, r.value, r.measures) for r in found.readings] == [
        ("xopen", 1, None),
        ("xpower", 5, {"sum": 107}),
        ("xtotal", None, {"sum": 8}),
    ]
    assert [reject.reason for reject in read([{"bn": "x", "vs": "only text"}]).rejects] == ["missing-field"]


def test_a_pack_in_cbor_has_numbers_for_labels() -> None:
    pack: list[dict[Any, Any]] = [{-2: "x", -3: T, 0: "a", 2: 1}, {0: "b", 2: 2.5, 6: 1}, {-2: "y", 0: "c", 4: False}]
    assert rows(cbor2.dumps(pack)) == [("xa", T * 1000, "1"), ("xb", T * 1000 + 1000, "2.5"), ("yc", T * 1000, "0")]


def test_a_record_of_base_fields_alone_is_no_reading_and_no_reject() -> None:
    assert rows([{"bn": "x", "bt": T}, {"n": "a", "v": 1}]) == [("xa", T * 1000, "1")]
    assert rows({"bn": "x", "bt": T, "v": 1}) == [("x", T * 1000, "1")]


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ({"n": "a"}, "missing-field"),
        ({"n": "a", "v": "1"}, "wrong-type"),
        ({"n": 5, "v": 1}, "wrong-type"),
        ({"n": "a", "v": 1, "t": "now"}, "wrong-type"),
        ({"n": "a", "v": 1, "t": 10**9}, "time-in-future"),
        ({"n": "a", "v": 1, "t": 10**12}, "time-out-of-range"),
        ({"n": "a" * 3000, "v": 1}, "too-long"),
    ],
)
def test_a_bad_record_costs_itself_alone(second: object, reason: str) -> None:
    found = read([{"bn": "x", "bt": T, "v": 1}, second, {"n": "b", "v": 3}])
    assert [(reject.index, reject.reason) for reject in found.rejects] == [(1, reason)]
    assert [reading.device for reading in found.readings] == ["x", "xb"]


@pytest.mark.parametrize("second", [{"bn": "y", "bt": "z", "v": 1}, {"must_": 1, "v": 1}, {"bver": 99, "v": 1}, 7])
def test_where_a_base_is_not_known_nothing_is_guessed(second: object) -> None:
    found = read([{"bn": "x", "bt": T, "v": 1}, second, {"n": "b", "v": 3}, {"bn": "z", "bt": T, "v": 4}])
    assert [reject.index for reject in found.rejects] == [1, 2]
    assert [reading.device for reading in found.readings] == ["x", "z"]


def test_versions_and_unknown_labels() -> None:
    for more in ({"bver": 10}, {"bver": 26}, {"bver": 5}, {"extra": 1}):
        assert rows([{"bn": "x", "bt": T, "v": 1, **more}]) == [("x", T * 1000, "1")]


def test_other_arrays_are_left_to_the_other_contracts() -> None:
    good = {"name": "s", "humidity": 2, "timeStampEpoch": T}
    assert rows([good, good]) == [("s", T * 1000, "2")] * 2
    assert [reject.reason for reject in read([good, {"bt": T}]).rejects] == ["missing-field"]
