"""What a fleet needs and costs, for the page with the sliders; it asks AWS nothing."""

from dataclasses import asdict

from aiohttp import web

from producer.console.problems import BadRequest
from producer.plan.inputs import CHOICES, RANGES, parse
from producer.plan.planner import plan
from producer.plan.report import untrusted

CONTROLS = {
    "ranges": {name: asdict(bounds) for name, bounds in RANGES.items()},
    "choices": {name: {"values": values, "text": text} for name, (values, text) in CHOICES.items()},
}
"""What may be chosen, and within which bounds."""


async def planned(request: web.Request) -> web.Response:
    """`?devices=1000&stream=on-demand`, and so on: the inputs of a plan. Raises BadRequest for others."""
    try:
        made = plan(parse(request.query))
    except ValueError as error:
        raise BadRequest(str(error)) from None
    return web.json_response(made.as_json() | CONTROLS | {"untrusted": dict(untrusted(made.bill))})
