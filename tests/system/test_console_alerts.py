"""The episodes of alerts in the console's page, in a real browser, on an emulator that enforces the operator's role."""

import json
import os
import re
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from infra.functions.alert.episodes import Measured
from infra.functions.alert.policy import parse
from producer.fleet.message import iso_utc
from tests.browser import browsing
from tests.component.strict import NAME, Strict, strict_stack
from tests.component.test_alert_history import rows_of, rows_of_a_storm, write
from tests.system.console import PATIENCE, findings, launched, pictures

EVERY_MINUTE = {"sensorstreamMinute": True}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    with strict_stack(tmp_path_factory.mktemp("console") / "emulator.log") as stack:
        yield stack


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with browsing() as running:
        yield running


@pytest.fixture(scope="module")
def page(strict: Strict, browser: Browser) -> Iterator[Page]:
    """The page Alerts of an operator."""
    with launched([], variables(strict, "operator")) as running:
        yield running.open(browser, "#/alerts")


def variables(strict: Strict, role: str) -> dict[str, str]:
    return {**os.environ, **strict.variables(role), "STACK_NAME": NAME}


def call(strict: Strict, event: dict[str, Any]) -> None:
    """The alert function, as the rule or the schedule does."""
    payload = json.dumps(event).encode()
    answer = strict.client("lambda").invoke(FunctionName=strict.names["AlertFunction"], Payload=payload)
    said = answer["Payload"].read()
    assert "FunctionError" not in answer, said


