"""What tests of several components need: one emulator a run, on free ports, with the template deployed."""

import asyncio
import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import settings

# A busy machine must not fail a property: the time of one example says nothing about it. And what passed once passes
# again: other examples than those of each run are searched with --hypothesis-profile=search.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile("repeatable")

# A shell with .local/env sourced must not lead tests to a stack in use, nor may they write into its folder.
# What make passes to its own commands is not for those that the tests start: these write a line more under make.
for _name in [name for name in os.environ if name.startswith(("AWS_", "MAKE"))]:
    del os.environ[_name]
# What a shell starts in the background ignores Ctrl-C, and so would all that the tests start from there.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["LOCAL_DIR"] = _folder = tempfile.mkdtemp(prefix="sensorstream-test-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)

from infra.deploy.cloudformation import Event  # noqa: E402
from infra.deploy.deployment import Deployment  # noqa: E402
from infra.local.emulator import Emulator  # noqa: E402


class Loop(asyncio.SelectorEventLoop):
    """Runs a test that awaits, and the setup and teardown of each of its fixtures, for two minutes at most."""

    def run_until_complete(self, future: Any) -> Any:
        return super().run_until_complete(asyncio.wait_for(future, 120))


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], Loop]]:
    """The loops of tests that await."""
    return {"limited": Loop}


@dataclass(frozen=True)
class Deployed:
    """The template on the emulator. Clients of `session` talk to it; `variables` lead any other process there."""

    name: str
    outputs: dict[str, str]
    session: boto3.Session
    emulator: Emulator
    parameters: dict[str, str]
    events: list[Event]

    @property
    def endpoint(self) -> str:
        return self.emulator.endpoint

    @property
    def variables(self) -> dict[str, str]:
        return self.emulator.variables()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The emulator with our extension; its log is in the run's temporary folder."""
    with Emulator(log=tmp_path_factory.mktemp("emulator") / "emulator.log") as running:
        yield running


@pytest.fixture(scope="session")
def stack(emulator: Emulator) -> Deployed:
    """infra/data.yaml deployed as stack `test-stack` with two shards."""
    events: list[Event] = []
    parameters = {"ShardCount": "2"}
    outputs = Deployment(emulator.session(), "test-stack", parameters, events.append, 0.1).apply_data()
    return Deployed("test-stack", outputs, emulator.session(), emulator, parameters, events)


@pytest.fixture(scope="session")
def iot_ca(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File with the authority of the emulator's MQTT listener."""
    path = tmp_path_factory.mktemp("iot") / "ca.pem"
    path.write_text(emulator.ca())
    return path
