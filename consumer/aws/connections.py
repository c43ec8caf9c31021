"""Kept HTTP/1.1 connections to one address, for requests that are many, small and alike.

A connection carries one request at a time. It is used again only after exactly one complete answer, all of the request
sent and the server willing; whatever else happens on it (bytes nobody asked for, an answer that is no HTTP, too large
or too late, a cancelled request) ends it. Nothing is sent again here: who asks knows whether that is harmless.
See docs/decisions/0023-rows-without-botocore.md.
"""

import asyncio
import base64
import ssl
from typing import Final, NamedTuple, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import create_urllib3_context, get_cert_path
from botocore.utils import get_environ_proxies
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

CONNECT_SECONDS: Final = 5.0
"""For the look-up of the name, TCP, a proxy and TLS together."""
ANSWER_SECONDS: Final = 30.0
"""From the request to the end of its answer."""
IDLE_SECONDS: Final = 12.0
"""A connection that was idle for longer is not used again: the server may be about to close it."""
AGE_SECONDS: Final = 60.0
"""Nor is one that is older: the name is looked up again, and what has left the DNS gets no more requests."""
MAX_ANSWER: Final = 1 << 25
"""Bytes; BatchWriteItem returns at most what it was sent, 16 MiB."""

C = TypeVar("C", bound="_Connection")


class Answer(NamedTuple):
    """`headers` have names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connections:
    """As many connections as there are requests at a time. Raises botocore's exceptions."""

    def __init__(self, url: str, ca_bundle: str | None) -> None:
        """`ca_bundle` is a file of certificates; without it those that botocore brings are trusted."""
        parts = urlsplit(url)
        self._url = url
        self._host, self._secure = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        proxy = get_environ_proxies(url).get(parts.scheme)
        self._proxy = urlsplit(proxy if "//" in proxy else f"http://{proxy}") if proxy else None
        self._ca_bundle = ca_bundle
        self._tls: ssl.SSLContext | None = None
        self._idle: list[_Connection] = []

    async def exchange(self, request: bytes) -> Answer:
        """Sends a whole request, once. An error says nothing about whether the server has executed it."""
        connection = self._kept() or await self._connect()
        alarm = asyncio.get_running_loop().call_later(ANSWER_SECONDS, connection.expire)
        try:
            return await connection.ask(request)
        finally:
            alarm.cancel()
            if connection.reusable:
                self._idle.append(connection)
            else:
                connection.abort()

    async def close(self) -> None:
        """Closes the idle connections; to be called when no request is in progress."""
        for connection in self._idle:
            connection.abort()
        await asyncio.gather(*(connection.closed for connection in self._idle))

    def _kept(self) -> "_Connection | None":
        """The connection that was used last, so that those of a peak grow old."""
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and connection.fresh():
                return connection
            connection.abort()
        return None

    async def _connect(self) -> "_Connection":
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                if self._secure and self._tls is None:
                    self._tls = await asyncio.to_thread(_tls, self._ca_bundle)
                if self._proxy:
                    return await self._tunnel(self._proxy)
                return await self._open(_Connection, self._host, self._port, self._tls)
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=self._url, error=error) from error
        except ssl.SSLError as error:
            raise SSLError(endpoint_url=self._url, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=self._url, error=error) from error

    async def _open(self, kind: type[C], host: str, port: int, tls: ssl.SSLContext | None) -> C:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: kind(self._url), host, port, ssl=tls)
        return connection

    async def _tunnel(self, proxy: SplitResult) -> "_Connection":
        """A connection through a proxy of the environment (HTTPS_PROXY)."""
        where = f"{proxy.scheme}://{proxy.hostname}:{proxy.port or (443 if proxy.scheme == 'https' else 80)}"
        tunnel: _Tunnel | None = None
        try:
            port = urlsplit(where).port or 0
            secure = _tls(self._ca_bundle) if proxy.scheme == "https" else None
            tunnel = await self._open(_Tunnel, proxy.hostname or "", port, secure)
            answer = await tunnel.ask(_connect_request(f"{self._host}:{self._port}", proxy))
            if answer.status != 200:
                raise ConnectionRefusedError(f"it answers CONNECT with {answer.status}")
        except (OSError, HTTPClientError) as error:
            if tunnel:
                tunnel.abort()
            raise ProxyConnectionError(proxy_url=where, error=error) from error
        transport, connection = tunnel.transport, _Connection(self._url)
        if self._tls:
            loop = asyncio.get_running_loop()
            secured = await loop.start_tls(transport, connection, self._tls, server_hostname=self._host)
            assert secured  # noqa: S101  # None only where the connection was closed meanwhile
            transport = secured
        else:
            transport.set_protocol(connection)
        connection.connection_made(transport)
        return connection


def _tls(ca_bundle: str | None) -> ssl.SSLContext:
    """As botocore makes it. Raises HTTPClientError where the file of certificates cannot be read."""
    context: ssl.SSLContext = create_urllib3_context()
    context.check_hostname = True  # urllib3 itself would do that
    try:
        context.load_verify_locations(ca_bundle or get_cert_path(True))
    except OSError as error:
        raise HTTPClientError(error=error) from error
    return context


def _connect_request(to: str, proxy: SplitResult) -> bytes:
    head = f"CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n"
    if proxy.username:
        user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        head += f"proxy-authorization: Basic {base64.b64encode(user.encode()).decode()}\r\n"
    return f"{head}\r\n".encode()


class _Connection(asyncio.Protocol):
    """One connection; its methods on_... are called by the parser."""

    transport: asyncio.Transport

    def __init__(self, url: str) -> None:
        loop = asyncio.get_running_loop()
        self._url = url
        self._clock = loop.time
        self._parser = HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._size = 0
        self._born = self._used = loop.time()
        self.reusable = False
        self.closed: asyncio.Future[None] = loop.create_future()

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Sends a request; not while another one is waiting for its answer."""
        self.reusable = False
        self._size = 0
        self._answer = asyncio.get_running_loop().create_future()
        if self.closed.done():
            self._fail(ConnectionClosedError(endpoint_url=self._url))
        else:
            self.transport.write(request)
        return self._answer

    def fresh(self) -> bool:
        now = self._clock()
        return now - self._used < IDLE_SECONDS and now - self._born < AGE_SECONDS

    def expire(self) -> None:
        """The answer takes too long."""
        self._fail(ReadTimeoutError(endpoint_url=self._url))

    def abort(self) -> None:
        self.reusable = False
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(ConnectionClosedError(endpoint_url=self._url, error=error))
        self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        try:
            if self._answer is None or self._size > MAX_ANSWER:
                raise HttpParserError("not asked for, or too large")
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(HTTPClientError(error=error))

    def on_message_begin(self) -> None:
        if self._answer is None:  # a second answer
            self.reusable = False
        self._headers, self._body = {}, bytearray()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 or self._answer is None:  # 100 Continue and its like precede the answer
            return
        self.reusable = self._parser.should_keep_alive() and not self.transport.get_write_buffer_size()
        self._used = self._clock()
        answer, self._answer = self._answer, None
        if not answer.done():  # cancelled
            answer.set_result(Answer(status, self._headers, bytes(self._body)))

    def _fail(self, error: Exception) -> None:
        """Ends the connection, and the request that waits for its answer."""
        answer, self._answer = self._answer, None
        if answer and not answer.done():
            answer.set_exception(error)
        self.abort()


class _Tunnel(_Connection):
    """To a proxy. What it answers to CONNECT has no body, which the parser cannot know."""

    def on_headers_complete(self) -> None:
        self.on_message_complete()
