"""Structured concurrency: background tasks that end with a block."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def background(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs each of `work` in a task for as long as the block lasts; one that returns early does not end the block.

    When one of them fails, or the block does, all others are cancelled, and that error is raised as it is: the first,
    should several fail at once.
    """
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
            yield
            for task in tasks:
                task.cancel()
    except* Exception as failures:  # noqa: BLE001 (raised below)
        failure = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    if failure:
        raise failure
