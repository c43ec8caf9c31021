"""Kept HTTP/1.1 connections to one address, for requests that are many, small and alike.

Nothing is sent again here: who asks knows whether that is harmless. When a connection is used again: http1.py. Why not
by aiohttp: docs/decisions/0024-rows-without-botocore.md.
"""

import asyncio
import base64
import ssl
from typing import Final, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    SSLError,
)
from botocore.httpsession import create_urllib3_context, get_cert_path
from botocore.utils import get_environ_proxies

from consumer.aws.http1 import Answer, Connection, Tunnel

CONNECT_SECONDS: Final = 5.0
"""For the look-up of the name, TCP, a proxy and TLS together."""
ANSWER_SECONDS: Final = 30.0
"""From the request to the end of its answer."""

C = TypeVar("C", bound="Connection")


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
        self._idle: list[Connection] = []

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
        await asyncio.gather(*(connection.closed.wait() for connection in self._idle))

    def _kept(self) -> "Connection | None":
        """The connection that was used last, so that those of a peak grow old."""
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and connection.fresh():
                return connection
            connection.abort()
        return None

    async def _connect(self) -> "Connection":
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                if self._secure and self._tls is None:
                    self._tls = await asyncio.to_thread(_tls, self._ca_bundle)
                if self._proxy:
                    return await self._tunnel(self._proxy)
                return await self._open(Connection, self._host, self._port, self._tls)
        except ProxyConnectionError:  # it is an OSError, too
            raise
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

    async def _tunnel(self, proxy: SplitResult) -> "Connection":
        """A connection through a proxy of the environment (HTTPS_PROXY)."""
        tunnel = await self._opened(proxy)
        transport, connection = tunnel.transport, Connection(self._url)
        if self._tls:
            loop = asyncio.get_running_loop()
            secured = await loop.start_tls(transport, connection, self._tls, server_hostname=self._host)
            if secured is None:
                raise ConnectionResetError("it was closed at once")
            transport = secured
        else:
            transport.set_protocol(connection)
        connection.connection_made(transport)
        return connection

    async def _opened(self, proxy: SplitResult) -> "Tunnel":
        port = proxy.port or (443 if proxy.scheme == "https" else 80)
        tunnel: Tunnel | None = None
        try:
            tls = await asyncio.to_thread(_tls, self._ca_bundle) if proxy.scheme == "https" else None
            tunnel = await self._open(Tunnel, proxy.hostname or "", port, tls)
            answer = await tunnel.ask(_connect_request(f"{self._host}:{self._port}", proxy))
            if answer.status != 200:
                raise ConnectionRefusedError(f"it answers CONNECT with {answer.status}")
        except BaseException as error:
            if tunnel:
                tunnel.abort()
            if not isinstance(error, OSError | HTTPClientError):
                raise
            raise ProxyConnectionError(proxy_url=f"{proxy.scheme}://{proxy.hostname}:{port}", error=error) from error
        return tunnel


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
