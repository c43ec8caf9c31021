"""Which Java runtime is taken for the daemon."""

from pathlib import Path

import pytest

from consumer.kcl import java


def runtime(folder: Path, version: str) -> Path:
    """A `java` in this folder that reports the version as Java does."""
    folder.mkdir(parents=True)
    path = folder / "java"
    path.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2026-01-20' >&2\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("JAVA", "JAVA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)  # the wheel is installed here


def test_without_any_there_is_none() -> None:
    assert java.find() is None


def test_the_home_goes_before_the_path_unless_it_is_too_old(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    on_path = runtime(tmp_path / "path", "17.0.14")
    assert java.find() == on_path
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    runtime(tmp_path / "old/bin", "11.0.2")
    assert java.find() == on_path
    newer = runtime(tmp_path / "new/bin", "21.0.2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "new"))
    assert java.find() == newer


def test_the_chosen_one_alone_is_considered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runtime(tmp_path / "path", "17.0.14")
    monkeypatch.setenv("JAVA", str(tmp_path / "gone/java"))
    assert java.find() is None
    monkeypatch.setenv("JAVA", str(runtime(tmp_path / "chosen", "25")))
    assert java.find() == tmp_path / "chosen/java"


def test_what_prints_no_version_is_no_java(tmp_path: Path) -> None:
    path = runtime(tmp_path / "odd", "17")
    path.write_text("#!/bin/sh\necho usage >&2\n")
    assert java.version(str(path)) == 0
