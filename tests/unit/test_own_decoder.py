"""A decoder of the operator's own: what it answers is read by the contracts; what it does wrong is a reject."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumer.own_decoder import LIMIT, load
from consumer.payload.contract import Contract
from consumer.payload.contracts import Contracts
from consumer.payload.decode import decode
from consumer.payload.reading import Decoded
from consumer.pipeline.decoding import decode_all
from consumer.record import Record
from consumer.settings import Settings, SettingsError
from consumer.telemetry.metrics import Metrics
from producer.cli import main

ARRIVAL = 1_745_700_010_000
MODULE = """
import time

def soil(payload, partition_key):
    if payload[:1] == b"{":
        return None
    return {"id": partition_key, "wet": payload[0] / 2, "raw": payload}

def several(payload, partition_key):
    return [soil(payload, partition_key), {"id": "x"}]

def slow(payload, partition_key):
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            pass

def deaf(payload, partition_key):
    end = time.monotonic() + 2
    while time.monotonic() < end:
        try:
            time.sleep(0.01)
        except:
            pass

def failing(payload, partition_key):
    raise KeyError("no such key\\n\\u2028")

def leaving(payload, partition_key):
    raise SystemExit(1)

def text(payload, partition_key):
    return "text"

def endless(payload, partition_key):
    answer = []
    answer.append(answer)
    return answer

number = 5
"""
SOIL = Contract(device="id", time="$arrival", value="wet")


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "fleet_decoder.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("fleet_decoder", None)


def read(function: str, data: bytes = b"\x51") -> Decoded:
    return decode(data, Contracts([SOIL, "generation-2"], load(f"fleet_decoder:{function}")), "d1", ARRIVAL)


def test_its_messages_are_read_by_the_contracts() -> None:
    found = read("soil")
    assert [(r.device, r.time_ms, str(r.value)) for r in found.readings] == [("d1", ARRIVAL, "40.5")]
    assert (found.rejects, found.payload, found.verbatim) == ([], b"null", False)
    found = read("several")
    assert len(found.readings) == 1
    assert [(reject.index, reject.reason) for reject in found.rejects] == [(1, "missing-field")]


def test_what_it_leaves_is_read_as_without_it() -> None:
    data = b'{"name":"a","humidity":1,"timeStampEpoch":1745700005}'
    found = read("soil", data)
    assert (found.readings[0].device, found.verbatim) == ("a", True)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("failing", "KeyError: "),
        ("text", "it answers str, neither dict nor list nor None"),
        ("endless", "nested deeper than 64 levels"),
        ("slow", f"TimeoutError: 'no answer within {LIMIT:g} s'"),
        ("deaf", f"TimeoutError: 'no answer within {LIMIT:g} s'"),
        ("leaving", "SystemExit"),
    ],
)
def test_what_it_does_wrong_is_a_reject_with_the_text(function: str, told: str) -> None:
    began = time.monotonic()
    [reject] = read(function).rejects
    assert reject.reason == "decoder-failed"
    assert told in reject.detail
    assert reject.detail.isascii()
    assert "\n" not in reject.detail
    assert time.monotonic() - began < 5


async def test_a_slow_one_leaves_others_their_turn() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    contracts = Contracts([SOIL], load("fleet_decoder:soil"))
    records = [Record(b"\x01", "d1", str(number), 0, ARRIVAL) for number in range(20)]
    other = asyncio.create_task(others())
    assert len(await decode_all(records, contracts, Metrics())) == 20
    assert turns >= 20
    other.cancel()


@pytest.mark.parametrize(
    "name", ["fleet_decoder", "fleet_decoder:", "fleet_decoder:nothing", "no_such:f", "fleet_decoder:number", "a b:c"]
)
def test_one_that_cannot_be_called_is_told_at_start(name: str) -> None:
    required = {"STREAM_NAME": "s", "SENSOR_TABLE": "table", "ARCHIVE_BUCKET": "bucket", "AWS_REGION": "xx-north-1"}
    with pytest.raises(SettingsError, match=r"^PAYLOAD_DECODER: ") as raised:
        Settings.load(required | {"PAYLOAD_DECODER": name})
    assert "\n" not in str(raised.value)
    settings = Settings.load(required | {"PAYLOAD_DECODER": "fleet_decoder:soil"})
    assert settings.reading_contracts.own == settings.payload_decoder


def test_it_can_be_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "raw").write_bytes(b"\x51")
    (tmp_path / "fleet.json").write_text('[{"device":"id","time":"$arrival","value":"wet"}]')
    fleet: list[Any] = ["--contract", str(tmp_path / "fleet.json"), "--payload-decoder", "fleet_decoder:soil", "--json"]
    assert main(["contract", "try", *fleet, str(tmp_path / "raw")]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["Value"] == 40.5
    assert main(["contract", "try", "--payload-decoder", "fleet_decoder:x", "{}"]) == 2
    assert capsys.readouterr().err.startswith("sensorstream: PAYLOAD_DECODER: ")
