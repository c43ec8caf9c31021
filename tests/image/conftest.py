"""The built image beside a local stack without a consumer: its containers take the parts of the stack's tasks."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.deployer import IMAGE
from infra.local.emulator import free_port
from infra.local.identity import settings_of
from infra.local.options import Options
from infra.local.stack import LocalStack
from tests.image.engine import Container, Image
from tests.system.conftest import System, wait_for

READY_SECONDS = 180
GRACE = 60


@pytest.fixture(scope="session")
def image() -> Image:
    """IMAGE of the environment, else the one that make image builds."""
    return Image(os.environ.get("IMAGE") or IMAGE)


@pytest.fixture(scope="session")
def tools() -> Image:
    """The image of the commands, which make image builds beside it."""
    return Image(f"{os.environ.get('IMAGE') or IMAGE}-tools")


@pytest.fixture(scope="session")
def system() -> Iterator[System]:
    options = Options(
        name="boxed",
        aws_port=free_port(),
        mqtt_port=free_port(),
        http_port=free_port(),
        parameters={"ShardCount": "2", "SimulatorDevices": "3", "CompactionSchedule": "rate(1 hour)"},
        consumer=False,
    )
    with LocalStack(options, print) as stack:
        yield System(stack)


@pytest.fixture(scope="session")
def trust(system: System, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the emulator's authorities that every user may read, as opposed to the emulator's own."""
    folder = tmp_path_factory.mktemp("trust")
    own = system.stack.emulator.ca_file
    assert own
    for path in (own, own.with_name("truststore.p12"), Path(system.stack.env["IOT_CA_FILE"])):
        shutil.copy(path, folder)
        (folder / path.name).chmod(0o644)
    for each in (folder, *folder.parents[:2]):
        each.chmod(0o755)
    return folder


def task(system: System, trust: Path, definition: str) -> dict[str, str]:
    """Environment of a task definition's container; the authorities are where it finds them."""
    own = system.stack.emulator.ca_file
    assert own
    declared = settings_of(system.stack.emulator, definition)
    return {name: value.replace(str(own.parent), str(trust)) for name, value in declared.items()}


@pytest.fixture(scope="module")
def service(system: System, trust: Path, image: Image) -> Iterator[Container]:
    """The consumer's task, healthy."""
    environ = task(system, trust, system.stack.outputs["TaskDefinitionArn"]) | {
        "WORKER_ID": "boxed",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": str(system.stack.options.http_port),
        "FAST_START": "true",
        "ARCHIVE_MAX_SECONDS": "2",
        "SHUTDOWN_SECONDS": str(GRACE - 10),
    }
    container = image.start(environ, trust)
    try:

        def healthy() -> bool:
            assert container.running(), container.log()
            return container.run(*image.health_check).returncode == 0

        wait_for(healthy, "health by the image's own check", READY_SECONDS)
        yield container
    finally:
        container.remove()


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    return str(tmp_path / "ledger")
