"""The consumer's listener answers people who only know its address."""

import aiohttp

from consumer.telemetry.http import Http
from consumer.telemetry.metrics import Metrics


async def test_the_root_names_every_other_path() -> None:
    state = {"healthy": True, "why": "ok", "replace": False}
    http = Http(Metrics(), lambda: state)
    port = await http.start("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            async with client.get("/") as answer:
                paths = [line for line in (await answer.text()).splitlines() if line.startswith("/")]
            assert paths == ["/metrics", "/healthz", "/shards"]
            for path in paths:
                async with client.get(path) as answer:
                    assert answer.status == 200
    finally:
        await http.stop()
