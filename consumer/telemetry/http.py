"""/metrics, /healthz and /shards, for Prometheus, the container's health check and people."""

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from consumer.telemetry.metrics import Metrics


class Http:
    """A small server on the service's loop.

    `state` returns the document of /shards. Its `replace` decides between 200 and 503 on /healthz: the status tells an
    orchestrator whether to replace the container; `healthy` and `why` are for people.
    """

    def __init__(self, metrics: Metrics, state: Callable[[], dict[str, Any]]) -> None:
        self._metrics = metrics
        self._state = state
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/metrics", self._get_metrics),
                web.get("/healthz", self._healthz),
                web.get("/shards", self._shards),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port (0 asks for any free one). Raises OSError when it is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _index(self, _: web.Request) -> web.Response:
        return web.Response(text="/metrics\n/healthz\n/shards\nReadings and the pipeline: sensorstream console\n")

    async def _get_metrics(self, request: web.Request) -> web.Response:
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._metrics.registry), headers={"Content-Type": kind})

    async def _healthz(self, _: web.Request) -> web.Response:
        state = self._state()
        answer = {name: state[name] for name in ("healthy", "why", "replace")}
        return _json(answer, 503 if state["replace"] else 200)

    async def _shards(self, _: web.Request) -> web.Response:
        return _json(self._state())


def _json(document: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(text=json.dumps(document) + "\n", status=status, content_type="application/json")
