"""Stands between the consumer (with its daemon) and the services, and does what networks and services do on bad days.

A port per service. HTTP/1.1 is taken apart request by request, so that a fault may hit just the requests that it is
about; HTTP/2 (the daemon's Kinesis client) is left to h2.py. Faults come and go while connections stay open.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tests.faults import h2
from tests.faults.h2 import Shaping

SERVICES = ("dynamodb", "s3", "kinesis", "cloudwatch", "lambda")
HEAD_LIMIT = 1 << 20


@dataclass(frozen=True)
class Request:
    """One HTTP/1.1 request; header names are in lower case."""

    service: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """One answer. With `cut` it ends in the middle of its bytes, and the connection with it."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: bool = False


class Reset(Exception):
    """Raised by a fault: the connection ends instead of an answer."""


Forward = Callable[[Request], Awaitable[Reply]]
Fault = Callable[[Request, Forward], Awaitable[Reply]]
"""Sees a request and the service that would answer it; answers itself, or forwards it. Runs in the proxy's loop."""


class Proxy:
    """`with Proxy(host, port) as proxy`: from then on `proxy.urls` lead there."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._faults: list[Fault] = []
        self._down: frozenset[str] = frozenset()
        self._open: set[tuple[str, asyncio.StreamWriter]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._servers: list[asyncio.Server] = []
        self.shaping = Shaping()
        self.urls: dict[str, str] = {}

    def __enter__(self) -> "Proxy":
        self._thread.start()
        for service in SERVICES:
            port = self._in_loop(self._listen(service))
            self.urls[service] = f"http://{self._upstream[0]}:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._in_loop(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextlib.contextmanager
    def fault(self, fault: Fault) -> Iterator[None]:
        """As long as the block lasts, requests meet this fault (after those that came before it)."""
        self._faults = [*self._faults, fault]
        try:
            yield
        finally:
            self._faults = [other for other in self._faults if other is not fault]

    @contextlib.contextmanager
    def down(self, *services: str) -> Iterator[None]:
        """As long as the block lasts, these services cannot be reached; open connections are reset."""
        self._down |= set(services)
        self._in_loop(self._abort(services))
        try:
            yield
        finally:
            self._down -= set(services)

    def _in_loop(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self, service: str) -> int:
        server = await asyncio.start_server(partial(self._serve, service), self._upstream[0], 0, limit=HEAD_LIMIT)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _abort(self, services: tuple[str, ...]) -> None:
        for service, writer in self._open:
            if service in services:
                writer.transport.abort()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        await self._abort(SERVICES)
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, service: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        entry = (service, writer)
        self._open.add(entry)
        up: asyncio.StreamWriter | None = None
        try:
            if service in self._down:
                raise Reset
            up_reader, up = await asyncio.open_connection(*self._upstream, limit=HEAD_LIMIT)
            first = await reader.readexactly(1)
            if first == b"P" and service == "kinesis":  # PRI is HTTP/2's; POST is HTTP/1.1's
                first += await reader.readexactly(2)
            if first == b"PRI":
                await h2.relay(first, reader, writer, up_reader, up, self.shaping)
            else:
                await self._requests(service, first, reader, writer, partial(_exchange, up_reader, up))
        except (Reset, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # either side is gone, or is to think so
        finally:
            self._open.discard(entry)
            writer.transport.abort()
            if up:
                up.transport.abort()

    async def _requests(
        self,
        service: str,
        first: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream: Forward,
    ) -> None:
        while True:
            request = await _read_request(service, first, reader, writer)
            first = b""
            answer = upstream
            for fault in reversed(self._faults):
                answer = _through(fault, answer)
            reply = await answer(request)
            if service in self._down:
                raise Reset
            data = _encode(reply)
            writer.write(data[: len(data) // 2] if reply.cut else data)
            await writer.drain()
            if reply.cut:
                return


def _through(fault: Fault, forward: Forward) -> Forward:
    async def answer(request: Request) -> Reply:
        return await fault(request, forward)

    return answer


async def _read_request(
    service: str, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Request:
    line, headers = await _read_head(first, reader)
    method, target, _ = line.split(" ", 2)
    if headers.pop("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return Request(service, method, target, headers, await _read_body(headers, reader))


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> Reply:
    """Asks the service itself."""
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    writer.write(f"{request.method} {request.target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + request.body)
    await writer.drain()
    line, headers = await _read_head(b"", reader)
    status = int(line.split(" ", 2)[1])
    bodiless = request.method == "HEAD" or status in (204, 304)
    return Reply(status, headers, b"" if bodiless else await _read_body(headers, reader))


async def _read_head(first: bytes, reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    text = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = text.strip().split("\r\n")
    pairs = (header.partition(":") for header in rest)
    return line, {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _read_body(headers: dict[str, str], reader: asyncio.StreamReader) -> bytes:
    """The whole body; a chunked one gets a length instead."""
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    del headers["transfer-encoding"]
    headers["content-length"] = str(len(body))
    return bytes(body)


def _encode(reply: Reply) -> bytes:
    headers = {name: value for name, value in reply.headers.items() if name != "transfer-encoding"}
    if reply.body or "content-length" not in headers:  # an answer to HEAD has the length of a body
        headers["content-length"] = str(len(reply.body))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {reply.status} -\r\n{head}\r\n".encode("latin-1") + reply.body


def altered(request: Request, body: bytes) -> Request:
    """The same request with another body."""
    return replace(request, body=body, headers=request.headers | {"content-length": str(len(body))})
