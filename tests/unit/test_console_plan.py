"""The console without a stack: the page Plan and what it asks for."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from producer.console.server import Server
from producer.plan.inputs import CHOICES, RANGES, Inputs
from producer.plan.planner import plan


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    """One that was given the console's address."""
    announced: list[str] = []
    server = Server(None, announced.append)
    await server.start("127.0.0.1", 0)
    base, _, token = announced[0].partition("/?")
    async with aiohttp.ClientSession(base, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        assert (await session.get(f"/?{token}")).status == 200
        yield session
    await server.stop()


async def test_a_plan_is_answered_with_what_may_be_chosen(browser: aiohttp.ClientSession) -> None:
    answer = await browser.get("/api/plan", params={"devices": "20000", "stream": "on-demand"})
    found = await answer.json()
    assert found["bill"] == plan(Inputs(devices=20_000, stream="on-demand")).bill.as_json()
    assert (found["ranges"].keys(), found["choices"].keys()) == (RANGES.keys(), CHOICES.keys())
    assert found["alternatives"][0]["inputs"] != found["inputs"]


async def test_what_cannot_be_planned_is_a_problem_with_its_reason(browser: aiohttp.ClientSession) -> None:
    answer = await browser.get("/api/plan", params={"devices": "0"})
    assert (answer.status, "devices must be a whole number" in (await answer.json())["detail"]) == (400, True)


async def test_there_is_no_stack_to_ask_about(browser: aiohttp.ClientSession) -> None:
    assert await (await browser.get("/api/about")).json() == {"stack": None}
    assert (await browser.get("/api/fleet")).status == 404
