"""`make demo` as a new user runs it, for a few seconds."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from infra.local.emulator import free_port
from infra.local.process import ROOT
from tests.system.conftest import nothing_is_left

KEYS = {
    "published",
    "stream_records",
    "rows_expected",
    "rows",
    "archived",
    "archive_missing",
    "archive_duplicates",
    "dead_letters_expected",
    "dead_letters",
    "alerts_expected",
    "alerts",
    "superseded",
    "publish_to_row_ms",
    "first_row_s",
    "consumer_rss_mb",
    "daemon_rss_mb",
    "ok",
}


@pytest.mark.parametrize("page", [None, "the-things-network", "shelly"])  # alerts by the rule and by the consumer
def test_the_demo_ends_with_one_json_line_and_leaves_nothing_behind(tmp_path: Path, page: str | None) -> None:
    ports = {name: str(free_port()) for name in ("AWS_PORT", "MQTT_PORT", "HTTP_PORT")}
    chosen = ports | {"FOR": "5", "DEVICES": "10", "RATE": "50"} | ({"CONTRACT": page} if page else {})
    of_others = {"PROFILE": "prod", "STACK": "Not_Ours", "RATE": "none", "IMAGE": "none", "YES": "perhaps"}
    env = os.environ | of_others | {"LOCAL_DIR": str(tmp_path)}
    command = ["make", "demo", *(f"{name}={value}" for name, value in chosen.items())]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert outcome.keys() == KEYS | ({"contract"} if page else set())
    assert outcome.get("contract") == page
    assert outcome["ok"] is True
    assert 0 < outcome["alerts_expected"] <= outcome["alerts"]
    assert outcome["published"] == outcome["archived"] == outcome["stream_records"] >= 200
    nothing_is_left(tmp_path)
