"""How unit tests run, and what several of them need."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import settings

from tests.unit.fakes import FakeDaemon, World

# A busy machine must not fail a property: the time of one example says nothing about it.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def daemon(world: World) -> AsyncIterator[FakeDaemon]:
    """It has started a shard."""
    async with FakeDaemon(world) as daemon:
        await daemon.start()
        yield daemon
