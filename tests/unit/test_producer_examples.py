"""Messages made after the examples of the cookbook: each is read by its page's contract as its rows say."""

import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from consumer.payload.contract import parse
from consumer.payload.contracts import Contracts
from consumer.payload.decode import decode
from consumer.payload.reading import Decoded
from consumer.sinks.alert_condition import Condition as ConsumersCondition
from infra.local.cookbook import Page, pages
from producer.fleet.condition import Condition
from producer.fleet.examples import ExampleFleet
from producer.fleet.message import ARRIVAL, Measurement, Message, number_of
from producer.fleet.order import Mix
from producer.fleet.topics import patterns

DEVICES = [f"fleet-{number}" for number in range(1, 5)]
SUMMER, WINTER = (int(datetime(2027, month, 2, 23, 59, 30, tzinfo=UTC).timestamp() * 1000) for month in (7, 1))
PAGES = pages()
each_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


def condition(page: Page) -> Condition:
    given = {"AlertMaxAge": "86400"} | page.parameters
    return Condition.of(given)


def messages(page: Page, start: int, count: int, mix: Mix | None = None) -> list[tuple[int, Message]]:
    """(time of publish in ms, message): one in a second of each device."""
    fleet = ExampleFleet(DEVICES, page.family, condition(page), mix or Mix(), first_number=7, seed=1)
    times = [start + 1000 * turn // len(DEVICES) for turn in range(count)]
    return [(at, fleet.next_message(at)) for at in times]


def read(page: Page, message: Message, arrival: int) -> Decoded:
    return decode(message.payload, Contracts(parse(page.contract.encode())), message.device, arrival)


def in_full(row: Measurement, arrival: int) -> tuple[str, int, str, dict[str, str]]:
    return row.device, arrival if row.time_ms == ARRIVAL else row.time_ms, row.value, dict(row.measures)


def rows(decoded: Decoded) -> list[tuple[str, int, str, dict[str, str]]]:
    return [
        (one.device, one.time_ms, "" if one.value is None else str(one.value),
         {name: str(number) for name, number in (one.measures or {}).items()})
        for one in decoded.readings
    ]  # fmt: skip


@each_page
@pytest.mark.parametrize("start", [SUMMER, WINTER])
def test_a_message_gives_the_rows_that_it_says(page: Page, start: int) -> None:
    for at, message in messages(page, start, 200):
        arrival = at + 123
        decoded = read(page, message, arrival)
        assert decoded.rejects == []
        assert message.rows
        assert rows(decoded) == [in_full(row, arrival) for row in message.rows]


@each_page
def test_each_device_tells_its_own_name_the_time_and_other_values_each_time(page: Page) -> None:
    made = messages(page, WINTER, 200)
    assert [number_of(message.payload) for _, message in made] == list(range(7, 207))
    assert {message.device for _, message in made} == set(DEVICES)
    assert all(message.device in row.device for _, message in made for row in message.rows)
    assert all(abs(row.time_ms - at) < 70_000 for at, message in made for row in message.rows if row.time_ms != ARRIVAL)
    keys = Counter((row.device, row.time_ms) for _, message in made for row in message.rows if row.time_ms != ARRIVAL)
    assert (
        sum(keys.values()) - len(keys) <= 2 * len(made) // 60
    )  # only SenML looks back, on minutes that it sent before
    varied = {(message.device, row.value, *sorted(row.measures.items())) for _, message in made for row in message.rows}
    assert len(varied) > 100


@each_page
def test_some_messages_raise_alerts_and_all_that_do_are_known(page: Page) -> None:
    wanted = condition(page)
    made = messages(page, WINTER, 200)
    expected = [wanted.expected(message, at, through_rules=not page.into_stream) for at, message in made]
    assert 4 <= sum(map(len, expected)) < 60
    if wanted.source == "consumer":
        asked = ConsumersCondition(wanted.field, wanted.when, wanted.threshold, wanted.max_age)  # type: ignore[arg-type]
        for (at, message), alerts in zip(made, expected, strict=True):
            found = [asked.alert(reading, at) for reading in read(page, message, at).readings]
            assert [(each.sensorstreamDevice, each.sensorstreamValue) for each in found if each] == alerts


@each_page
def test_a_malformed_message_is_rejected_as_it_says_and_a_repeated_one_gives_the_same_rows(page: Page) -> None:
    made = messages(page, WINTER, 200, Mix(malformed=0.1, duplicates=0.2))
    for at, message in made:
        assert [reject.reason for reject in read(page, message, at).rejects] == list(message.rejects)
        assert number_of(message.payload) == message.number
    assert {message.rejects for _, message in made} == {(), ("not-json",)}
    last: dict[str, Message] = {}
    repeats = 0
    for _, message in made:
        if message.repeats:
            repeats += 1
            assert message.rows == last[message.device].rows
        if not message.rejects:
            last[message.device] = message
    assert repeats > 10


@each_page
def test_the_messages_of_a_page_reach_all_of_its_topics(page: Page) -> None:
    known = patterns(page.parameters["TopicPattern"])
    assert {message.pattern for _, message in messages(page, WINTER, 20)} >= set(range(len(known)))


def test_numbers_keep_their_decimal_places_and_the_text_its_form() -> None:
    [(_, message)] = messages(PAGES["zigbee2mqtt"], WINTER, 1)
    text = message.payload.decode()
    assert text.startswith('{"message":"#7","battery": ')
    assert '"last_seen": "2027-01-02T23:59:28.412Z"' in text
    document = json.loads(text, parse_float=Decimal)
    assert document["temperature"].as_tuple().exponent == -2
    assert document["occupancy"] is False
