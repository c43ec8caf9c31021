"""Dead letters: how many by reason and by device, single ones with payload and reasons, and sending them again."""

import time
from itertools import islice
from typing import Any

import msgspec
from aiohttp import web

from consumer.payload.contracts import Contracts
from producer.aws.pace import Pace
from producer.aws.stack import Stack
from producer.console.problems import BadRequest
from producer.console.requests import Blocking, body, number
from producer.ops import redrive
from producer.ops.archive_index import Span
from producer.ops.dead_letters import DeadLetters, Selection
from producer.ops.redrive import Group

MOST, SHOWN = 5_000, 200
"""Dead letters that one look counts, and that it shows."""


class Redrive(msgspec.Struct, forbid_unknown_fields=True):
    """Which dead letters to send: of which reasons (all without any) that arrived from when on (ms). Without `send`
    nothing is sent, and the answer says what would be."""

    start: int
    send: bool = False
    reasons: list[str] = []
    readable: bool = True


class Letters:
    """Handlers below /api/dead-letters. Payloads are read by `contracts` to say which would be readable now."""

    def __init__(self, stack: Stack, contracts: Contracts, blocking: Blocking) -> None:
        self._stack = stack
        self._contracts = contracts
        self._blocking = blocking

    async def look(self, request: web.Request) -> web.Response:
        """`?from=` (ms)`[&device=]`: sums by reason and by device, and the newest ones."""
        start = number(request, "from")
        if start is None:
            raise BadRequest("from is missing")
        return web.json_response(await self._blocking(self._look, start, request.query.get("device")))

    async def redrive(self, request: web.Request) -> web.Response:
        """Sends what was chosen, each once, and says what became of it; or counts it."""
        order = await body(request, Redrive)
        selection = Selection(Span(order.start), frozenset(order.reasons), None, order.readable, self._contracts)
        if order.send:
            sent = await self._blocking(redrive.send, self._stack, selection, Pace(None), False)
            return web.json_response(sent.as_json())
        counted = await self._blocking(redrive.summary, self._stack, selection, "reason")
        return web.json_response(counted.as_json())

    def _look(self, start: int, device: str | None) -> dict[str, Any]:
        letters = DeadLetters(self._stack, Selection(Span(start), contracts=self._contracts))
        every = (letter for _, found in letters.objects() for letter in found)
        wanted = (each for each in every if device is None or each.line.partition_key == device)
        found = list(islice(wanted, MOST + 1))
        reasons: dict[str, Group] = {}
        devices: dict[str, Group] = {}
        for letter in found[:MOST]:
            for reason in {each.reason for each in letter.line.rejects}:
                reasons.setdefault(reason, Group()).take(letter)
            devices.setdefault(letter.line.partition_key or "?", Group()).take(letter)
        newest = sorted(found[:MOST], key=lambda each: each.arrival or 0, reverse=True)
        return {
            "at": int(time.time() * 1000),
            "more": len(found) > MOST,
            "count": min(len(found), MOST),
            "reasons": {name: group.as_json() for name, group in sorted(reasons.items())},
            "devices": {name: group.as_json() for name, group in sorted(devices.items())},
            "letters": [each.as_json() for each in newest[:SHOWN]],
            "findings": letters.findings.as_json(),
        }
