"""One HTTP/1.1 connection as an asyncio protocol, around the parser of httptools.

It carries one request at a time. It may be used again only after exactly one complete answer, with all of the request
sent and the server willing; whatever else happens on it (bytes nobody asked for, an answer that is no HTTP, too large
or too late, a cancelled request) ends it.
"""

import asyncio
from typing import Final, NamedTuple

from botocore.exceptions import ConnectionClosedError, HTTPClientError, ReadTimeoutError
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

IDLE_SECONDS: Final = 12.0
"""A connection that was idle for longer is not used again: the server may be about to close it."""
AGE_SECONDS: Final = 60.0
"""Nor is one that is older: the name is looked up again, and what has left the DNS gets no more requests."""
MAX_ANSWER: Final = 1 << 25
"""Bytes; BatchWriteItem returns at most what it was sent, 16 MiB."""


class Answer(NamedTuple):
    """`headers` have names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection(asyncio.Protocol):
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
        self.closed = asyncio.Event()

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Sends a request; not while another one is waiting for its answer."""
        self.reusable = False
        self._size = 0
        self._answer = asyncio.get_running_loop().create_future()
        if self.closed.is_set():
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
        self.closed.set()

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


class Tunnel(Connection):
    """To a proxy. What it answers to CONNECT has no body, which the parser cannot know."""

    def on_headers_complete(self) -> None:
        self.on_message_complete()
