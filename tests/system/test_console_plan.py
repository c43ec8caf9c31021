"""The console's page Plan in a real browser, without a stack and without AWS."""

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import browsing
from tests.system.console import PATIENCE, findings, launched

AWS = re.compile(r"AWS_|.*_TABLE$|STACK_NAME|CONSUMER_URL")


@pytest.fixture
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with browsing() as running:
        yield running


def together(page: Page) -> float:
    """Dollars a month."""
    return float(re.sub(r"[^\d.]", "", page.get_by_role("status", name="Together").inner_text()))


def test_sliders_and_alternatives_change_the_bill_without_aws(browser: Browser) -> None:
    env = {name: value for name, value in os.environ.items() if not AWS.fullmatch(name)}
    with launched(["--plan"], env | {"AWS_EC2_METADATA_DISABLED": "true"}) as running:
        page = running.open(browser)
        expect(page.get_by_role("navigation").get_by_role("link")).to_have_text(["Plan"])
        expect(page.get_by_role("heading", name="A month in us-east-1")).to_be_visible()
        assert findings(page) == []
        before = together(page)
        slider = page.get_by_label("Devices", exact=True)
        expect(slider).to_have_attribute("aria-valuetext", "1,000")
        slider.focus()
        page.keyboard.press("End")
        expect(slider).to_have_attribute("aria-valuetext", "10,000,000")
        expect(page.get_by_text("IoT Core: rule evaluations a second: 333,333 of 20,000")).to_be_visible()
        assert together(page) > 1000 * before
        page.keyboard.press("Home")
        expect(page.get_by_text("Quota hit.")).to_have_count(0)
        page.get_by_role("combobox", name="Stream", exact=True).select_option("on-demand")
        expect(page.get_by_text("4 shards, on-demand")).to_be_visible()
        page.get_by_role("button", name="Lambda and Firehose").click()
        expect(page.get_by_role("combobox", name="System", exact=True)).to_have_value("lambda")
        expect(page.get_by_label("Bill", exact=True)).to_contain_text("Firehose")
        page.get_by_role("combobox", name="Region", exact=True).select_option("eu-central-1")
        expect(page.get_by_text("eu-central-1 is taken as 1.2 times these, not verified.")).to_be_visible()
        assert findings(page) == []
        page.set_viewport_size({"width": 390, "height": 780})
        assert findings(page) == []
