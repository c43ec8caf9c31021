"""The fleet: the devices that were seen, and of those that a person looks at, what they sent last."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

from producer.console.history import LATEST, History
from producer.console.live import lines, merged
from producer.console.problems import BadRequest, problem
from producer.console.requests import Blocking, body

KEPT_SECONDS = 15.0  # a list; its entries are renewed every few minutes, by the consumer
SPARK = 30  # readings of a small line
SPARKS = 10  # small lines in an answer, each asked for at the same time


class Names(msgspec.Struct, forbid_unknown_fields=True):
    """Devices that a person looks at."""

    devices: list[str]


class Fleet:
    """Handlers of /api/fleet, /api/latest and /api/sparks."""

    def __init__(self, history: History, blocking: Blocking) -> None:
        self._history = history
        self._blocking = blocking
        self._list: list[dict[str, Any]] = []
        self._read_at = float("-inf")

    async def devices(self, request: web.Request) -> web.StreamResponse:
        """Lines of JSON, each with some of the devices: when each was seen, and a reading of about then. The last line
        says `complete`, or names a `problem`."""
        return await lines(request, self._pages())

    async def _pages(self) -> AsyncIterator[dict[str, Any]]:
        if time.monotonic() - self._read_at < KEPT_SECONDS:
            yield {"devices": self._list, "complete": True}
            return
        found: list[dict[str, Any]] = []
        try:
            async for page in merged(self._blocking.pool, [self._history.devices()]):
                entries = [{"device": device, "seen": seen, **row._asdict()} for device, seen, row in page]
                found += entries
                yield {"devices": entries}
        except Exception as error:
            if (trouble := problem(error)) is None:
                raise
            yield {"problem": trouble}
            return
        self._list, self._read_at = found, time.monotonic()
        yield {"devices": [], "complete": True}

    async def latest(self, request: web.Request) -> web.Response:
        """The newest reading of each of up to 50 devices."""
        names = await self._names(request, LATEST)
        found = await self._blocking(self._history.latest, names) if names else {}
        return web.json_response({"latest": {name: row._asdict() for name, row in found.items()}})

    async def sparks(self, request: web.Request) -> web.Response:
        """The newest readings of each of up to 10 devices, newest first."""
        names = await self._names(request, SPARKS)
        found = await asyncio.gather(*(self._blocking(self._history.readings, name, SPARK) for name in names))
        sparks = {name: [row._asdict() for row in rows] for name, rows in zip(names, found, strict=True)}
        return web.json_response({"sparks": sparks})

    async def _names(self, request: web.Request, most: int) -> list[str]:
        names = (await body(request, Names)).devices
        if len(names) > most:
            raise BadRequest(f"{most} devices at a time, not {len(names)}")
        return names
