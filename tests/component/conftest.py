"""What several of these tests share."""

from collections.abc import Iterator

import pytest

from infra.local.dynamodb import FOLDER, DynamoDbLocal
from infra.local.emulator import Emulator
from tests.component.strict import Strict, strict_stack


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    """The whole deployment where roles and policies count."""
    with strict_stack(tmp_path_factory.mktemp("strict") / "emulator.log") as stack:
        yield stack


@pytest.fixture(scope="session")
def dynamodb_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of AWS's own DynamoDB Local."""
    assert (FOLDER / "ready").is_file(), "make .local-dynamodb/ready fetches it; make test does so by itself"
    with DynamoDbLocal(tmp_path_factory.mktemp("dynamodb") / "dynamodb.log") as running:
        yield running.endpoint


@pytest.fixture(params=["emulator", "dynamodb-local"])
def tables(request: pytest.FixtureRequest, emulator: Emulator) -> str:
    """Address of DynamoDB, twice: what the emulator says of conditions, numbers and batches is not taken on trust."""
    if request.param == "emulator":
        return emulator.endpoint
    return str(request.getfixturevalue("dynamodb_local"))
