"""The page's files: small, whole, nothing inline, nothing from elsewhere."""

import hashlib
import re
from pathlib import Path

import pytest

from producer.console.catalogue import Kind, kinds
from producer.console.server import PAGE

VENDOR = PAGE / "vendor"
OWN = sorted(path for path in PAGE.glob("*.*"))
NOW = 1_790_000_000_123


def vendored() -> dict[str, str]:
    """File and hash, by the lines of VENDOR."""
    lines = (VENDOR / "VENDOR").read_text().splitlines()[1:]
    return {line.split()[0]: line.split()[-1] for line in lines}


def test_vendored_files_are_those_that_were_released() -> None:
    assert {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in vendored()} == vendored()


def test_every_vendored_file_is_named_or_is_a_licence() -> None:
    names = {path.name for path in VENDOR.iterdir() if path.suffix != ".LICENSE"}
    assert names == {*vendored(), "VENDOR"}


def test_the_page_is_less_than_200_kb() -> None:
    assert sum(path.stat().st_size for path in PAGE.rglob("*") if path.suffix != ".LICENSE") < 200_000


def test_the_page_has_nothing_inline() -> None:
    text = (PAGE / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon[a-z]+=", text) == []


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere_and_no_text_becomes_markup(path: Path) -> None:
    text = path.read_text()
    found = re.findall(r"https?://[^\s\"']+|innerHTML|dangerouslySetInnerHTML|\beval\(|document\.write", text)
    assert [each for each in found if each != "http://www.w3.org/2000/svg"] == []


@pytest.mark.parametrize("kind", kinds().values(), ids=lambda kind: kind.name)
def test_each_example_is_read_by_its_contract_as_of_now_under_the_devices_name(kind: Kind) -> None:
    for index, example in enumerate(kind.family.examples):
        data = kind.payload(index, example.payload, "mine-7", NOW)
        outcome = kind.outcome(data, "mine-7", NOW)
        assert outcome.rejects == []
        for reading in outcome.readings:
            assert "mine-7" in reading.device
            assert reading.time_ms is None or abs(reading.time_ms - NOW) < 120_000


def test_two_messages_of_one_second_are_two_rows() -> None:
    kind = kinds()["built-in"]
    times = {
        reading.time_ms
        for now in (NOW, NOW + 1)
        for reading in kind.outcome(kind.payload(0, kind.family.examples[0].payload, "a", now), "a", now).readings
    }
    assert times == {NOW, NOW + 1}


def test_what_a_person_has_changed_stays() -> None:
    kind = kinds()["built-in"]
    data = kind.payload(0, '{"name":"soilSensor1","humidity":12.125,"timeStampEpoch":1000000000000}', "b", NOW)
    assert data == b'{"name":"b","humidity":12.125,"timeStampEpoch":1000000000000}'
    assert [each["reason"] for each in kind.outcome(b"rubbish", "b", NOW).rejects] == ["not-json"]
