"""What several of these tests share."""

import os
import socket
import sys
from collections.abc import Iterator

import pytest

from infra.local.emulator import HOST, Emulator, free_port
from infra.local.process import Child
from tests.component.strict import Strict, strict_stack


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    """The whole deployment where roles and policies count."""
    with strict_stack(tmp_path_factory.mktemp("strict") / "emulator.log") as stack:
        yield stack


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of moto's server, an implementation of DynamoDB that shares nothing with the emulator's."""
    port, log = free_port(), tmp_path_factory.mktemp("moto") / "moto.log"
    command = [sys.executable, "-m", "tests.component.moto_server", HOST, str(port)]
    server = Child("moto", command, {"PATH": os.environ["PATH"]}, log)

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, port)) == 0

    try:
        server.wait_until(listens, 60)
        yield f"http://{HOST}:{port}"
    finally:
        server.stop(5)


@pytest.fixture(params=["emulator", "moto"])
def tables(request: pytest.FixtureRequest, emulator: Emulator) -> str:
    """Address of DynamoDB, twice: conditions, numbers and batches must hold in two implementations."""
    return emulator.endpoint if request.param == "emulator" else str(request.getfixturevalue("moto"))
