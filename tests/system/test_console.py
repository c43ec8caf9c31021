"""The console's page in a real browser, against the whole local stack with the real daemon."""

import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from producer.fleet.message import iso_utc
from tests.browser import browsing
from tests.system.conftest import System
from tests.system.console import PATIENCE, console, findings, pictures


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with browsing() as running:
        yield running


def publish(page: Page, devices: str, payload: str | None = None, kind: str | None = None, mqtt: bool = False) -> None:
    """By the form of the page Publish."""
    page.locator("#devices").fill(devices)
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
        page = running.open(browser, "#/publish")
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
        page = running.open(browser, "#/publish")
        publish(page, "console-bad", "rubbish")
        expect(page.get_by_text("Will be a dead letter:")).to_be_visible()
        expect(page.locator(stage(page, "console-bad", "archived"))).to_have_class("done")
        expect(page.locator("li.journey").get_by_text("Dead letter:")).to_be_visible()


def test_a_device_of_another_kind_is_published_by_its_example(system: System, browser: Browser) -> None:
    """The deployment does not know this contract: what the page said of it does not come, and the archive says why."""
    with console(system, "operator") as running:
        page = running.open(browser, "#/publish")
        publish(page, "console-zigbee", kind="zigbee2mqtt")
        expect(page.get_by_text("linkquality 105")).to_be_visible()
        expect(page.locator(stage(page, "console-zigbee", "archived"))).to_have_class("done")
        expect(page.locator("li.journey").get_by_text("Dead letter:")).to_be_visible()


def test_over_mqtt_a_device_publishes_with_its_own_certificate(system: System, browser: Browser) -> None:
    system.wait(system.start("provision", "--devices", "1", "--prefix", "console-mqtt-"))
    with console(system, "operator") as running:
        page = running.open(browser, "#/publish")
        publish(page, "console-mqtt-1", mqtt=True)
        for name in ("published", "stream", "row", "archived"):
            expect(page.locator(stage(page, "console-mqtt-1", name))).to_have_class("done")
        page.locator("#devices").fill("console-none")
        expect(page.get_by_text("No certificate here:")).to_be_visible()
        page.get_by_role("button", name="Make one").click()
        expect(page.get_by_text("This needs the deployer's role.")).to_be_visible()
        assert findings(page) == []


def test_a_client_publishes_and_reads_and_is_told_what_needs_the_operator(system: System, browser: Browser) -> None:
    with console(system, "client") as running:
        page = running.open(browser, "#/publish")
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
        page = running.open(browser, "#/publish")
        other = browser.new_context().new_page()
        answer = other.goto(page.url)
        assert answer
        assert answer.status == 401
        expect(other.locator("body")).to_contain_text("Open the address that sensorstream console has printed last.")


def test_ten_thousand_devices_are_listed_searched_and_sorted_with_few_rows_in_the_page(
    system: System, browser: Browser
) -> None:
    fleet(system, 10_000)
    with console(system, "client") as running:
        page = running.open(browser, "#/fleet")
        # The devices of other tests are there, too.
        expect(page.get_by_role("status").filter(has_text=re.compile(r"1\d,\d{3} devices ·"))).to_be_visible()
        rows = page.locator("tbody tr[aria-rowindex]")
        expect(rows.first).to_contain_text("fleet-00000")  # the one that is silent for longest
        expect(rows.first).to_contain_text("silent")
        assert rows.count() < 60
        page.get_by_role("region", name="All devices").evaluate("each => each.scrollTo(0, 5000 * 44)")
        expect(page.locator("tr[aria-rowindex='5002']")).to_be_visible()
        assert rows.count() < 60
        page.get_by_placeholder("Search devices").fill("FLEET-0777")
        expect(rows).to_have_count(10)
        page.get_by_role("button", name="Device").click()
        page.get_by_role("button", name="Device").click()
        expect(rows.first).to_contain_text("fleet-07779")
        expect(page.get_by_role("columnheader", name="Device")).to_have_attribute("aria-sort", "descending")
        assert findings(page) == []
        rows.first.get_by_role("link").click()
        expect(page.get_by_role("heading", name="fleet-07779")).to_be_visible()


def fleet(system: System, count: int, prefix: str = "fleet-") -> None:
    """Devices in the list that the consumer keeps; the first one has been silent for a day."""
    table, now = system.stack.outputs["DevicesTable"], time.time_ns() // 1_000_000
    client = system.client("dynamodb")

    def item(number: int) -> dict[str, Any]:
        at = iso_utc(now - (86_400_000 if number == 0 else number % 60_000))
        name, bucket = f"{prefix}{number:05d}" if count > 40 else f"{prefix}{number}", str(number % 16)
        return {
            "PutRequest": {
                "Item": {
                    "Bucket": {"N": bucket},
                    "SensorId": {"S": name},
                    "Seen": {"S": at},
                    "Timestamp": {"S": at},
                    "Value": {"N": "50.5"},
                }
            }
        }

    items = [item(number) for number in range(count)]
    batches = [items[start : start + 25] for start in range(0, count, 25)]
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda batch: client.batch_write_item(RequestItems={table: batch}), batches):
            assert not answer["UnprocessedItems"]


