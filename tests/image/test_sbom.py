"""The bill of materials names everything that the image is made of."""

import re

import pytest

from infra import sbom
from infra.local.process import ROOT
from tests.image.engine import Image


def test_it_names_each_package_with_its_version(image: Image) -> None:
    bom = sbom.bill(image.name, sbom.inventory(image.name))
    assert sbom.written(bom)
    named = {str(component.purl) for component in bom.components}
    pins = re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", (ROOT / "requirements/service.txt").read_text(), re.MULTILINE)
    own = {p for p in named if p.startswith("pkg:pypi/") and not p.startswith("pkg:pypi/sensorstream@")}
    assert {f"pkg:pypi/{name}@{version}" for name, version in pins} == own
    jars = (ROOT / "requirements/jars.sha256").read_text().splitlines()
    hashes = {each.content for component in bom.components for each in component.hashes}
    assert hashes == {line.split()[0] for line in jars}
    assert any(p.startswith("pkg:deb/debian/libssl3@") for p in named)
    assert any(p.startswith("pkg:generic/openjdk@17.") for p in named)


def test_an_image_that_is_not_there_is_told() -> None:
    with pytest.raises(sbom.SbomError, match="no image sensorstream:never-built"):
        sbom.inventory("sensorstream:never-built")
