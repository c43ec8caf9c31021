"""A consumer that is started beside the local stack gets what its task would have."""

import os
import subprocess
from pathlib import Path

from infra.local import elsewhere
from infra.local.identity import settings_of
from tests.component.strict import Strict


def test_its_environment_is_the_task_definitions(strict: Strict, tmp_path: Path) -> None:
    definition = strict.names["TaskDefinitionArn"]
    file = elsewhere.write(strict.emulator, definition, tmp_path / "consumer")
    shell = ["bash", "-c", f"source {file}; env -0"]
    done = subprocess.run(shell, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True)
    found = dict(line.partition("=")[::2] for line in done.stdout.split("\0") if line)
    declared = settings_of(strict.emulator, definition)
    own = strict.emulator.ca_file
    assert own
    moved = {name for name, value in declared.items() if str(own.parent) in value}
    assert moved == {"AWS_CA_BUNDLE", "JAVA_TOOL_OPTIONS"}
    same = {name: value for name, value in declared.items() if name not in moved}
    assert same.items() <= found.items()
    assert found.keys() - declared.keys() - {"PATH", "PWD", "SHLVL", "_"} == elsewhere.HERE.keys()
    assert Path(found["AWS_CA_BUNDLE"]).read_bytes() == own.read_bytes()
    assert f"trustStore={tmp_path}/consumer/truststore.p12" in found["JAVA_TOOL_OPTIONS"]
    for path in file.parent.iterdir():
        assert path.stat().st_mode & 0o004, "the image's user is another one"
    elsewhere.forget(file.parent)
    assert not file.parent.exists()