def test_the_pipeline_shows_shards_owners_and_rates_on_its_edges(system: System, browser: Browser) -> None:
    with console(system, "operator") as running:
        page = running.open(browser, "#/pipeline")
        row = page.get_by_role("row").filter(has_text="shardId-000000000000")
        expect(row).to_contain_text("local")
        load = ["--via", "kinesis", "--devices", "5", "--rate", "50", "--for", "12", "--prefix", "console-load-"]
        simulator = system.start("simulate", *load, "--json")
        expect(page.get_by_role("img", name=re.compile(r"Stream to Consumer [1-9][\d.]*.s"))).to_be_visible()
        expect(page.get_by_role("img", name=re.compile(r"Consumer to Archive [1-9][\d.]*.min"))).to_be_visible()
        assert findings(page) == []
        system.finish(simulator)


def test_without_a_worker_that_can_be_asked_the_pipeline_shows_cloudwatchs_minutes(
    system: System, browser: Browser
) -> None:
    with console(system, "operator", CONSUMER_URL="") as running:
        page = running.open(browser, "#/pipeline")
        expect(page.get_by_text("Numbers are those of CloudWatch's last minute")).to_be_visible()
        expect(page.get_by_role("row").filter(has_text="shardId-000000000000")).to_contain_text("local")
        assert findings(page) == []


def test_a_range_is_chosen_by_the_keyboard_and_paused(system: System, browser: Browser) -> None:
    system.producer("publish", "console-range", "21.5")
    with console(system, "client") as running:
        page = running.open(browser, "#/device/console-range")
        expect(page.get_by_role("table")).to_contain_text("21.5")
        page.locator("summary").filter(has_text="From").focus()
        page.keyboard.press("Enter")
        page.get_by_label("From", exact=True).fill("2026-01-01T00:00")
        page.get_by_label("To", exact=True).fill("2026-01-02T00:00")
        page.keyboard.press("Enter")
        expect(page.get_by_text("No readings in this range")).to_be_visible()
        expect(page.get_by_text("paused")).to_be_visible()
        assert findings(page) == []
        page.get_by_role("button", name="Back to live").press("Enter")
        expect(page.get_by_role("table")).to_contain_text("21.5")


def test_a_long_range_is_drawn_of_rollups_and_the_page_says_so(system: System, browser: Browser) -> None:
    table, now = system.stack.outputs["RollupTable"], time.time_ns() // 1_000_000
    number = {"M": {name: {"N": "21.5"} for name in ("Last", "Min", "Max", "Sum")} | {"Count": {"N": "1"}}}
    for minute in range(60, 300):
        at = iso_utc(now - minute * 60_000)
        window = {"SensorId": {"S": "console-rolled"}, "Window": {"S": f"{at[:17]}00Z/60/shardId-000000000000"}}
        row: Any = window | {"Readings": {"N": "1"}, "First": {"S": at}, "Last": {"S": at}, "Value": number}
        system.client("dynamodb").put_item(TableName=table, Item=row)
    with console(system, "client") as running:
        page = running.open(browser, "#/device/console-rolled")
        expect(page.get_by_text("No readings in this range")).to_be_visible()
        page.get_by_role("button", name="6 h").click()
        expect(page.get_by_text("The charts show rollups of 60 seconds")).to_be_visible()
        expect(page.get_by_role("img", name=re.compile("value: 12[01] parts, the last one 21.5"))).to_be_visible()
        assert findings(page) == []


def test_a_client_is_told_that_the_pipeline_and_dead_letters_need_the_operator(
    system: System, browser: Browser
) -> None:
    with console(system, "client") as running:
        page = running.open(browser, "#/pipeline")
        expect(page.get_by_text("This needs the operator's role.")).to_be_visible()
        page.get_by_role("link", name="Dead letters").click()
        expect(page.get_by_text("This needs the operator's role.")).to_be_visible()
        assert findings(page) == []


