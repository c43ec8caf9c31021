"""The bill of materials names everything that the image is made of."""

import json
import re
import subprocess

from infra.local.process import ROOT
from tests.image.engine import Image

PROGRAM = str(ROOT / "infra/image/sbom.sh")


def test_it_names_each_package_with_its_version(image: Image) -> None:
    subprocess.run([PROGRAM, image.name], check=True, timeout=300)
    bill = json.loads((ROOT / "build/sbom.cdx.json").read_text())
    named = {part["purl"].partition("?")[0] for part in bill["components"] if "purl" in part}
    pins = re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", (ROOT / "requirements/service.txt").read_text(), re.MULTILINE)
    python = {p.lower().replace("_", "-") for p in named if p.startswith("pkg:pypi/")}
    assert {f"pkg:pypi/{name}@{version}" for name, version in pins} <= python
    assert {p.partition("@")[0] for p in python} - {f"pkg:pypi/{name}" for name, _ in pins} == {"pkg:pypi/sensorstream"}
    jars = [
        line.split()[1].removesuffix(".jar") for line in (ROOT / "requirements/jars.sha256").read_text().splitlines()
    ]
    java = {p.rpartition("/")[2].replace("@", "-") for p in named if p.startswith("pkg:maven/")}
    assert set(jars) <= java
    assert any(p.startswith("pkg:deb/debian/libssl3@") for p in named)
    assert any("/openjdk@17." in p for p in named)


def test_an_image_that_is_not_there_is_reported() -> None:
    done = subprocess.run(
        [PROGRAM, "sensorstream:never-built"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "no image sensorstream:never-built" in done.stderr) == (1, True)
