"""The image's tag: equal for equal content, and for nothing else."""

import re
import shutil
from pathlib import Path

import pytest

from infra.deploy.image import ROOT, sources, tag


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for source in (*sources(), "pyproject.toml"):
        here = ROOT / source
        if here.is_dir():
            shutil.copytree(here, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(here, tmp_path / source)
    return tmp_path


def test_the_image_is_made_of_what_the_dockerfile_copies() -> None:
    found = sources()
    assert {"Dockerfile", "consumer", "producer", "requirements/service.txt"} <= set(found)
    assert all((ROOT / source).exists() for source in found)


def test_the_same_files_give_the_same_tag_wherever_they_are(checkout: Path) -> None:
    assert tag("ARM64", checkout) == tag("ARM64")
    assert re.fullmatch(r"[0-9.]+-[0-9a-f]{12}-arm64", tag("ARM64"))


def test_another_architecture_or_content_is_another_tag(checkout: Path) -> None:
    before = tag("ARM64", checkout)
    assert tag("X86_64", checkout) != before
    (checkout / "consumer/__main__.py").write_text("print()\n")
    assert tag("ARM64", checkout) != before


def test_caches_of_python_do_not_count(checkout: Path) -> None:
    before = tag("ARM64", checkout)
    cache = checkout / "consumer/__pycache__"
    cache.mkdir()
    (cache / "shard.cpython-311.pyc").write_bytes(b"x")
    assert tag("ARM64", checkout) == before
