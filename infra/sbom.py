"""`python -m infra.sbom [IMAGE]`: what the image is made of, as CycloneDX in build/sbom.cdx.json.

Asked of the image itself: Python's, Debian's and Maven's packages, what jars carry of others, and the Java runtime.
Exit codes: 0 done, 1 it failed.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from infra.local.deployer import IMAGE
from infra.local.process import ROOT

FILE = ROOT / "build/sbom.cdx.json"
INSIDE, INVENTORY = ROOT / "infra/image/inside.sh", ROOT / "infra/image/inventory.py"
GROUPS = {
    "checker-qual": "org.checkerframework",
    "ion-java": "com.amazon.ion",
    "jcommander": "com.beust",
    "protobuf-java": "com.google.protobuf",
    "reactive-streams": "org.reactivestreams",
    "rxjava": "io.reactivex.rxjava3",
    "third-party-jackson-core": "software.amazon.awssdk",
    "third-party-jackson-dataformat-cbor": "software.amazon.awssdk",
}
"""Maven's group of each jar that does not say it itself."""


class SbomError(Exception):
    """One line."""


def main(argv: Sequence[str]) -> int:
    image = argv[0] if argv else IMAGE
    try:
        found = inventory(image)
        text = written(bill(image, found))
    except SbomError as error:
        print(f"sbom: {error}", file=sys.stderr)
        return 1
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text)
    counts = ", ".join(f"{len(found[kind])} {name}" for kind, name in KINDS.items())
    print(f"{FILE.relative_to(ROOT)}: {counts}, Java {found['java']['JAVA_VERSION']}")
    return 0


KINDS = {"python": "packages of Python", "debian": "of Debian", "jars": "jars"}


def inventory(image: str) -> dict[str, Any]:
    """What infra/image/inventory.py prints inside the image."""
    with INVENTORY.open() as program:
        done = subprocess.run([str(INSIDE), image, "python", "-"], stdin=program, capture_output=True, text=True)
    if done.returncode != 0:
        raise SbomError(done.stderr.strip().splitlines()[-1])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def bill(image: str, found: dict[str, Any]) -> Bom:
    """Raises SbomError for a jar that nobody knows the origin of."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    whole = Component(type=ComponentType.CONTAINER, name=image, version=version, bom_ref="image")
    bom = Bom(components=[*_python(found), *_debian(found), *_jars(found), _java(found["java"])])
    bom.metadata.component = whole
    bom.register_dependency(whole, bom.components)
    return bom


def written(bom: Bom) -> str:
    """As JSON; raises SbomError when the standard's schema does not take it."""
    text = JsonV1Dot6(bom).output_as_string(indent=1)
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SbomError(f"not as CycloneDX 1.6 wants it: {wrong}")
    return text


def _python(found: dict[str, Any]) -> Iterator[Component]:
    for each in found["python"]:
        yield _component(PackageURL("pypi", None, each["name"].lower().replace("_", "-"), each["version"]))


def _debian(found: dict[str, Any]) -> Iterator[Component]:
    for each in found["debian"]:
        where = {"arch": each["architecture"], "distro": "debian-12"}
        yield _component(PackageURL("deb", "debian", each["name"], each["version"], where))


def _jars(found: dict[str, Any]) -> Iterator[Component]:
    for jar in found["jars"]:
        stem = jar["file"].removesuffix(".jar")
        parts = [PackageURL("maven", p["groupId"], p["artifactId"], p["version"]) for p in jar["contents"]]
        own = next((part for part in parts if f"{part.name}-{part.version}" == stem), None)
        if own is None:
            name, _, version = stem.rpartition("-")
            if name not in GROUPS:
                raise SbomError(f"{jar['file']} does not say where it is from; add its Maven group to infra/sbom.py")
            own = PackageURL("maven", GROUPS[name], name, version)
        component = _component(own, jar["sha256"])
        component.components.update(_component(part) for part in parts if part != own)
        yield component


def _java(release: dict[str, str]) -> Component:
    """The runtime that jlink made of OpenJDK's modules."""
    version = release["JAVA_VERSION"]
    component = _component(PackageURL("generic", None, "openjdk", version))
    component.cpe = f"cpe:2.3:a:oracle:openjdk:{version}:*:*:*:*:*:*:*"
    return component


def _component(purl: PackageURL, sha256: str | None = None) -> Component:
    return Component(
        type=ComponentType.LIBRARY,
        name=purl.name,
        group=purl.namespace if purl.type == "maven" else None,
        version=purl.version,
        purl=purl,
        bom_ref=purl.to_string(),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else [],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
