"""Streams to the browser: server-sent events, and lines of JSON that answer one request."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from aiohttp import web

T = TypeVar("T")
KEEP_ALIVE = 10.0  # seconds; a page that hears nothing for longer calls itself stale


class Events:
    """An open stream of server-sent events."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response

    @classmethod
    async def open(cls, request: web.Request) -> "Events":
        """Answers the request with a stream. A browser that loses it asks again by itself after a second."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"retry: 1000\n\n")
        return cls(response)

    async def send(self, event: str, data: Any, name: str = "") -> None:
        """`name` is what the browser gives as Last-Event-ID when it asks again."""
        head = f"id: {name}\n" if name else ""
        await self._response.write(f"{head}event: {event}\ndata: {json.dumps(data)}\n\n".encode())


async def lines(request: web.Request, documents: AsyncIterator[Mapping[str, Any]]) -> web.StreamResponse:
    """Answers with one line of JSON for each document, as soon as it is there."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    with suppress(ConnectionResetError):
        async for each in documents:
            await response.write(json.dumps(each).encode() + b"\n")
        await response.write_eof()
    return response


async def merged(pool: ThreadPoolExecutor, sources: list[Iterator[T]]) -> AsyncIterator[T]:
    """What blocking iterators give, each in a thread of its own, in the order in which it comes. Raises as they."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[T | None]()

    def drain(source: Iterator[T]) -> None:
        try:
            for each in source:
                loop.call_soon_threadsafe(queue.put_nowait, each)
        finally:
            loop.call_soon_threadsafe(queue.put_nowait, None)

    running = [loop.run_in_executor(pool, drain, source) for source in sources]
    left = len(running)
    while left:
        each = await queue.get()
        if each is None:
            left -= 1
        else:
            yield each
    await asyncio.gather(*running)
