"""The console's server: the page's files, and what the page asks for below /api, all behind `access`."""

import asyncio
import os
import re
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from producer.aws.errors import AWS_ERRORS, UserError, explain
from producer.aws.stack import Stack
from producer.console import access, problems
from producer.console.alerts import Alerts, noticed
from producer.console.archived import Archive
from producer.console.device import Device
from producer.console.fleet import Fleet
from producer.console.history import History
from producer.console.letters import Letters
from producer.console.pipeline import Pipeline
from producer.console.plan import planned
from producer.console.publish import Publish
from producer.console.requests import Blocking
from producer.ops.alert_history import AlertHistory
from producer.ops.contract import consumer_settings

PAGE = Path(__file__).with_name("page")
STOP_SECONDS = 1.0  # for what is being answered, among it streams that never end


class Server:
    """One stack's console; without a stack it has the page Plan alone. `announce` is called with each address that a
    browser may open."""

    def __init__(self, stack: Stack | None, announce: Callable[[str], None]) -> None:
        self._blocking = Blocking()
        self._access = access.Access(announce)
        app = web.Application(middlewares=[self._access.middleware, problems.middleware], client_max_size=1024 * 1024)
        app.on_response_prepare.append(access.add_headers)
        app.add_routes([web.get("/", _index), web.get("/api/plan", planned), web.static("/page", PAGE)])
        if stack is None:
            app.add_routes([web.get("/api/about", _no_stack)])
        else:
            self._add_stack(app, stack)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=STOP_SECONDS)

    def _add_stack(self, app: web.Application, stack: Stack) -> None:
        """What the other pages ask for."""
        history, archive = History(stack), Archive(stack)
        device = Device(history, archive, self._blocking)
        fleet = Fleet(history, self._blocking)
        pipeline = Pipeline(stack, os.environ.get("CONSUMER_URL"), self._blocking)
        alerts = Alerts(stack, self._blocking)
        noted = AlertHistory(stack.session.client("dynamodb"), stack.alert_table)
        app.on_shutdown.append(lambda _: alerts.close())
        letters = Letters(stack, consumer_settings(stack, None, _contracts()).reading_contracts, self._blocking)
        publish = Publish(stack, history, archive, device, self._blocking)
        app.add_routes(
            [
                web.get("/api/about", partial(self._about, stack)),
                web.get("/api/kinds", publish.kinds),
                web.post("/api/preview", publish.preview),
                web.post("/api/publish", publish.publish),
                web.post("/api/certificates", publish.certificates),
                web.get("/api/fleet", fleet.devices),
                web.post("/api/latest", fleet.latest),
                web.post("/api/sparks", fleet.sparks),
                web.get("/api/pipeline", pipeline.live),
                web.get("/api/alerts", alerts.live),
                web.get("/api/alert-history", partial(noticed, noted, self._blocking)),
                web.get("/api/dead-letters", letters.look),
                web.post("/api/dead-letters/redrive", letters.redrive),
                web.get("/api/devices/{device}/readings", device.readings),
                web.get("/api/devices/{device}/series", device.series),
                web.get("/api/devices/{device}/rollups", device.rollups),
                web.get("/api/devices/{device}/archived", device.archived),
                web.get("/api/devices/{device}/live", device.live),
            ]
        )

    async def start(self, host: str, port: int) -> None:
        """Port 0 takes any free one. Raises UserError when it is taken."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            why = os.strerror(error.errno or 0)
            raise UserError(f"cannot listen on port {port} ({why}); choose another: --port") from None
        self._access.begin(int(self._runner.addresses[0][1]))

    async def stop(self) -> None:
        """Ends what is open."""
        await self._runner.cleanup()
        self._blocking.pool.shutdown(wait=False, cancel_futures=True)

    async def _about(self, stack: Stack, _: web.Request) -> web.Response:
        return web.json_response(await self._blocking(_describe, stack))


def _describe(stack: Stack) -> dict[str, Any]:
    """The stack, who asks, and when a reading raises an alert."""
    try:
        who = str(stack.session.client("sts").get_caller_identity()["Arn"])
    except AWS_ERRORS as error:
        who = explain(error)
    alerts = stack.alerts
    return {
        "stack": stack.name,
        "region": stack.session.region_name,
        "who": who,
        "role": role_of(who, stack.name),
        "topics": [str(each) for each in stack.topics],
        "alert": {
            "field": alerts.field,
            "when": alerts.when,
            "threshold": str(alerts.threshold),
            "source": alerts.source,
            "policy": stack.alert_table is not None,
        },
    }


def role_of(arn: str, stack: str) -> str:
    """In short: one of the stack's own roles, another one, or a user."""
    if ":assumed-role/" not in arn:
        return arn.rpartition(":")[2]
    name = arn.split("/")[1]
    own = re.fullmatch(rf"{re.escape(stack)}-(\w+)Role-\w+", name)
    return own[1].lower() if own else name


def _contracts() -> dict[str, str | None]:
    """How the consumer reads payloads, as far as this environment says."""
    return {name: os.environ.get(name.upper()) for name in ("reading_contracts", "payload_decoder")}


async def _no_stack(_: web.Request) -> web.Response:
    return web.json_response({"stack": None})


async def _index(_: web.Request) -> web.StreamResponse:
    return web.FileResponse(PAGE / "index.html")


async def serve(stack: Stack | None, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Until SIGINT or SIGTERM."""
    server, stop = Server(stack, announce), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await server.start(host, port)
        await stop.wait()
    finally:
        await server.stop()
