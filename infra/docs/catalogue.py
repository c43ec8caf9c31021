"""`producer/console/catalogue.json`: what the console offers to publish, from the pages of docs/devices."""

import json
import re
from typing import Any

from consumer.payload.contract import DEFAULT_SETTING
from infra.local.cookbook import ARRIVAL, Page, pages


def catalogue() -> str:
    """The file's text: the built-in contracts first, then each page."""
    entries = [_built_in(), *map(_entry, pages().values())]
    return json.dumps(entries, indent=1, ensure_ascii=False) + "\n"


def _entry(page: Page) -> dict[str, Any]:
    found = re.search(r"^# (.+)$", page.text, re.MULTILINE)
    examples = [
        {"names": list(each.names), "payload": each.payload.strip(), "pattern": each.pattern} for each in page.examples
    ]
    return {
        "name": page.name,
        "title": found[1] if found else page.name,
        "contract": json.loads(page.contract),
        "zone": str(page.family.zone),
        "arrival": ARRIVAL,
        "examples": examples,
    }


def _built_in() -> dict[str, Any]:
    """As a soil sensor sends it, and in the older shape."""
    at = "2026-05-04T10:00:02"
    payloads = [
        {"name": "soilSensor1", "humidity": 41.5, "timeStampEpoch": ARRIVAL * 1000, "timeStampIso": at},
        {"sensorid": "soilSensor1", "value": 41.5, "timestamp": f"{at}.000Z"},
    ]
    return {
        "name": "built-in",
        "title": "Soil sensor (built-in contracts)",
        "contract": DEFAULT_SETTING,
        "zone": "UTC",
        "arrival": ARRIVAL,
        "examples": [
            {"names": ["soilSensor1"], "payload": json.dumps(each, indent=1), "pattern": 0} for each in payloads
        ],
    }
