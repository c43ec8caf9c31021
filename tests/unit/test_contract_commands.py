"""`contract try` shows what would be written, path by path; `contract check` names the line of a fault."""

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from producer.cli import main

FLEET = """[
  {"name": "wet", "device": "id",
   "time": "at", "value": "data.wet",
   "measures": {"t": "data.t",
                "u": "data.u"}},
  {"each": "list", "device": "{$.gate}/{n}", "time": "$arrival", "sensors": ["x"]}
]
"""
ARRIVAL = ("--arrival", "2025-04-26T20:40:10Z")


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    file = tmp_path / "fleet.json"
    file.write_text(FLEET)
    return file


def test_rows_and_paths_are_shown(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    payload = '{"id":7,"at":1745700005,"data":{"wet":4.50,"t":"N/A"}}'
    assert main(["contract", "try", "--contract", str(fleet), payload, *ARRIVAL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(": 1 readings, 0 rejected")
    assert lines[1:] == [
        "  row       SensorId=7  Timestamp=2025-04-26T20:40:05.000Z  Value=4.50",
        "  path      wet: id: 7",
        "  path      wet: at: 1745700005",
        "  path      wet: data.wet: 4.50",
        '  path      wet: data.t: "N/A"',
        "  path      wet: data.u: nothing",
        "  path      contract-2: each list: nothing",
        "  path      contract-2: {$.gate}/{n}: nothing",
        "  path      contract-2: x: nothing",
    ]


def test_files_and_standard_input_are_payloads_too(
    fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_text('{"gate":"g","list":[{"n":1,"x":true},{"n":2}]}')
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"\xff")))
    arguments = ["contract", "try", "--json", "--contract", str(fleet), str(tmp_path / "a.json"), "-", *ARRIVAL]
    assert main(arguments) == 1
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["rows"] == [
        {"SensorId": "g/1/x", "Timestamp": "2025-04-26T20:40:10.000Z", "Value": 1, "TimeSource": "arrival"}
    ]
    assert [(each["index"], each["reason"]) for each in first["rejects"]] == [(1, "missing-field")]
    assert (second["rows"], second["rejected"], second["rejects"][0]["reason"]) == ([], 1, "not-utf8")


def test_without_contracts_the_built_in_ones_are_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", "try", '{"name":"a","humidity":1,"timeStampEpoch":12345}']) == 1
    assert "rejected  [0] time-out-of-range" in capsys.readouterr().out


def test_a_valid_file_is_told_by_its_contracts(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", "check", str(fleet)]) == 0
    assert capsys.readouterr().out == f"{fleet}: wet, contract-2\n"


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ('"at"', '"a..t"', 3, "[0].time: 'a..t' is not JMESPath"),
        ('"data.u"', "5", 4, "[0].measures.*: Expected `str`, got `int`"),
        ('"data.u"', '"]"', 5, "[0].measures.u: ']' is not JMESPath"),
        ('"value"', '"valeu"', 3, "[0]: Object contains unknown field `valeu`"),
        ('["x"]', '["x", "x"]', 6, "[1].sensors: names a path twice"),
        ('"$arrival"', '"$now"', 6, "[1].time: '$now' is none of"),
        ("\n]", "", 6, "Input data was truncated"),
        ('"u"', '"u', 5, "JSON is malformed"),
        ("[", "{", 1, "Expected `array`, got `object`"),
    ],
)
def test_a_fault_is_told_with_its_line(
    fleet: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, line: int, told: str
) -> None:
    fleet.write_text(FLEET.replace(old, new, 1))
    for command in (["check", str(fleet)], ["try", "--contract", str(fleet), "{}"]):
        assert main(["contract", *command]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"sensorstream: {fleet}:{line}: ")
        assert told in error
        assert error.count("\n") == 1


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["check", str(tmp_path / "x")], ["try", str(tmp_path / "x")]):
        assert main(["contract", *arguments]) == 2
        assert capsys.readouterr().err == f"sensorstream: {tmp_path / 'x'}: No such file or directory\n"
