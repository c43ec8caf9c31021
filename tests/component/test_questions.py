"""Every query of docs/analytics.md, and the forecast of docs/forecast.md, asked of the consumer's archive."""

import csv
import io
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumer.archive.writer import RotationPolicy
from producer.cli import main
from tests.component import soil
from tests.component.archives import HOUR, put, records
from tests.component.recovery import Site
from tests.component.recovery import site as new_site
from tests.conftest import Deployed

ROOT = Path(__file__).parents[2]

DAY = 24 * HOUR
FIRST_DAY = 1_794_700_800_000  # 2026-11-15T00:00:00Z
DAYS, DEVICES = 12, 6
LAST_DAYS = range(10, 12)  # the 25th and the 26th, of which the queries ask
ROTATION = RotationPolicy(records=100_000, size=1 << 24, window_ms=HOUR)
GAP = range(DAY * 10 + HOUR * 9, DAY * 10 + HOUR * 11)  # of soil-1, within its 25th
SILENT = DAY * 11 + HOUR * 6  # from which soil-2 says nothing
OUTLIER = DAY * 11 + HOUR * 14  # of soil-3


def measured() -> Iterator[soil.Measured]:
    """The simulated soil without what is silent, with one outlier."""
    for each in soil.simulate(7, DEVICES, DAYS):
        ms = each.minute * 60_000
        if (each.device == "soil-1" and ms in GAP) or (each.device == "soil-2" and ms >= SILENT):
            continue
        yield each._replace(humidity=99.0) if each.device == "soil-3" and ms == OUTLIER else each


def payloads() -> Iterator[tuple[int, str, bytes]]:
    """The devices send at the end of each day what they have measured in it."""
    by_day = defaultdict(list)
    for each in measured():
        at = FIRST_DAY + each.minute * 60_000
        text = b'{"name":"%s","humidity":%.2f,"timeStampEpoch":%d}' % (each.device.encode(), each.humidity, at)
        by_day[each.minute * 60_000 // DAY].append((each.device, text))
    for day, texts in by_day.items():
        arrival = FIRST_DAY + (day + 1) * DAY - HOUR // 2
        yield from ((arrival, device, text) for device, text in texts)
        yield arrival, "odd", b"no json"


@pytest.fixture(scope="module")
def site(stack: Deployed) -> Iterator[Site]:
    with new_site(stack) as made:
        put(made.stack, records(payloads()), ROTATION)
        assert (
            main(["compact", "--from", "2026-11-15", "--to", "2026-11-27", "--stack", made.stack.name, "--json"]) == 0
        )
        yield made


def queries() -> dict[str, str]:
    """By the title above each; the last one under a title has a star more for each one before it."""
    found: dict[str, str] = {}
    for section in re.split(r"^#+ ", (ROOT / "docs/analytics.md").read_text(), flags=re.MULTILINE):
        title = section.partition("\n")[0]
        for query in re.findall(r"```sql\n(.*?)\n```", section, re.DOTALL):
            found[title + "*" * (title in found)] = query
    return found


def asked(site: Site, capsys: pytest.CaptureFixture[str], title: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["sql", queries()[title], "--json", "--stack", site.stack.name]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["rows"]
    return rows


def test_all_queries_of_the_page_are_asked_here() -> None:
    assert list(queries()) == [
        "Hourly mean per device",
        "Gaps",
        "Silent devices",
        "All raw messages of one device",
        "All raw messages of one device*",
        "Anomalies",
        "Features for a forecast",
        "Dead letters by reason",
    ]


def test_hourly_means_are_those_of_the_readings(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    wanted: dict[tuple[str, int], list[float]] = defaultdict(list)
    for each in measured():
        if each.minute * 60_000 // DAY == LAST_DAYS[0]:
            wanted[each.device, each.minute // 60 % 24].append(each.humidity)
    rows = asked(site, capsys, "Hourly mean per device")
    assert len(rows) == len(wanted)
    for row in rows:
        values = wanted[row["device"], int(row["hour_start"][11:13])]
        assert (row["readings"], row["low"], row["high"]) == (len(values), min(values), max(values))
        assert row["mean"] == pytest.approx(sum(values) / len(values))


def test_the_gap_is_found(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    longest, *others = asked(site, capsys, "Gaps")
    assert (longest["device"], longest["from_time"], longest["seconds"]) == ("soil-1", "2026-11-25T08:30:00", 9000)
    assert {row["seconds"] for row in others} == {soil.STEP_MINUTES * 60}


def test_who_is_silent_is_found(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    [row] = asked(site, capsys, "Silent devices")
    assert (row["device"], row["last_time"]) == ("soil-2", "2026-11-26T05:30:00")


def test_the_messages_of_a_device_are_those_that_it_sent(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    sent = [data.decode() for arrival, key, data in payloads() if key == "soil-1" and arrival >= FIRST_DAY + 10 * DAY]
    for title in ("All raw messages of one device", "All raw messages of one device*"):
        assert [row["payload"] for row in asked(site, capsys, title)] == sent


def test_the_outlier_is_an_anomaly(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    rows = asked(site, capsys, "Anomalies")
    assert ("soil-3", "2026-11-26T14:00:00", 99.0) in [(row["device"], row["measured"], row["value"]) for row in rows]


def test_features_are_differences_of_means(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row for row in asked(site, capsys, "Features for a forecast") if row["device"] == "soil-0"]
    assert [row["hour_of_day"] for row in rows] == [*range(24), *range(24)]
    for n, row in enumerate(rows):
        assert row["change_1h"] == (pytest.approx(row["mean"] - rows[n - 1]["mean"]) if n else None)
        assert row["change_6h"] == (pytest.approx(row["mean"] - rows[n - 6]["mean"]) if n >= 6 else None)


def test_dead_letters_are_counted_by_reason(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(site, capsys, "Dead letters by reason") == [{"reason": "not-json", "records": 2}]


def test_the_forecast_is_better_than_none_and_says_when_water_is_due(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the two commands of the page. What became of the soil without irrigation is known here."""
    guide = (ROOT / "docs/forecast.md").read_text()
    [command] = re.findall(r"sensorstream sql --csv \"(.*?)\" ", guide, re.DOTALL)
    capsys.readouterr()
    assert main(["sql", "--csv", command, "--stack", site.stack.name]) == 0
    means = capsys.readouterr().out
    made = subprocess.run(
        [sys.executable, ROOT / "docs/forecast.py"],
        input=means,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    said, table = made.stdout.split("\n", 1)
    [ours, persistence] = [float(number) for number in re.findall(r"\d+\.\d+", said)]
    assert ours < persistence / 2
    rows = {row["device"]: row["due_in_hours"] for row in csv.DictReader(io.StringIO(table))}
    assert len(rows) == DEVICES
    for device, wanted in dried().items():
        if device != "soil-2":  # which has been silent
            assert abs(int(rows[device]) - wanted) <= 5, device


def dried() -> dict[str, int]:
    """The hours after the last day until each device's soil was below 30 %, before anybody watered it."""
    found: dict[str, int] = {}
    for each in soil.simulate(7, DEVICES, DAYS + 1):
        hours = -(-(each.minute - DAYS * DAY // 60_000) // 60)
        if hours >= 0 and each.truth < soil.WATER_BELOW:
            found.setdefault(each.device, hours)
    assert len(found) == DEVICES
    return found
