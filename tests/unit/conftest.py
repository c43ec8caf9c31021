"""What several unit tests need."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.fakes import FakeDaemon, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def daemon(world: World) -> AsyncIterator[FakeDaemon]:
    """It has started a shard."""
    async with FakeDaemon(world) as daemon:
        await daemon.start()
        yield daemon
