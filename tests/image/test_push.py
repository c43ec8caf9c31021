"""What infra/image/push.sh says that it pushed is what a registry then has: a real one, of this machine."""

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.emulator import HOST, free_port
from infra.local.process import ROOT, Child
from tests.image.engine import Image

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Its host and port."""
    address = f"{HOST}:{free_port()}"
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "storage")}}
    configuration = tmp_path / "registry.yml"  # JSON is YAML
    configuration.write_text(json.dumps({"version": "0.1", "storage": storage, "http": {"addr": address}}))
    program = str(ROOT / ".local-registry/docker-registry")
    child = Child("the registry", [program, "serve", str(configuration)], os.environ, tmp_path / "registry.log")

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://{address}/v2/", timeout=5):
                return True
        except OSError:
            return False

    try:
        child.wait_until(ready, 30)
        yield address
    finally:
        child.stop(5)


def test_the_printed_reference_is_what_the_registry_has(registry: str, image: Image) -> None:
    repository = f"{registry}/team/sensorstream"
    done = subprocess.run(
        [str(ROOT / "infra/image/push.sh"), image.name, repository],
        env=os.environ | {"REGISTRY_INSECURE": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    name, _, digest = done.stdout.strip().partition("@")
    assert name == repository
    tag = image.name.rpartition(":")[2]
    ask = urllib.request.Request(
        f"http://{registry}/v2/team/sensorstream/manifests/{tag}", headers={"Accept": MANIFEST}
    )
    with urllib.request.urlopen(ask, timeout=30) as answer:  # noqa: S310
        assert answer.headers["Docker-Content-Digest"] == digest


def test_a_registry_that_is_not_there_is_reported(image: Image) -> None:
    command = [str(ROOT / "infra/image/push.sh"), image.name, f"{HOST}:{free_port()}/sensorstream"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode != 0
    assert "connection refused" in done.stderr
    assert done.stdout == ""
