"""The console's page in a real browser, against the whole local stack with the real daemon."""

import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.system.conftest import System
from tests.system.console import PATIENCE, browsing, console, findings


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with browsing() as running:
        yield running


def publish(page: Page, devices: str, payload: str | None = None, kind: str | None = None, mqtt: bool = False) -> None:
    """By the form of the page Publish."""
    page.get_by_label("Devices", exact=True).fill(devices)
    if kind:
        page.get_by_label("Kind of device").select_option(kind)
    if payload is not None:
        page.get_by_label("Payload").fill(payload)
    page.get_by_label("MQTT through IoT Core" if mqtt else "Straight into the stream").check()
    page.get_by_role("button", name=re.compile("^Publish")).click()


def stage(page: Page, device: str, name: str) -> str:
    """The selector of a stage of the newest message of a device."""
    return f'li.journey:has(a:text-is("{device}")) >> nth=0 >> li[data-stage={name}]'


def test_messages_of_two_devices_are_followed_to_their_lines_in_the_archive(system: System, browser: Browser) -> None:
    with console(system, "operator") as running:
        page = running.open(browser)
        publish(page, "console-1, console-2")
        for device in ("console-1", "console-2"):
            for name in ("published", "stream", "row", "archived"):
                expect(page.locator(stage(page, device, name))).to_have_class("done")
        expect(page.get_by_text(re.compile("readings/date=.*ndjson.zst")).first).to_be_visible()
        assert findings(page) == []
        page.get_by_role("link", name="console-1").click()
        expect(page.get_by_role("img", name=re.compile("value: 1 readings, the last one 41.5"))).to_be_visible()
        assert findings(page) == []


def test_a_malformed_message_is_announced_and_then_shown_as_the_dead_letter_that_it_is(
    system: System, browser: Browser
) -> None:
    with console(system, "operator") as running:
        page = running.open(browser)
        publish(page, "console-bad", "rubbish")
        expect(page.get_by_text("Will be a dead letter:")).to_be_visible()
        expect(page.locator(stage(page, "console-bad", "archived"))).to_have_class("done")
        expect(page.locator("li.journey").get_by_text("Dead letter:")).to_be_visible()


def test_a_device_of_another_kind_is_published_by_its_example(system: System, browser: Browser) -> None:
    """The deployment does not know this contract: what the page said of it does not come, and the archive says why."""
    with console(system, "operator") as running:
        page = running.open(browser)
        publish(page, "console-zigbee", kind="zigbee2mqtt")
        expect(page.get_by_text("linkquality 105")).to_be_visible()
        expect(page.locator(stage(page, "console-zigbee", "archived"))).to_have_class("done")
        expect(page.locator("li.journey").get_by_text("Dead letter:")).to_be_visible()


def test_over_mqtt_a_device_publishes_with_its_own_certificate(system: System, browser: Browser) -> None:
    system.wait(system.start("provision", "--devices", "1", "--prefix", "console-mqtt-"))
    with console(system, "operator") as running:
        page = running.open(browser)
        publish(page, "console-mqtt-1", mqtt=True)
        for name in ("published", "stream", "row", "archived"):
            expect(page.locator(stage(page, "console-mqtt-1", name))).to_have_class("done")
        page.get_by_label("Devices", exact=True).fill("console-none")
        expect(page.get_by_text("No certificate here:")).to_be_visible()
        page.get_by_role("button", name="Make one").click()
        expect(page.get_by_text("This needs the deployer's role.")).to_be_visible()
        assert findings(page) == []


def test_a_client_publishes_and_reads_and_is_told_what_needs_the_operator(system: System, browser: Browser) -> None:
    with console(system, "client") as running:
        page = running.open(browser)
        publish(page, "console-client")
        for name in ("published", "stream", "row"):
            expect(page.locator(stage(page, "console-client", name))).to_have_class("done")
        archived = page.locator(stage(page, "console-client", "archived"))
        expect(archived).to_have_class("skipped")
        expect(archived).to_contain_text("the operator's may")
        page.get_by_role("link", name="console-client").click()
        expect(page.get_by_role("table")).to_contain_text("41.5")


def test_a_reading_that_comes_appears_without_a_reload_and_a_lost_connection_heals(
    system: System, browser: Browser
) -> None:
    with console(system, "client") as running:
        page = running.open(browser, "#/device/console-live")
        expect(page.get_by_text("No readings in this range")).to_be_visible()
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        system.producer("publish", "console-live", "17.25")
        expect(page.get_by_role("table")).to_contain_text("17.25")
        running.process.send_signal(signal.SIGSTOP)
        expect(page.get_by_text("connection lost, trying again")).to_be_visible()
        system.producer("publish", "console-live", "18.5")  # nobody tells the page
        running.process.send_signal(signal.SIGCONT)
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        expect(page.get_by_role("table")).to_contain_text("18.5")
        assert findings(page) == []


def test_a_browser_without_the_address_sees_nothing(system: System, browser: Browser) -> None:
    with console(system, "client") as running:
        page = running.open(browser)
        other = browser.new_context().new_page()
        answer = other.goto(page.url)
        assert answer
        assert answer.status == 401
        expect(other.locator("body")).to_contain_text("Open the address that sensorstream console has printed last.")