def test_a_dead_letter_is_opened_and_sent_again_after_a_dry_run(system: System, browser: Browser) -> None:
    with console(system, "operator") as running:
        page = running.open(browser, "#/publish")
        publish(page, "console-letter", '{"name":"soilSensor1","humidity":"wet","timeStampEpoch":1777888802000}')
        expect(page.locator(stage(page, "console-letter", "archived"))).to_have_class("done")
        page.goto(f"{page.url.partition('#')[0]}#/letters/console-letter")
        letter = page.locator("li.card", has=page.locator("details"))
        expect(letter).to_have_count(1)
        letter.locator("summary").click()
        expect(letter.locator("pre")).to_contain_text('"humidity":"wet"')
        expect(letter).to_contain_text("wrong-type")
        assert findings(page) == []
        page.get_by_role("link", name="All devices").click()
        page.get_by_role("button", name="wrong-type").click()
        page.get_by_label("only what can be read now").uncheck()
        page.get_by_role("button", name="Dry run: wrong-type").click()
        expect(page.get_by_text(re.compile(r"\d+ records? would be sent\."))).to_be_visible()
        page.get_by_role("button", name=re.compile(r"Send \d+ record")).click()
        expect(page.get_by_text("sent again").first).to_be_visible()


def test_a_devices_records_are_read_from_the_archive_with_their_sequence_numbers(
    system: System, browser: Browser
) -> None:
    with console(system, "operator") as running:
        page = running.open(browser, "#/publish")
        publish(page, "console-raw")
        expect(page.locator(stage(page, "console-raw", "archived"))).to_have_class("done")
        page.get_by_role("link", name="console-raw").click()
        page.get_by_role("button", name="Read the archive").click()
        record = page.locator("li.record")
        expect(record.locator("pre")).to_contain_text('"name": "console-raw"')
        expect(record).to_contain_text(re.compile(r"shardId-\d+ \d{40,}\.0"))
        assert findings(page) == []


def test_an_alert_appears_as_it_happens_and_the_queue_goes_with_the_console(system: System, browser: Browser) -> None:
    system.wait(system.start("provision", "--devices", "1", "--prefix", "console-alert-"))
    sqs = system.client("sqs")
    queues = f"{system.stack.options.name}-console-"
    with console(system, "operator") as running:
        page = running.open(browser, "#/alerts")
        expect(page.get_by_text("No alert yet")).to_be_visible()
        assert len(sqs.list_queues(QueueNamePrefix=queues)["QueueUrls"]) == 1
        page.get_by_role("link", name="Publish").click()
        publish(
            page, "console-alert-1", '{"name":"soilSensor1","humidity":12.5,"timeStampEpoch":1777888802000}', mqtt=True
        )
        expect(page.locator(stage(page, "console-alert-1", "row"))).to_have_class("done")
        page.get_by_role("link", name="Alerts").click()
        expect(page.get_by_role("row").filter(has_text="console-alert-1")).to_contain_text("12.5")
        assert findings(page) == []
    assert not sqs.list_queues(QueueNamePrefix=queues).get("QueueUrls")


def test_the_pictures_of_the_documents_are_made_by_it(system: System, browser: Browser, tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    system.wait(system.start("provision", "--devices", "12", "--prefix", "soil-"))
    fleet(system, 13, "soil-")
    load = ["--devices", "12", "--prefix", "soil-", "--rate", "24", "--malformed", "0.02", "--for", "90"]
    simulator = system.start("simulate", *load, "--json")
    with console(system, "operator") as running:
        page = running.open(browser, "#/publish")
        publish(page, "greenhouse-7, greenhouse-8")
        expect(page.locator(stage(page, "greenhouse-8", "archived"))).to_have_class("done")
        page.screenshot(path=folder / "publish.png")
        for name, ready in (
            ("fleet", page.locator(".spark svg").nth(5)),
            ("device", page.locator("canvas")),
            ("pipeline", page.get_by_role("img", name=re.compile("Stream to Consumer [1-9]"))),
            ("letters", page.locator("li.card details").first),
            ("plan", page.get_by_role("heading", name="A month in us-east-1")),
        ):
            address = "device/soil-1" if name == "device" else name
            page.goto(f"{page.url.partition('#')[0]}#/{address}")
            if name == "fleet":
                page.get_by_placeholder("Search devices").fill("soil-")
            if name == "device":
                page.get_by_role("button", name="1 min").click()
                expect(page.get_by_text(re.compile(r"(9\d|1\d\d) readings in the range"))).to_be_visible()
            expect(ready).to_be_visible()
            page.mouse.move(0, 0)  # nothing looks as if it were pointed at
            page.screenshot(path=folder / f"{name}.png")
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": 390, "height": 780})
        page.goto(f"{page.url.partition('#')[0]}#/device/soil-1")
        expect(page.locator("canvas")).to_be_visible()
        assert findings(page) == []
        page.screenshot(path=folder / "phone.png")
        for name in ("fleet", "publish", "pipeline", "alerts", "letters", "plan"):
            page.goto(f"{page.url.partition('#')[0]}#/{name}")
            expect(page.locator("main .card, main .fleet, main .empty").first).to_be_visible()
            assert findings(page) == []
    system.finish(simulator)
    assert all(path.stat().st_size < 200_000 for path in folder.glob("*.png"))
