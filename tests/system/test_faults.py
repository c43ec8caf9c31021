"""The quickest faults of `make faults`, one after the other on one bench."""

import json
import os
import subprocess
from pathlib import Path

from infra.local.process import ROOT

QUICKEST = ("kill-daemon", "kill-connector", "kill-service", "sigterm", "split")


def test_the_quickest_faults_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    env = {**os.environ, "LOCAL_DIR": str(tmp_path), "ONLY": ",".join(QUICKEST), "SEED": "1", "ROUNDS": "0"}
    command = [str(ROOT / ".venv/bin/python"), "-m", "tests.faults"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert [row["fault"] for row in report["rows"]] == list(QUICKEST)
    for row in report["rows"]:
        assert row["published"] > 1_000
        assert row["published"] == row["archived"]
        assert (row["lost"], row["archive_duplicates"]) == (0, 0)
        assert row["recovery_s"] <= 15
