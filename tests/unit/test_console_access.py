"""The console answers the browser that was given its address, and nobody else."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from producer.console import access
from producer.console.access import Access


@dataclass
class Running:
    """A server behind `Access`, a client of its own cookies, and what was announced."""

    http: aiohttp.ClientSession
    port: int = 0
    announced: list[str] = field(default_factory=list)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def get(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        return await self.http.get(self.root + path, headers=headers, allow_redirects=False)

    async def enter(self) -> aiohttp.ClientResponse:
        return await self.http.get(self.announced[-1], allow_redirects=False)


async def _hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        made = Running(http)
        guard = Access(made.announced.append)
        app = web.Application(middlewares=[guard.middleware])
        app.on_response_prepare.append(access.add_headers)
        app.add_routes([web.get("/", _hello), web.get("/api/hello", _hello), web.post("/api/hello", _hello)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.port = int(runner.addresses[0][1])
        guard.begin(made.port)
        yield made
        await runner.cleanup()


async def test_without_the_address_nothing_is_answered(running: Running) -> None:
    for path in ("/", "/api/hello", "/?token=", "/?token=wrong", "/elsewhere"):
        assert (await running.get(path)).status in (401, 403), path


async def test_the_address_gives_a_cookie_that_neither_scripts_nor_other_sites_have(running: Running) -> None:
    answer = await running.enter()
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(answer.headers["Set-Cookie"].split("; "))
    assert (await running.get("/api/hello")).status == 200


async def test_an_address_is_good_once_and_another_one_is_announced(running: Running) -> None:
    first = running.announced[0]
    await running.enter()
    assert len(running.announced) == 2
    async with aiohttp.ClientSession() as other:
        assert (await other.get(first, allow_redirects=False)).status == 403
        assert (await other.get(running.announced[1], allow_redirects=False)).status == 303


async def test_the_browser_that_is_in_may_reload_its_address(running: Running) -> None:
    first = running.announced[0]
    await running.enter()
    assert (await running.http.get(first, allow_redirects=False)).status == 303


async def test_another_name_of_this_machine_is_refused_even_with_the_cookie(running: Running) -> None:
    await running.enter()
    for host in ("evil.example", f"evil.example:{running.port}", "127.0.0.1:1", "127.0.0.1"):
        assert (await running.get("/api/hello", Host=host)).status == 421, host
    assert (await running.get("/api/hello", Host=f"127.0.0.1:{running.port}")).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_page_of_another_site_is_refused_even_with_the_cookie(
    running: Running, headers: dict[str, str]
) -> None:
    await running.enter()
    assert (await running.get("/api/hello", **headers)).status == 403
    assert (await running.http.post(f"{running.root}/api/hello", headers=headers)).status == 403


async def test_what_changes_something_must_come_from_the_page(running: Running) -> None:
    await running.enter()
    assert (await running.http.post(f"{running.root}/api/hello")).status == 403
    own = {"Origin": running.root, "Sec-Fetch-Site": "same-origin"}
    assert (await running.http.post(f"{running.root}/api/hello", headers=own)).status == 200


async def test_every_answer_forbids_inline_scripts_guessed_types_and_kept_data(running: Running) -> None:
    answers = [await running.get("/"), await running.enter(), await running.get("/api/hello"), await running.get("/no")]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answers[2].headers["Cache-Control"] == "no-store"
