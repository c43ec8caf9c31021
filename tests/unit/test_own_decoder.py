"""A decoder of the operator's own: what it answers is read by the contracts; what it does wrong is a reject."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from consumer.own_decoder import LIMIT, load
from consumer.payload.contract import Contract
from consumer.payload.contracts import Contracts
from consumer.payload.decode import decode
from consumer.payload.reading import Decoded
from consumer.payload.values import Bad
from consumer.pipeline.decoding import decode_all
from consumer.record import Record
from consumer.settings import Settings, SettingsError
from consumer.telemetry.metrics import Metrics
from infra.local.process import ROOT
from producer.cli import main
from tests import decoder_example

ARRIVAL = 1_745_700_010_000
MODULE = """
import ctypes
import os
import re
import time

print("imported")

class Odd(Exception):
    def __str__(self):
        raise ValueError

def soil(payload, partition_key):
    if payload[:1] == b"{":
        return None
    return {"id": partition_key, "wet": payload[0] / 2, "raw": payload}

def several(payload, partition_key):
    return [soil(payload, partition_key), {"id": "x"}]

def asleep(payload, partition_key):
    time.sleep(3600)

def deaf(payload, partition_key):
    while True:
        try:
            time.sleep(0.01)
        except:
            pass

def busy(payload, partition_key):  # one call into C, which holds the interpreter's lock
    re.match("(a|a)*b", "a" * 100)

def failing(payload, partition_key):
    raise KeyError("no such key\\n\\u2028")

def odd(payload, partition_key):
    raise Odd

def leaving(payload, partition_key):
    raise SystemExit(1)

def gone(payload, partition_key):
    os._exit(3)

def crash(payload, partition_key):
    ctypes.string_at(0)

def deep(payload, partition_key):
    return deep(payload, partition_key)

def greedy(payload, partition_key):
    return [0] * 10**15

def text(payload, partition_key):
    return "text"

def generator(payload, partition_key):
    yield {"id": "x"}

def large(payload, partition_key):
    return ["a" * 9_000_000]

def endless(payload, partition_key):
    answer = []
    answer.append(answer)
    return answer

def changing(payload, partition_key):
    payload[0] = 0

def inner(payload, partition_key):
    return [{"id": Odd, "wet": 1}, {"id": "d", "wet": (each for each in "a")}, {(1, 2): 1}, {"id": "d", "wet": 1, 5: 1},
            {"id": "\\ud800", "wet": 1}]

def mixed(payload, partition_key):
    {b"s": asleep, b"g": gone, b"b": busy}.get(payload[:1], soil)(payload, partition_key)
    return soil(payload, partition_key)

number = 5
"""
SOIL = Contract(device="id", time="$arrival", value="wet")


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fleet_decoder.py").write_text(MODULE)
    (tmp_path / "broken_decoder.py").write_text("import os; os._exit(4)")
    monkeypatch.syspath_prepend(str(tmp_path))


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
        ("asleep", f"no answer within {LIMIT:g} s"),
        ("deaf", f"no answer within {LIMIT:g} s"),
        ("busy", f"no answer within {LIMIT:g} s"),
        ("failing", "KeyError: "),
        ("odd", "Odd: "),
        ("leaving", "SystemExit: '1'"),
        ("gone", "its process ended: exit code 3"),
        ("crash", "its process ended: SIGSEGV"),
        ("deep", "RecursionError: "),
        ("greedy", "MemoryError: "),
        ("text", "it answers str, neither dict nor list nor None"),
        ("generator", "it answers generator, neither dict nor list nor None"),
        ("large", "its answer is of no use: more than 8388608 bytes"),
        ("endless", "nested deeper than 64 levels"),
        ("changing", "TypeError: "),
    ],
)
def test_what_it_does_wrong_is_a_reject_with_the_text(function: str, told: str) -> None:
    [reject] = read(function).rejects
    assert reject.reason == "decoder-failed"
    assert told in reject.detail
    assert reject.detail.isascii()
    assert "\n" not in reject.detail


def test_values_of_other_types_cost_their_own_message_alone() -> None:
    found = read("inner")
    assert [(r.device, r.value) for r in found.readings] == [("d", Decimal(1))]
    assert [(reject.index, reject.reason) for reject in found.rejects] == [
        (0, "wrong-type"),
        (1, "wrong-type"),
        (2, "missing-field"),
        (4, "not-utf8"),
    ]


def test_a_new_process_reads_the_record_after_one_that_failed() -> None:
    decoder = load("fleet_decoder:mixed")
    for data in (b"s", b"g", b"b"):
        assert isinstance(decoder(data, "d1"), Bad)
        assert decoder(b"\x51", "d1") == {"id": "d1", "wet": 40.5, "raw": "51"}


def test_a_process_ended_by_others_costs_no_record() -> None:
    decoder = load("fleet_decoder:soil")
    first = decoder.pid
    os.kill(first, signal.SIGKILL)
    assert decoder(b"\x51", "d1")["wet"] == 40.5
    assert decoder.pid != first


def test_a_payload_of_any_size_is_answered_in_time() -> None:
    decoder = load("fleet_decoder:mixed")
    assert isinstance(decoder(b"s" * 10_000_000, "d1"), Bad)
    assert decoder(b"\x02" * 3_000_000, "d1")["wet"] == 1


def test_it_is_a_reject_when_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = load("fleet_decoder:gone")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    bad = decoder(b"\x51", "d1")
    assert bad.detail == "fleet_decoder:gone: its process cannot be started: No such file or directory"


async def test_the_loop_goes_on_while_it_is_late() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(LIMIT / 50)

    contracts = Contracts([SOIL], load("fleet_decoder:mixed"))
    records = [Record(data, "d1", str(number), 0, ARRIVAL) for number, data in enumerate((b"b", b"\x01", b"s"))]
    other = asyncio.create_task(others())
    assert [len(decoded.readings) for decoded in await decode_all(records, contracts, Metrics())] == [0, 1, 0]
    other.cancel()
    assert turns >= 10


@pytest.mark.parametrize("end", ["", "; os.kill(os.getpid(), 9)"])
def test_its_process_ends_with_the_service(end: str) -> None:
    program = f"import os; from consumer.own_decoder import load; decoder = load('fleet_decoder:soil'){end}"
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program]
    # Returns when the last process that holds its stderr has ended. What the function prints goes there.
    done = subprocess.run(command, env=environ, capture_output=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == (b"", b"imported\n")


@pytest.mark.parametrize(
    "name",
    [
        "fleet_decoder",
        "fleet_decoder:",
        "fleet_decoder:nothing",
        "no_such:f",
        "broken_decoder:f",
        "fleet_decoder:number",
        "a b:c",
    ],
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


def test_the_example_of_the_page_gives_what_the_page_shows(tmp_path: Path) -> None:
    shown = decoder_example.write(tmp_path)
    command = [sys.executable, "-m", "producer", "contract", "try", "--payload-decoder", "lorawan:uplink"]
    done = subprocess.run(
        [*command, "--contract", "fleet.json", "uplink.json"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([".", str(ROOT)])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (shown, "", 0)
