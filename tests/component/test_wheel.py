"""The wheel: the service and the commands, with all that they read, run away from the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.local.process import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files, as pip would lay them into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    source, target = folder / "source", folder / "site-packages"
    for name in ("consumer", "producer", "config"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [str(ROOT / ".venv/bin/uv"), "build", "--wheel", "--python", sys.executable, "--require-hashes"]
    command += ["--build-constraints", str(ROOT / "requirements/build.txt"), "--out-dir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run(installed: Path, tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(installed), "HOME": str(tmp_path)}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_every_module_and_file_of_the_packages_is_in_it(installed: Path) -> None:
    for package in ("consumer", "producer"):
        files = {path.relative_to(ROOT) for path in (ROOT / package).rglob("*") if path.is_file()}
        wanted = {path for path in files if "__pycache__" not in path.parts and path.suffix != ".java"}
        assert {path for path in wanted if not (installed / path).is_file()} == set()
    for name in ("kcl.properties", "logback.xml"):
        assert (installed / "consumer/config" / name).read_bytes() == (ROOT / "config" / name).read_bytes()


def test_the_commands_run_from_it(installed: Path, tmp_path: Path) -> None:
    where = "import consumer, producer; print(consumer.__file__, producer.__file__)"
    assert run(installed, tmp_path, "-c", where).stdout.count(str(installed)) == 2
    done = run(installed, tmp_path, "-m", "producer", "--help")
    assert (done.returncode, "redrive" in done.stdout) == (0, True), done.stderr
    done = run(installed, tmp_path, "-m", "consumer")  # it has no settings
    assert (done.returncode, "STREAM_NAME" in done.stderr) == (2, True), done.stderr


def test_the_daemon_finds_its_configuration_in_it(installed: Path, tmp_path: Path) -> None:
    code = "from consumer.kcl import daemon_config as d; print((d.CONFIG / d.PROPERTIES).read_text())"
    done = run(installed, tmp_path, "-c", code)
    assert done.stdout.strip() == (ROOT / "config/kcl.properties").read_text().strip(), done.stderr
