"""Publish for some devices, and watch each message on its way."""

import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

from producer.aws.stack import Stack
from producer.aws.stream_reader import Tail
from producer.console import publishing
from producer.console.archived import Archive
from producer.console.catalogue import Kind, kinds
from producer.console.device import Device
from producer.console.history import History
from producer.console.live import lines, merged
from producer.console.problems import BadRequest, denied, problem
from producer.console.publishing import Published
from producer.console.requests import Blocking, body
from producer.console.travel import Travel


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """What a person has chosen: `payload` was the kind's example of that number before it was changed."""

    devices: list[str]
    payload: str
    kind: str = "built-in"
    example: int = 0
    via: publishing.Way = "kinesis"


class Publish:
    """Handlers of /api/kinds, /api/preview, /api/publish and /api/certificates."""

    def __init__(self, stack: Stack, history: History, archive: Archive, device: Device, blocking: Blocking) -> None:
        self._stack = stack
        self._history = history
        self._archive = archive
        self._device = device
        self._blocking = blocking

    async def kinds(self, _: web.Request) -> web.Response:
        """What may be published, and for which devices there are certificates."""
        found = [kind.as_json() for kind in kinds().values()]
        return web.json_response({"kinds": found, "certificates": publishing.certificates()})

    async def preview(self, request: web.Request) -> web.Response:
        """The payload of the first device as it would be sent now, and what its contract makes of it."""
        order = await body(request, Order)
        kind, now_ms = _kind(order), _now_ms()
        publishing.check(order.devices)
        data = kind.payload(order.example, order.payload, order.devices[0], now_ms)
        outcome = kind.outcome(data, order.devices[0], now_ms)
        return web.json_response({"payload": data.decode(errors="replace"), **outcome.as_json()})

    async def certificates(self, request: web.Request) -> web.Response:
        """Makes those of the devices that have none."""
        order = await body(request, Order)
        publishing.check(order.devices)
        for device in order.devices:
            await self._blocking(publishing.make_certificate, self._stack, device)
        return web.json_response({"certificates": publishing.certificates()})

    async def publish(self, request: web.Request) -> web.StreamResponse:
        """Lines of JSON: each step of each device's message, or one `problem` where it cannot be published."""
        order = await body(request, Order)
        publishing.check(order.devices)
        return await lines(request, self._steps(request, order, _kind(order)))

    async def _steps(self, request: web.Request, order: Order, kind: Kind) -> AsyncIterator[dict[str, Any]]:
        now_ms = _now_ms()
        payloads = {name: kind.payload(order.example, order.payload, name, now_ms) for name in order.devices}
        for name in order.devices:
            self._device.expect(name)
        try:
            published = await self._blocking(self._send, order, kind, payloads)
        except Exception as error:
            if (found := problem(error)) is None:
                raise
            yield {"problem": found}
            return
        travels = []
        for sent in published:
            outcome = kind.outcome(sent.data, sent.device, sent.at)
            for device in {sent.device, *(each.device for each in outcome.readings)}:
                self._device.expect(device)
            travels.append(Travel(sent, outcome, self._history, self._archive, lambda: request.transport is None))
        async for step in merged(self._blocking.pool, [each.steps() for each in travels]):
            yield step

    def _send(self, order: Order, kind: Kind, payloads: dict[str, bytes]) -> list[Published]:
        if order.via == "kinesis":
            return publishing.into_stream(self._stack, payloads)
        tails = {name: self._tail(name) for name in payloads}
        return publishing.over_mqtt(self._stack, payloads, tails, kind.family.examples[order.example].pattern)

    def _tail(self, device: str) -> Tail | None:
        """None where this role may not read the stream."""
        try:
            return Tail(self._stack.session, self._stack.stream, device)
        except Exception as error:
            if denied(error):
                return None
            raise


def _kind(order: Order) -> Kind:
    kind = kinds().get(order.kind)
    if kind is None or not 0 <= order.example < len(kind.family.examples):
        raise BadRequest(f"there is no example {order.example} of {order.kind}")
    return kind


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
