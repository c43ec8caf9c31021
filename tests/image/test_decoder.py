"""An image derived from the service's, with a decoder of one's own: the example of docs/contracts.md, as it stands."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import decoder_example
from tests.image.engine import Image

NAME = "localhost/sensorstream-derived:test"
READ = """
import sys
from consumer.payload.decode import decode
from consumer.settings import Settings
import os
settings = Settings.load(os.environ | {"STREAM_NAME": "s", "SENSOR_TABLE": "table", "ARCHIVE_BUCKET": "bucket",
                                       "AWS_REGION": "xx-north-1", "READING_CONTRACTS": sys.argv[1]})
found = decode(sys.argv[2].encode(), settings.reading_contracts, "", 1_796_000_000_000)
print([(each.device, str(each.value)) for each in found.readings], [each.detail for each in found.rejects])
"""


@pytest.fixture
def derived(image: Image, tmp_path: Path) -> Iterator[Image]:
    decoder_example.write(tmp_path)
    recipe = tmp_path / "Dockerfile"
    recipe.write_text(recipe.read_text().replace("FROM sensorstream:local\n", f"FROM {image.name}\n"))
    command = [*image.engine, "build", "--quiet", "--tag", NAME, "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    yield Image(NAME)
    subprocess.run([*image.engine, "rmi", "--force", NAME], capture_output=True, timeout=60, check=True)


def test_its_decoder_runs_in_the_restricted_container(derived: Image, tmp_path: Path) -> None:
    contracts, uplink = ((tmp_path / name).read_text() for name in ("fleet.json", "uplink.json"))
    assert derived.output("python", "-c", READ, contracts, uplink) == "[('w-1', '40.5')] []\n"
    assert "KeyError" in derived.output("python", "-c", READ, contracts, "{}")
