"""What handlers have in common: values of a request, and calls that block."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import msgspec
from aiohttp import web

from producer.console.problems import BadRequest

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)
THREADS = 32


class Blocking:
    """Calls of the AWS SDK, in threads of their own so that the page is answered meanwhile."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(THREADS, "console")

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.pool, lambda: function(*args, **kwargs))


def number(request: web.Request, name: str) -> int | None:
    """A whole number of the query; None without it. Raises BadRequest."""
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise BadRequest(f"{name} must be a whole number")
    return int(text)


async def body(request: web.Request, kind: type[S]) -> S:
    """The JSON of a request as that struct. Raises BadRequest."""
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(str(error)) from None
