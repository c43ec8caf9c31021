"""Any contracts and any payloads: a contract is compiled or refused, and whatever it reads there is an answer."""

import gzip
import json
import random
from collections.abc import Sequence
from typing import Any

import cbor2
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.payload.contract import ContractError, parse
from consumer.payload.contracts import Contracts
from consumer.payload.decode import decode
from consumer.payload.reading import MAX_REJECTS, REASONS
from consumer.payload.times import END_MS, FIRST_MS

NAMES = ["a", "b", "name", "time", "v", "n", "bn", "bt", "t", "x y", "d.e", "$key", "PM2-5"]
PATHS = [
    "a", "b", "name", "time", "v", "a.b", "a[0]", "a[-1].b", "b[1][0]", '"x y"', '"d.e"', "@", "[0]", "[1]",
    "$partitionKey", "$.a", "$.time", "'text'", "a[*].b", "a[?b > `1`].v | [0]", "sum(a)", "avg(a[*].b)", "max(b)",
    "length(a)", "to_number(name)", "join('-', a)", "keys(@)", "values(a)", "sort_by(a, &b)[0]", "to_string(a)",
    "a || b", "!a", "not_null(a, b)", "`1e999`", "[a, b]", "floor(v)", "reverse(a)", "type(a)", "contains(a, b)",
    "a[?b==`x y`] | [0]",
]  # fmt: skip
WRONG = [
    "$1.name",
    "$key",
    "$",
    "{",
    "a}",
    "median(a)",
    "a..b",
    "",
    "PM2-5",
    "`NaN`",
    "$arrival",
    "{a}-{b}",
    "{x: a}.x",
]
"""Of these some are right in some fields."""
GOOD_TIMES = [1_745_700_005, 1_745_700_005_000, 1.7457e9, "2025-04-26T20:40:05Z", "1745700005", 1_745_700_005_000_000]
TIMES = [
    *GOOD_TIMES,
    "2025-04-26 20:40",
    12345,
    -1,
    "Sat, 26 Apr 2025 20:40:05 GMT",
    2**28,
    10**30,
    None,
    "2025-03-30 02:30",
]
SCALARS = [
    None,
    True,
    0,
    -3,
    7,
    1.5,
    float("nan"),
    float("inf"),
    10**50,
    2**70,
    "",
    "x",
    "1.25",
    "N/A",
    "NaN",
    "\ud800",
    "x" * 2049,
]
OPTIONS: dict[str, list[Any]] = {
    "each": ["a", "b", "@", "a.b", "values(@)", ["a", "@"], ["a", "b", "a"]],
    "time_zone": ["Europe/Berlin", "America/St_Johns", "UTC"],
    "bad_time": ["arrival"],
    "max_future_seconds": [0, 60, 10**10],
    "max_past_seconds": [0, 60, 10**10],
    "encoding": ["json", "cbor", "msgpack"],
}
FORMS = ["json", "json", "json", "gzip", "cbor", "msgpack", "several", "cut", "broken"]
ARRIVALS = [1_745_700_010_000, 1_745_700_010_000, None, 0, END_MS, 2**63]


def a_path(rng: random.Random, *likely: str) -> str:
    pool: Sequence[str] = likely if likely and rng.random() < 0.8 else rng.choice([PATHS, PATHS[:14]])
    return rng.choice(WRONG if rng.random() < 0.01 else pool)


def an_entry(rng: random.Random) -> Any:
    if rng.random() < 0.15:
        return rng.choice(["senml", "generation-1", "generation-2"])
    entry: dict[str, Any] = {
        "device": a_path(rng, "name", "{$partitionKey}/{name}", "$partitionKey"),
        "time": a_path(rng, "time", "$arrival"),
    }
    entry |= {name: rng.choice(pool) for name, pool in OPTIONS.items() if rng.random() < 0.15}
    for kind in ("measures", "sensors"):
        listed = list(dict.fromkeys(a_path(rng) for _ in range(rng.choice([0, 0, 1, 3]))))
        entry[kind] = rng.choice([listed, {f"{kind}-{place}": path for place, path in enumerate(listed)}])
    if rng.random() < 0.1:
        entry[rng.choice(["measures", "sensors"])] = {"*": rng.choice(["@", "a", "a[0]"])}
    if rng.random() < 0.7:
        entry["value"] = a_path(rng, "v")
    return entry


