"""What a consumer needs that is not started by the local stack but beside it, such as in a container (compose.yaml).

`folder/env` is for a shell's `source`: the task definition's environment, where AWS is, and where the task's
credentials are. The emulator's authorities lie beside it, to be read by everyone. All of it is for the emulator only.
"""

import shlex
import shutil
from pathlib import Path

from infra.local.emulator import Emulator
from infra.local.identity import settings_of

HERE = {"WORKER_ID": "local", "FAST_START": "true"}
"""Differences from the cloud: there the host's name is the worker id, and no user is waiting for the start."""


def write(emulator: Emulator, task_definition: str, folder: Path) -> Path:
    """Returns the file of variables."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings_of(emulator, task_definition) | HERE
    if own := emulator.ca_file:
        for path in (own, own.with_name("truststore.p12")):
            shutil.copyfile(path, folder / path.name)
            (folder / path.name).chmod(0o644)
        settings = {name: value.replace(str(own.parent), str(folder)) for name, value in settings.items()}
    file = folder / "env"
    file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()))
    return file


def forget(folder: Path) -> None:
    """Harmless where there is none."""
    shutil.rmtree(folder, ignore_errors=True)