def dry(strict: Strict, device: str, value: float) -> None:
    call(strict, {"name": device, "humidity": value, "timeStampEpoch": time.time_ns() // 1_000_000})


def wet(strict: Strict, device: str) -> None:
    """Its newest row is good, and the minute's call sees it."""
    now = iso_utc(time.time_ns() // 1_000_000)
    row = {"SensorId": {"S": device}, "Timestamp": {"S": now}, "Value": {"N": "50"}}
    strict.client("dynamodb").put_item(TableName=strict.names["SensorTable"], Item=row)
    call(strict, EVERY_MINUTE)


def episode(page: Page, device: str) -> Any:
    return page.get_by_role("region", name="Table of episodes").get_by_role("row").filter(has_text=device)


def at(page: Page, place: str) -> None:
    page.goto(f"{page.url.partition('#')[0]}#/{place}")


def test_an_episode_appears_open_and_ends_without_a_reload(strict: Strict, page: Page) -> None:
    at(page, "alerts")
    expect(page.get_by_text("No episode yet")).to_be_visible()
    assert findings(page) == []
    dry(strict, "basil", 12.5)
    dry(strict, "mint", 20)
    expect(episode(page, "basil")).to_contain_text(re.compile("open.*dry.*warning.*12.5"))
    expect(page.get_by_role("status").filter(has_text="2 open of 2 episodes")).to_be_visible()
    assert findings(page) == []
    wet(strict, "basil")
    expect(episode(page, "basil")).to_contain_text("at 50")
    page.get_by_label("only open ones").check()
    expect(episode(page, "mint")).to_be_visible()
    expect(episode(page, "basil")).to_have_count(0)
    assert findings(page) == []


def test_a_devices_episodes_are_chosen_by_its_name_and_stand_on_its_page(strict: Strict, page: Page) -> None:
    dry(strict, "thyme", 5)
    dry(strict, "sage", 6)
    at(page, "alerts")
    page.get_by_label("Device", exact=True).fill("thyme")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="Alerts of thyme")).to_be_visible()
    expect(page.get_by_text("1 open of 1 episode")).to_be_visible()
    page.get_by_label("Device", exact=True).fill("nobody")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No episode yet")).to_be_visible()
    at(page, "alerts")
    episode(page, "thyme").get_by_role("link").click()
    expect(page.get_by_role("heading", name="thyme")).to_be_visible()
    expect(page.get_by_role("region", name="Alerts").get_by_text("1 open of 1 episode")).to_be_visible()
    assert findings(page) == []


def rows_of_a_day(now: int) -> list[Any]:
    """Of eight devices, minutes ago."""
    policy = parse(json.dumps({"rules": [
        {"name": "dry", "hysteresis": 3}, {"name": "very-dry", "threshold": 10, "severity": "critical"},
        {"name": "falling", "change": 5, "severity": "info"}, {"name": "silent", "silent": 2, "interval": 15},
    ]}), "below", "35")  # fmt: skip

    def seen(ago: int, value: str, amount: int | None = None) -> Measured:
        return Measured(Decimal(value if amount is None else amount), value, now - ago * 60_000)

    def silent(ago: int, minutes: int) -> Measured:
        at = now - ago * 60_000
        return Measured(Decimal(minutes), None, at, since=at - minutes * 60_000)

    return [row for rows in (
        rows_of(policy, "dry", "soil-1", seen(640, "33.9"), seen(611, "41.2")),
        rows_of(policy, "dry", "soil-4", seen(502, "34.7"), seen(431, "52.5")),
        rows_of(policy, "falling", "greenhouse-7", seen(305, "34.2", -9), seen(304, "33.8", 0)),
        rows_of(policy, "silent", "cellar-2", silent(188, 31), silent(120, 0)),
        rows_of(policy, "dry", "greenhouse-8", seen(96, "34.4"), seen(61, "44.0")),
        rows_of(policy, "dry", "soil-9", seen(75, "34.9")),
        rows_of(policy, "silent", "cellar-4", silent(43, 31)),
        rows_of(policy, "dry", "soil-12", seen(31, "31.5")),
        rows_of(policy, "very-dry", "soil-12", seen(12, "9.5")),
        rows_of(policy, "dry", "soil-3", seen(9, "34.1"), seen(2, "38.6")),
    ) for row in rows]  # fmt: skip


def test_the_picture_of_the_documents_is_made_by_it(strict: Strict, page: Page, tmp_path: Path) -> None:
    now, picture = time.time_ns() // 1_000_000, pictures(tmp_path) / "alerts.png"
    write(strict.client("dynamodb"), strict.names["AlertTable"], rows_of_a_day(now))
    at(page, "alerts")
    expect(episode(page, "cellar-4")).to_contain_text("silent since")
    expect(page.get_by_role("region", name="Table of alerts").or_(page.get_by_text("No alert yet"))).to_be_visible()
    dry(strict, "soil-6", 28.5)
    expect(page.get_by_role("region", name="Table of alerts")).to_contain_text("Humidity 28.5 under threshold")
    expect(episode(page, "soil-6")).to_contain_text("open")
    assert findings(page) == []
    page.screenshot(path=picture)
    assert picture.stat().st_size < 200_000
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 780})
    assert findings(page) == []
    page.set_viewport_size({"width": 1280, "height": 860})
    page.emulate_media(color_scheme="light")


def test_a_storm_of_ten_thousand_does_not_fill_the_page(strict: Strict, page: Page) -> None:
    write(strict.client("dynamodb"), strict.names["AlertTable"], rows_of_a_storm(10_000, time.time_ns() // 1_000_000))
    at(page, "plan")
    at(page, "alerts")
    hint = page.get_by_role("status").filter(has_text="episodes since")
    expect(hint).to_be_visible()
    rows = page.get_by_role("region", name="Table of episodes").locator("tbody tr")
    expect(rows).to_have_count(100)
    expect(rows.first).to_contain_text(re.compile("earlier.*at 50.*soil-09999"))  # the beginnings are not read yet
    before = hint.inner_text()
    for shown in (200, 300):
        page.get_by_role("button", name="Older").click()
        expect(rows).to_have_count(shown)
    page.get_by_label("only open ones").check()
    expect(hint).not_to_have_text(before)
    at(page, "alerts/soil-07777")
    expect(page.get_by_text("0 open of 1 episode")).to_be_visible()
    assert findings(page) == []


def test_a_client_is_told_who_may_read_the_history(strict: Strict, browser: Browser) -> None:
    with launched([], variables(strict, "client")) as running:
        page = running.open(browser, "#/alerts")
        expect(page.get_by_text("This needs the operator's role.").first).to_be_visible()
        assert findings(page) == []