def a_value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.random() if depth < 4 else 0
    if kind < 0.5:
        return rng.choice([*SCALARS, *TIMES])
    if kind < 0.75:
        return [a_value(rng, depth + 1) for _ in range(rng.randint(0, 4))]
    return {name: a_value(rng, depth + 1) for name in rng.sample(NAMES, rng.randint(0, 6))}


def a_message(rng: random.Random) -> Any:
    fields: dict[str, Any] = {"name": "dev", "time": rng.choice(GOOD_TIMES), "v": rng.randint(-9, 9)}
    fields |= {name: a_value(rng, 1) for name in rng.sample(NAMES, rng.randint(0, 5))}
    fields.setdefault("a", [dict(fields), 3, dict(fields)])
    return fields if rng.random() < 0.95 else a_value(rng)


def encoded(value: Any, form: str) -> bytes:
    text = json.dumps(value).encode("utf-8", "surrogatepass")
    try:
        match form:
            case "gzip":
                return gzip.compress(text)
            case "cbor":
                return cbor2.dumps(value)
            case "msgpack":
                return msgspec.msgpack.encode(value)
            case "several":
                return text + text
            case "cut":
                return text[: len(text) * 2 // 3]
            case "broken":
                return text.replace(b",", b",,", 1).replace(b"}", b",}", 1)
    except (OverflowError, UnicodeEncodeError, ValueError):
        pass
    return text


def compiled(entries: list[Any]) -> Contracts | None:
    try:
        return Contracts(parse(json.dumps(entries).encode()))
    except ContractError:
        return None


def check(data: bytes, contracts: Contracts, arrival: int | None) -> bool:
    """What holds for any answer; whether there is a reading."""
    found = decode(data, contracts, "key", arrival)
    assert found == decode(data, contracts, "key", arrival)
    assert found.readings or found.rejected
    assert found.rejected == sum(found.reasons.values())
    assert len(found.rejects) == min(found.rejected, MAX_REJECTS)
    assert set(found.reasons) <= set(REASONS)
    assert b"\n" not in found.payload
    json.loads(found.payload)
    for reading in found.readings:
        assert 0 < len(reading.device.encode()) <= 2048
        assert FIRST_MS <= reading.time_ms < END_MS
        assert reading.value is not None or reading.measures
        assert all(number.is_finite() for number in (reading.measures or {}).values())
        assert reading.value is None or reading.value.is_finite()
    return bool(found.readings)


@settings(max_examples=4, deadline=None)
@given(st.integers())
def test_any_contracts_and_payloads_get_an_answer(seed: int) -> None:
    rng, accepted, given_readings = random.Random(seed), 0, 0
    for _ in range(500):
        contracts = compiled([an_entry(rng) for _ in range(rng.randint(1, 3))])
        if contracts is None:
            continue
        accepted += 1
        for _ in range(2):
            payload = a_message(rng) if rng.random() < 0.6 else [a_message(rng) for _ in range(rng.randint(0, 4))]
            given_readings += check(encoded(payload, rng.choice(FORMS)), contracts, rng.choice(ARRIVALS))
    assert accepted > 150
    assert given_readings > 50


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.sampled_from([b"\x1f\x8b", b"\x78\x9c", b"\x9f", b"\xbf", b"\x81"]), st.binary())
def test_any_bytes_after_any_first_ones_get_an_answer(first: bytes, rest: bytes) -> None:
    for contracts in (Contracts(), Contracts(["senml"])):
        check(first + rest, contracts, 1_745_700_010_000)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_a_path_or_refused(path: str) -> None:
    for field in ("device", "value", "each"):
        contracts = compiled([{"device": "a", "time": "t", "value": "v"} | {field: path}])
        if contracts:
            check(b'{"a":[{"a":1,"v":2}],"t":1745700005,"v":3}', contracts, 1_745_700_010_000)
