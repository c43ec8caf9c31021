"""The bodies of BatchWriteItem are those that botocore makes, whatever names and numbers readings have."""

import json
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
import pytest
from botocore.serialize import create_serializer
from botocore.session import get_session
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumer.aws.errors import NotUnderstood
from consumer.payload.reading import Reading
from consumer.payload.times import END_MS, FIRST_MS, timestamp
from consumer.payload.values import number
from consumer.sinks.rows import body, list_request, put_request, unprocessed

NAMES = st.text(st.characters(exclude_categories=()), min_size=1)  # surrogates, too
NUMBERS = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=Decimal("-9E35"), max_value=Decimal("9E35"), places=2
)
VALUES = st.one_of(NUMBERS, st.integers(-(10**38), 10**38), st.sampled_from(["1E-130", "9.9E+125", "-0", "20.10"])).map(
    lambda given: number(given, "value")
)
READINGS = st.builds(
    Reading,
    NAMES,
    st.integers(FIRST_MS, END_MS - 1),
    st.none() | VALUES,
    st.none() | st.dictionaries(NAMES, VALUES, max_size=4),
    st.booleans(),
)


@cache
def operation() -> Any:
    return get_session().get_service_model("dynamodb").operation_model("BatchWriteItem")


def botocores(table: str, rows: list[tuple[Reading, int | None]]) -> Any:
    """What botocore sends for these rows, put together as its users do."""
    requests = []
    for reading, expires in rows:
        item: dict[str, Any] = {"SensorId": {"S": reading.device}, "Timestamp": {"S": timestamp(reading.time_ms)}}
        if reading.value is not None:
            item["Value"] = {"N": str(reading.value)}
        if reading.measures:
            item["Measures"] = {"M": {name: {"N": str(value)} for name, value in reading.measures.items()}}
        if reading.arrived:
            item["TimeSource"] = {"S": "arrival"}
        if expires is not None:
            item["ExpiresAt"] = {"N": str(expires)}
        requests.append({"PutRequest": {"Item": item}})
    asked: Any = {"RequestItems": {table: requests}}
    serialized: Any = create_serializer("json", include_validation=False)
    return json.loads(serialized.serialize_to_request(asked, operation())["body"])


@settings(max_examples=1000)
@given(st.lists(st.tuples(READINGS, st.none() | st.integers(0, 5_000_000_000)), min_size=1, max_size=25))
@example([(Reading('"\\/\b\f\n\r\t\x00\x1f\x7f\u2028\ud800é😀', FIRST_MS, Decimal("1.50"), {'"': Decimal(-1)}), 0)])
def test_a_body_is_botocores(rows: list[tuple[Reading, int | None]]) -> None:
    made = body({"rows.of-1": [put_request(*row) for row in rows]})
    assert json.loads(made) == botocores("rows.of-1", rows)


def test_unprocessed_rows_are_returned_as_requests_that_can_be_sent_again() -> None:
    sent = [put_request(Reading(f"dé{n}", FIRST_MS + n, Decimal(n), None), None) for n in range(3)]
    left = [json.loads(text) for text in sent[1:]]
    # as DynamoDB writes it (no escapes), and with blanks as others do
    for answer in (
        json.dumps({"UnprocessedItems": {"rows": left}}, ensure_ascii=False, separators=(",", ":")).encode(),
        json.dumps({"ConsumedCapacity": [], "UnprocessedItems": {"rows": left}}, indent=1).encode(),
    ):
        found = unprocessed(answer, {"rows": sent})
        assert [json.loads(text) for text in found["rows"]] == left
        assert json.loads(body(found)) == {"RequestItems": {"rows": left}}


def test_one_body_holds_requests_to_two_tables_and_its_answer_what_both_have_left() -> None:
    reading = Reading("d", FIRST_MS, Decimal(1), None)
    sent = {"rows": [put_request(reading, None)], "devices": [list_request(reading, None)]}
    asked = json.loads(body(sent))["RequestItems"]
    assert asked == {table: [json.loads(text)] for table, (text,) in sent.items()}
    answer = json.dumps({"UnprocessedItems": asked}).encode()
    assert json.loads(body(unprocessed(answer, sent)))["RequestItems"] == asked
    with pytest.raises(NotUnderstood):
        unprocessed(answer, {"rows": sent["rows"]})


PUT = b'{"PutRequest":{"Item":{}}}'
SENT = {"rows": [PUT.decode()] * 3}


@pytest.mark.parametrize(
    "answer", [b'{"UnprocessedItems":{}}', b' {"UnprocessedItems": {} }', b'{"UnprocessedItems":{"rows":[]}}']
)
def test_nothing_is_left_where_the_answer_says_so(answer: bytes) -> None:
    assert unprocessed(answer, SENT) == {}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b"<html>",
        b'{"UnprocessedItems":null}',
        b'{"UnprocessedItems":[]}',
        b'{"UnprocessedItems":{"rows":null}}',
        b'{"UnprocessedItems":{"rows":[null]}}',
        b'{"UnprocessedItems":{"rows":[{"DeleteRequest":{}}]}}',
        b'{"UnprocessedItems":{"other":[%b]}}' % PUT,
        b'{"UnprocessedItems":{"rows":[%b]}}' % b",".join([PUT] * 4),
        b'{"UnprocessedItems":{"rows":[%b]}' % PUT,
        b'{"UnprocessedItems":{"rows":[{"PutRequest":{"Item":{"SensorId":{"S":"\xff"}}}}]}}',
        b'{"UnprocessedItems":{}}{"UnprocessedItems":{}}',
    ],
)
def test_an_answer_that_does_not_say_what_was_written_is_no_success(answer: bytes) -> None:
    with pytest.raises(NotUnderstood):
        unprocessed(answer, SENT)


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda each: (
            st.lists(each) | st.dictionaries(st.sampled_from(["UnprocessedItems", "rows", "PutRequest"]), each)
        ),
    ).map(msgspec.json.encode)
)
def test_any_other_answer_is_understood_or_refused(answer: bytes) -> None:
    try:
        left = unprocessed(answer, SENT)
    except NotUnderstood:
        return
    said = json.loads(answer)["UnprocessedItems"]
    assert {table: puts for table, puts in said.items() if puts} == {
        table: [json.loads(text) for text in texts] for table, texts in left.items()
    }
