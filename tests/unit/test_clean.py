"""make clean takes away what can be made again, and nothing else."""

import os
import shutil
import subprocess
from pathlib import Path

from infra.local.process import ROOT


def test_the_keys_of_devices_in_the_cloud_stay(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "infra").mkdir()
    shutil.copy(ROOT / "infra/switches.py", tmp_path / "infra")
    for made in (
        ".venv/bin",
        ".local/log",
        ".local/prometheus/data",
        ".local/emulated-devices/a",
        ".local/devices/field-1",
    ):
        (tmp_path / made).mkdir(parents=True)
    key = tmp_path / ".local/devices/field-1/private.key"
    key.write_text("the only one")
    (tmp_path / ".local/env").write_text("export A=b\n")
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    subprocess.run(["make", "clean"], cwd=tmp_path, env=env, check=True, capture_output=True, timeout=60)
    assert key.read_text() == "the only one"
    assert {path.name for path in (tmp_path / ".local").iterdir()} == {"devices"}
    assert not (tmp_path / ".venv").exists()
    shutil.rmtree(tmp_path / ".local/devices")
    subprocess.run(["make", "clean"], cwd=tmp_path, env=env, check=True, capture_output=True, timeout=60)
    assert not (tmp_path / ".local").exists()
