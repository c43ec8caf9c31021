"""A device: its history, its readings as they come, its records in the archive."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from aiohttp import web

from producer.console.archived import Archive
from producer.console.history import READINGS, History, Row
from producer.console.live import KEEP_ALIVE, Events
from producer.console.problems import BadRequest, problem
from producer.console.requests import Blocking, number

BUCKETS = 300  # of a chart that puts readings together
FAST, SLOW, QUICK_SECONDS = 0.1, 1.0, 10.0
"""Seconds between two looks for new rows: fast for a while after something came or was published, else slow."""


class Device:
    """Handlers below /api/devices/{device}."""

    def __init__(self, history: History, archive: Archive, blocking: Blocking) -> None:
        self._history = history
        self._archive = archive
        self._blocking = blocking
        self._expected: dict[str, float] = {}
        self._published = asyncio.Event()

    def expect(self, device: str) -> None:
        """Something is published for it: those who watch it look at once, and more often for a while."""
        self._expected[device] = time.monotonic()
        self._published.set()  # wakes who waits now
        self._published.clear()

    async def readings(self, request: web.Request) -> web.Response:
        """`?from=&to=`, times in ms: rows, newest first."""
        start, end = number(request, "from"), number(request, "to")
        found = await self._blocking(self._history.within, request.match_info["device"], start, end, READINGS)
        return web.json_response({"rows": [row._asdict() for row in found.rows], "more": found.more})

    async def series(self, request: web.Request) -> web.Response:
        """`?from=&to=[&measure=]`: the range in BUCKETS."""
        (start, end), measure = _both(request), request.query.get("measure")
        device = request.match_info["device"]
        found = await self._blocking(self._history.series, device, measure, start, end, BUCKETS)
        return web.json_response(found._asdict())

    async def rollups(self, request: web.Request) -> web.Response:
        """`?from=&to=`: the range in at most BUCKETS made of rollups; null where readings show more."""
        start, end = _both(request)
        found = await self._blocking(self._history.rollups, request.match_info["device"], start, end, BUCKETS)
        series = {name: each._asdict() for name, each in found.series.items()} if found else {}
        return web.json_response(found and {"seconds": found.seconds, "series": series})

    async def archived(self, request: web.Request) -> web.Response:
        """`?before=`, in ms: records under this partition key with their payloads, newest first."""
        before = number(request, "before") or int(time.time() * 1000) + 60_000
        records, objects = await self._blocking(self._archive.newest, request.match_info["device"], before, 20)
        return web.json_response({"records": [each.as_json() for each in records], "objects": objects})

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Rows that are newer than the newest one so far, or than Last-Event-ID; `alive` now and then."""
        device = request.match_info["device"]
        since = request.headers.get("Last-Event-ID", request.query.get("since", ""))
        events = await Events.open(request)
        heard = quick = time.monotonic()
        try:
            while True:
                rows, trouble = await self._newer(device, since)
                now = time.monotonic()
                if trouble:
                    await events.send("problem", trouble)
                elif rows:
                    since, quick = rows[0].time, now
                    await events.send("rows", [row._asdict() for row in rows], since)
                elif now - heard > KEEP_ALIVE / 2:
                    await events.send("alive", {})
                if trouble or rows or now - heard > KEEP_ALIVE / 2:
                    heard = now
                quick = max(quick, self._expected.get(device, 0))
                pause = SLOW if trouble or now - quick > QUICK_SECONDS else FAST
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._published.wait(), pause)
        except ConnectionResetError:
            return web.Response()

    async def _newer(self, device: str, since: str) -> tuple[list[Row], dict[str, Any] | None]:
        """Newest first; at most what one look can tell, since a chart that was away for longer asks for its range."""
        try:
            rows = await self._blocking(self._history.newest, device)
        except Exception as error:
            if (found := problem(error)) is None:
                raise
            return [], found
        return [row for row in rows if row.time > since], None


def _both(request: web.Request) -> tuple[int, int]:
    start, end = number(request, "from"), number(request, "to")
    if start is None or end is None:
        raise BadRequest("from and to are missing")
    return start, end
