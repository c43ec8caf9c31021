"""What several of these tests share."""

from collections.abc import Iterator

import pytest

from tests.component.strict import Strict, strict_stack


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    """The whole deployment where roles and policies count."""
    with strict_stack(tmp_path_factory.mktemp("strict") / "emulator.log") as stack:
        yield stack
