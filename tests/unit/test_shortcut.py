"""The shortcut gives what the whole way gives, or nothing: for any message, and for each small change of a real one."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.payload.contract import Contract
from consumer.payload.contracts import DEFAULT, Contracts
from consumer.payload.decode import decode
from consumer.payload.reading import Decoded
from producer.fleet.message import Measurement, single

ARRIVAL = 1_795_344_497_000
USUAL = b'{"name":"soil-17","humidity":20.10,"timeStampEpoch":1795344496123,"timeStampIso":"2026-11-22T10:48:16","n":4}'
OTHER = Contracts([Contract(device="id", time="at", value="v", max_future_seconds=60), "generation-2"])
PAST = Contracts([Contract(device="id", time="at", value="v", max_past_seconds=3600)])


def whole(data: bytes, contracts: Contracts, arrival: int | None) -> Decoded:
    """Decoded without the shortcut."""
    without = Contracts(contracts.entries)
    without.shortcut = None
    return decode(data, without, "key", arrival)


def agree(data: bytes, contracts: Contracts = DEFAULT, arrival: int | None = ARRIVAL) -> Decoded | None:
    """What the shortcut gives, which the whole way gives, too, down to each digit."""
    assert contracts.shortcut
    found = contracts.shortcut(data, arrival)
    wanted = whole(data, contracts, arrival)
    assert found in (None, wanted)
    if found:
        assert [str(reading.value) for reading in found.readings] == [str(r.value) for r in wanted.readings]
    return found


@pytest.mark.parametrize(
    "data",
    [
        USUAL,
        b'{"timeStampEpoch":1795344496123,"x":null,"humidity":-7,"name":"a","y":true,"z":1e400}',
        b' { "name" : "a" , "name" : "b" , "humidity" : 1E+2 , "timeStampEpoch" : 1795344496123 } ',
        single(Measurement("d", ARRIVAL - 5, "40.5"), 3, "humidity").payload,
    ],
)
def test_the_usual_message_takes_it(data: bytes) -> None:
    found = agree(data)
    assert found
    assert found.verbatim
    assert decode(data, DEFAULT, "key", ARRIVAL) == found


@pytest.mark.parametrize(
    "change",
    [
        (b"20.10", b'"20.10"'),
        (b"20.10", b"0"),
        (b"20.10", b"-0.0"),
        (b"20.10", b"true"),
        (b"20.10", b"020"),
        (b"20.10", b"1E400"),
        (b"20.10", b"0." + b"1" * 39),
        (b"20.10", b"{}"),
        (b'"soil-17"', b'""'),
        (b'"soil-17"', b"17"),
        (b"soil-17", b"soil\\n17"),
        (b"soil-17", "Böden".encode()),
        (b"soil-17", b"\xff"),
        (b"soil-17", b"s" * 600),
        (b"1795344496123", b"1795344496"),
        (b"1795344496123", b"1795344496123.0"),
        (b"1795344496123", b'"1795344496123"'),
        (b"1795344496123", b"1895344496123"),
        (b'"n":4', b'"n":[4]'),
        (b'"n":4', b'"n":' + b"4" * 5000),
        (b'"n":4', b'"n":4,\r\n"m":5'),
        (b'"n":4', b'"n":nan'),
        (b'"n":4', b'"humidity":"n/a"'),
        (b'"name"', b'"nome"'),
    ],
)
def test_any_other_takes_the_whole_way(change: tuple[bytes, bytes]) -> None:
    data = USUAL.replace(*change)
    assert data != USUAL
    assert agree(data) is None


def test_without_an_arrival_time_the_whole_way_is_taken() -> None:
    assert agree(USUAL, arrival=None) is None


def test_it_counts_the_messages_of_its_contract() -> None:
    contracts = Contracts()
    assert contracts.shortcut
    assert contracts.shortcut(USUAL, ARRIVAL)
    assert [usage.matched for usage in contracts.usages()] == [1, 0]


@pytest.mark.parametrize(
    "contract",
    [
        Contract(device="a.id", time="at", value="v"),
        Contract(device="id", time="at", value="v", measures=["m"]),
        Contract(device="id", time="at", value="v", each="list"),
        Contract(device="id", time="at", value="v", encoding="cbor"),
        Contract(device='"Gerät"', time="at", value="v"),
        Contract(device="id", time="v", value="v"),
        Contract(device="$partitionKey", time="at", value="v"),
    ],
)
def test_other_contracts_have_none(contract: Contract) -> None:
    assert Contracts([contract]).shortcut is None


def test_with_an_own_decoder_there_is_none() -> None:
    assert Contracts(own=lambda data, key: None).shortcut is None


SIGNS = b'" , : { } [ ] \\ \\u0000 \x7f \xff \xc3\xa4 0 1 - . e E9 null true 1e999 NaN "humidity":1 "humidity":"2"'
LONGER = [b"\n", b"\r", b"\0", b" ", b"9" * 40, b"9" * 4400, b'"name":null', b'"id":"a","at":1795344496123,']
bits = st.sampled_from([*SIGNS.split(b" "), *LONGER])
messages = st.sampled_from(
    [
        USUAL,
        b'{"id":"a","at":1795344496123,"v":1.5,"humidity":2}',
        b'{"sensorid":"soil-17","value":"20.1","timestamp":"2026-11-22T10:48:16.123Z"}',
        b'{"temperature":8.77,"linkquality":94,"humidity":85.15,"battery":74,"name":"z","timeStampEpoch":1795344497}',
        b'{"name":"tasmota","timeStampEpoch":1795344496123,"SI7021":{"Temperature":21.5},"humidity":59.1}',
        b'[{"name":"a","humidity":1,"timeStampEpoch":1795344496123},{"name":"b","humidity":2,"timeStampEpoch":1}]',
    ]
)
contracts = st.sampled_from([DEFAULT, OTHER, PAST])


@given(
    messages, st.lists(st.tuples(st.integers(0, 200), st.integers(0, 12), bits | st.just(b"")), max_size=4), contracts
)
def test_every_change_of_a_message_is_decoded_as_on_the_whole_way(
    data: bytes, changes: list[tuple[int, int, bytes]], contracts: Contracts
) -> None:
    for place, length, put in changes:
        place %= len(data) + 1
        data = data[:place] + put + data[place + length :]
    agree(data, contracts)


numbers = st.one_of(
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False).map(lambda n: Decimal(str(n))),
    st.floats(),
    st.text(),
)
values: Any = st.none() | st.booleans() | numbers


@given(
    st.dictionaries(st.sampled_from(["name", "humidity", "timeStampEpoch", "id", "at", "v", "x", "ä", "\n"]), values),
    st.integers(ARRIVAL - 10**8, ARRIVAL + 10**8) | st.integers(),
    st.booleans(),
    contracts,
)
def test_every_object_is_decoded_as_on_the_whole_way(
    fields: dict[str, Any], time: int, escaped: bool, contracts: Contracts
) -> None:
    given = {"name": "d", "humidity": 1, "id": "d", "v": 1} | fields | {"timeStampEpoch": time, "at": time}

    def text(value: object) -> str:
        return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=escaped)

    body = ",".join(f"{text(key)}:{text(value)}" for key, value in given.items())
    agree(f"{{{body}}}".encode(errors="surrogatepass"), contracts)
