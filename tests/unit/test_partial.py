"""One bad part never takes the good ones along: arrays, values one after the other, and text that is not quite JSON."""

import gzip
import json

import pytest

from consumer.payload.contract import Contract
from consumer.payload.contracts import DEFAULT, Contracts
from consumer.payload.decode import decode
from consumer.payload.encodings import MAX_EXPANDED
from consumer.payload.json_text import MAX_SAVED

TIME = 1_745_700_005_000
MEASURED = Contracts(
    [
        Contract(name="one", device="name", time="timeStampEpoch", value="humidity", measures=["t"]),
        Contract(name="many", each="list", device="name", time="timeStampEpoch", value="humidity"),
    ]
)


def good(name: str) -> str:
    return f'{{"name":"{name}","humidity":36,"timeStampEpoch":{TIME}}}'


def names(text: str | bytes, contracts: Contracts = DEFAULT) -> tuple[list[str], list[tuple[int, str]]]:
    found = decode(text if isinstance(text, bytes) else text.encode(), contracts, "key", TIME)
    assert json.loads(found.payload) is None or not found.verbatim or found.payload == text
    return [reading.device for reading in found.readings], [(each.index, each.reason) for each in found.rejects]


A, B, C = good("a"), good("b"), good("c")


@pytest.mark.parametrize(
    "broken",
    [
        B.replace("36", "NaN"),
        B.replace("36", "-Infinity"),
        B.replace("36", "nan"),
        B.replace("36", "36,5"),
        B.replace("36", ""),
        B.replace("36", "01"),
        B.replace("}", ",}"),
        B.replace('"name":"b"', "'name':'b'"),
        B.replace('"b"', '"b'),
        B.replace(":36", "36"),
        B.replace(",", ""),
        '{"name":"b"]',
        "b",
        "NaN",
        '{"a":{"b":{',
    ],
)
def test_a_reading_that_is_no_json_costs_itself_alone(broken: str) -> None:
    if broken.count("{") == broken.count("}") and broken.count('"') % 2 == 0:
        assert names(f"[{A},{broken},{C}]") == (["a", "c"], [(1, "not-json")])
        assert names(f"[{A},\n{broken},\n{C}]") == (["a", "c"], [(1, "not-json")])
        assert names(f'{{"list":[{A},{broken},{C}]}}', MEASURED) == (["a", "c"], [(1, "not-json")])
    assert names(f"{A}\n{broken}\n{C}") == (["a", "c"], [(1, "not-json")])
    assert names(broken)[0] == []


@pytest.mark.parametrize("between", ["", " ", ",", "\n", "\r\n", " ,\n", "\x1e", "\t", "\0"])
def test_values_one_after_the_other_are_each_read(between: str) -> None:
    assert names(between.join([A, B, C])) == (["a", "b", "c"], [])
    assert names(between.join([A, f"[{B},{C}]"])) == (["a", "b", "c"], [])
    pretty = [json.dumps(json.loads(each), indent=1) for each in (A, B)]
    assert names(between.join(pretty)) == (["a", "b"], [])


def test_commas_too_many_cost_nothing() -> None:
    assert names(f"[{A},{B},]") == (["a", "b"], [])
    assert names(f"[{A},,{B}]") == (["a", "b"], [])
    assert names(f"{A},") == (["a"], [])
    assert names("[,]") == ([], [(0, "empty")])


def test_what_follows_a_value_and_is_none_is_a_reject_of_its_own() -> None:
    for rest in ("}", "]", ";", "//", "x", "{", '"', "NaN", "\x1a"):
        assert names(A + rest) == (["a"], [(1, "not-json")])
    assert names(A + "{}") == (["a"], [(1, "missing-field")])


def test_what_stands_between_two_values_costs_neither() -> None:
    for between in ("}", "]", ";", " // ", '"'):
        assert names(A + between + B + C) == (["a", "b", "c"], [(1, "not-json")])


def test_what_was_cut_off_keeps_what_is_whole() -> None:
    whole = f"[{A},{B},{C}]"
    for end in range(len(whole) - 1, len(A) + 1, -1):
        found, rejects = names(whole[:end])
        assert found == ["a", "b", "c"][: (end - 1) // (len(A) + 1) + (end % (len(A) + 1) == 0)]
        assert [reason for _, reason in rejects] == ["not-json"]
    assert names(A + B[:-1]) == (["a"], [(1, "not-json")])


def test_a_measure_that_is_no_json_costs_the_measure() -> None:
    text = A.replace("}", ',"t":NaN}')
    assert names(text, MEASURED) == (["a"], [])
    assert decode(text.encode(), MEASURED, "key", TIME).readings[0].measures is None
    assert names(text) == (["a"], [])  # what no contract names is nobody's loss


def test_a_byte_that_is_no_text_costs_its_field_alone() -> None:
    degree = A.encode().replace(b"}", b',"unit":"\xb0C"}')
    assert names(degree) == (["a"], [])
    assert names(A.encode().replace(b'"a"', b'"\xb0"')) == ([], [(0, "not-utf8")])


def test_the_line_of_the_archive_has_null_for_what_is_no_json() -> None:
    found = decode(f"{A}\n{{oops\n{B}".encode(), DEFAULT, "key", TIME)
    assert json.loads(found.payload) == [json.loads(A), None, json.loads(B)]
    assert decode(f"[{A},NaN]".encode(), DEFAULT, "key", TIME).payload == b"null"


def test_a_long_text_is_not_searched_for_what_can_be_saved() -> None:
    padded = f"[{A},NaN{' ' * MAX_SAVED}]"
    assert names(padded) == ([], [(0, "not-json")])


def test_a_bomb_is_a_reject() -> None:
    assert names(gzip.compress(b"[" + b" " * MAX_EXPANDED)) == ([], [(0, "too-large")])
    assert names(gzip.compress(A.encode())[:-9]) == ([], [(0, "bad-encoding")])


@pytest.mark.parametrize(
    "text", ["{\n" * 100_000, "[\n" * 100_000, '{"a":[' * 50_000, "{}x\n" * 50_000, '"\n' * 100_000]
)
def test_hostile_text_takes_no_quadratic_time(text: str) -> None:
    # Quadratic, this would take minutes.
    found = decode(text.encode())
    assert found.readings == []
    assert found.rejected
