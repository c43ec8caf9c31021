"""`sensorstream compact`: an hour of the archive becomes one Parquet object that holds every line, whatever fails."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from producer.cli import main
from producer.compact.layout import CURATED
from tests.component.recovery import Site
from tests.component.recovery import site as new_site
from tests.conftest import Deployed

NOW = 1_795_345_942_830


@pytest.fixture
def site(stack: Deployed) -> Iterator[Site]:
    with new_site(stack) as made:
        yield made


def fill(site: Site) -> None:
    for n in range(8):
        usual = [b'{"name":"d%d","humidity":%d.50,"timeStampEpoch":%d}' % (n, n, NOW + at) for at in range(2)]
        site.put(f"d{n}", *usual, b"malformed", b"\xff\x00", b"[" + b",".join(usual) + b"]")
        site.put('ü"\\', b'{"name":"q\'\\"","humidity":"1E+20",\n"timeStampEpoch":%d}' % NOW)
    site.consume()


def compact(site: Site, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    code = main(["compact", *arguments, "--stack", site.stack.name, "--json"])
    told = capsys.readouterr()
    assert code == 0, told
    found: dict[str, Any] = json.loads(told.out)
    return found


def hour_of(site: Site) -> str:
    date, hour = site.keys("readings/")[0].split("/")[1:3]
    return f"{date.removeprefix('date=')}T{hour.removeprefix('hour=')}:00Z"


def test_an_hour_becomes_one_object_and_nothing_is_done_twice(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    fill(site)
    for outcome in ("written", "current"):
        [hour] = compact(site, capsys, "--hour", hour_of(site))["hours"]
        assert (hour["outcome"], hour["lines"], hour["readings"]) == (outcome, 8 * 6, 8 * 5)
    [key] = site.keys(CURATED)
    assert key == f"{CURATED}{'/'.join(site.keys('readings/')[0].split('/')[1:3])}/readings.parquet"
