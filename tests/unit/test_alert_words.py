"""Notices in words, and as SNS and Amazon Q Developer take them."""

import json
from dataclasses import replace

import pytest

from infra.functions.alert.episodes import Notice
from infra.functions.alert.words import LISTED, attributes, chat, digest, digest_name, single

T0 = 1_767_268_800_000
OPEN = Notice("e1-open", "e1", "soil", "dry", "threshold", "warning", "open", "20", "35", T0, T0, True)
HUMIDITY = ("Humidity", "below", "")


@pytest.mark.parametrize(
    ("notice", "said"),
    [
        (OPEN, "Humidity 20 under threshold for device name soil"),
        (replace(OPEN, state="recovered", value="38"), "Humidity 38 recovered from threshold for device name soil"),
        (replace(OPEN, kind="change"), "Humidity 20 falling by more than 35 a minute for device name soil"),
        (replace(OPEN, kind="change", state="recovered"),
         "Humidity 20 no longer falling by more than 35 a minute for device name soil"),
        (replace(OPEN, kind="silent", state="silent", value=None, limit="30"),
         "No reading for 30 minutes for device name soil (seen at 2026-01-01T12:00:00Z)"),
        (replace(OPEN, kind="silent", state="recovered", value=None), "Readings again for device name soil"),
    ],
)  # fmt: skip
def test_a_notice_says_what_the_device_is_like(notice: Notice, said: str) -> None:
    assert single(notice, *HUMIDITY)["Message"].split("\n")[0] == said


def test_another_field_has_its_own_name_and_unit() -> None:
    message = single(OPEN, "soil.temperature", "above", " C")
    assert message["Message"].startswith("soil.temperature 20 C over threshold for device name soil\n")


def test_programs_find_everything_in_at_most_ten_attributes() -> None:
    message = single(OPEN, *HUMIDITY)
    given = {name: each["StringValue"] for name, each in message["MessageAttributes"].items()}
    assert given == {
        "id": "e1-open", "episode": "e1", "state": "open", "severity": "warning", "rule": "dry", "device": "soil",
        "value": "20", "time": str(T0), "field": "Humidity",
    }  # fmt: skip
    assert message["Subject"] == "Attention:dry warning soil"


def test_a_subject_is_what_sns_takes() -> None:
    message = single(replace(OPEN, device="süd\n" + "x" * 200), *HUMIDITY)
    assert message["Subject"].startswith("Attention:dry warning s?d?xxx")
    assert len(message["Subject"]) == 99


def test_a_device_cannot_put_a_line_of_its_own_into_a_message() -> None:
    forged = replace(OPEN, device="x\ncritical: \0")
    said = "Humidity 20 under threshold for device name x?critical: ?"
    assert single(forged, *HUMIDITY)["Message"].startswith(f"{said}\n\nrule dry")
    assert digest("d1", [forged], *HUMIDITY)["Message"].endswith(f"\n\nwarning: {said}")


def notices(count: int) -> list[Notice]:
    return [replace(OPEN, id=f"{n}-open", device=f"soil{n:05}") for n in range(count)]


def test_a_digest_lists_the_worst_first_and_counts_the_rest() -> None:
    many = [*notices(10_000), replace(OPEN, id="x", device="z", severity="critical"),
            replace(OPEN, id="y", device="y", state="recovered")]  # fmt: skip
    message = digest("d1", many, *HUMIDITY)
    lines = message["Message"].split("\n")
    assert lines[0] == "10,002 alerts: 10,001 began, 1 recovered"
    assert lines[2] == "critical: Humidity 20 under threshold for device name z"
    assert len(lines) == 2 + LISTED + 1
    assert lines[-1].startswith("... and 9,902 more;")
    given = {name: each["StringValue"] for name, each in message["MessageAttributes"].items()}
    assert given == {
        "id": "d1", "state": "digest", "severity": "critical", "count": "10002", "open": "10001", "recovered": "1",
    }  # fmt: skip


def test_a_digest_is_bounded_whatever_devices_are_called() -> None:
    message = digest("d1", [replace(n, device="€" * 128 + n.device) for n in notices(10_000)], *HUMIDITY)
    assert len(message["Message"].encode()) < 64_000


def test_the_name_of_a_digest_follows_from_its_notices() -> None:
    assert digest_name(notices(3)) == digest_name(notices(3)[::-1]) != digest_name(notices(4))


def test_chat_gets_the_schema_of_custom_notifications_and_programs_their_attributes() -> None:
    message = chat(single(OPEN, *HUMIDITY))
    body = json.loads(message["Message"])
    assert (body["version"], body["source"], body["id"]) == ("1.0", "custom", "e1-open")
    assert body["content"]["textType"] == "client-markdown"
    assert body["content"]["title"] == ":warning: Attention:dry warning soil"
    assert body["content"]["description"].startswith("Humidity 20 under threshold")
    assert body["metadata"]["threadId"] == "e1"
    assert all(isinstance(value, str) for value in body["metadata"]["additionalContext"].values())
    assert message["MessageAttributes"]["device"]["StringValue"] == "soil"


def test_an_unusual_value_is_left_out_of_the_attributes() -> None:
    assert attributes(a="", b="x" * 257, c="x\ny", d=3).keys() == {"d"}
