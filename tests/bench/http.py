"""HTTP for the servers of the bench: HTTP/1.1, and HTTP/2 with prior knowledge, as the KCL speaks it to Kinesis."""

import asyncio
import re
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)")
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked")
PREFACE = b"PRI * HTTP/2.0"


def response(body: bytes, kind: str = "application/x-amz-json-1.0", status: str = "200 OK", *more: str) -> bytes:
    """An HTTP/1.1 response, with DynamoDB's checksum."""
    head = [
        f"HTTP/1.1 {status}",
        "Server: Server",
        f"Date: {datetime.now(UTC):%a, %d %b %Y %H:%M:%S GMT}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "x-amzn-RequestId: ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGHIJKLMNOP",
        f"x-amz-crc32: {zlib.crc32(body)}",
        *more,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class Requests:
    """Cuts what arrives on a connection into requests, which come one after the other."""

    def __init__(self, proceed: Callable[[bytes], None], take: Callable[[bytes, bytes, bytes], None]) -> None:
        """`take` gets the head, the head in small letters, and the body of each; `proceed` sends a 100 Continue."""
        self._buffer = bytearray()
        self._proceed, self._take = proceed, take
        self._proceeded = False

    def feed(self, data: bytes) -> None:
        """Takes bytes as they arrive."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end])
            low = head.lower()
            if b"expect: 100-continue" in low and not self._proceeded:
                self._proceed(b"HTTP/1.1 100 Continue\r\n\r\n")
                self._proceeded = True
            found = chunks(self._buffer, end + 4) if CHUNKED.search(low) else whole(self._buffer, end + 4, low)
            if found is None:
                return
            body, rest = found
            del self._buffer[:rest]
            self._proceeded = False
            self._take(head, low, body)


def whole(buffer: bytearray, start: int, low: bytes) -> tuple[bytes, int] | None:
    """A body with a Content-Length, and where it ends; None before that."""
    length = LENGTH.search(low)
    end = start + (int(length[1]) if length else 0)
    return (bytes(buffer[start:end]), end) if len(buffer) >= end else None


def chunks(buffer: bytearray, start: int) -> tuple[bytes, int] | None:
    """A body in chunks, and where it ends; None before that."""
    parts: list[bytes] = []
    while (line := buffer.find(b"\r\n", start)) >= 0:
        size = int(buffer[start:line], 16)
        start = line + 2 + size + 2
        if len(buffer) < start:
            return None
        if size == 0:
            return b"".join(parts), start
        parts.append(bytes(buffer[line + 2 : line + 2 + size]))
    return None


class Connection(asyncio.Protocol):
    """An HTTP/1.1 connection; a server overrides `request`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._tasks: set[asyncio.Task[None]] = set()
        self._requests = Requests(transport.write, self.request)

    def data_received(self, data: bytes) -> None:
        self._requests.feed(data)

    def connection_lost(self, error: Exception | None) -> None:
        for task in self._tasks:
            task.cancel()

    def request(self, head: bytes, low: bytes, body: bytes) -> None:
        """Answers a request on `transport`."""
        raise NotImplementedError

    def background(self, work: Awaitable[None]) -> None:
        """Runs as long as the connection lasts, at most."""
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Http2:
    """The other end of an HTTP/2 connection: whole requests come in, bodies go out as the windows allow."""

    def __init__(self, transport: asyncio.Transport, take: Callable[[int, dict[str, str], bytes], None]) -> None:
        """`take` gets the stream's number, the headers and the body of each request."""
        from h2.config import H2Configuration
        from h2.connection import H2Connection

        self._transport, self._take = transport, take
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._requests: dict[int, tuple[dict[str, str], bytearray]] = {}
        self._left: dict[int, tuple[bytearray, bool]] = {}
        self.gone: set[int] = set()
        """Streams that the client has given up."""
        self._write()

    def feed(self, data: bytes) -> None:
        """Takes bytes as they arrive."""
        from h2 import events

        for event in self._h2.receive_data(data):
            if isinstance(event, events.RequestReceived):
                self._requests[event.stream_id] = dict(event.headers), bytearray()
            elif isinstance(event, events.DataReceived):
                self._requests[event.stream_id][1].extend(event.data)
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, events.StreamEnded):
                headers, body = self._requests.pop(event.stream_id)
                self._take(event.stream_id, headers, bytes(body))
            elif isinstance(event, events.StreamReset):
                self.gone.add(event.stream_id)
                self._left.pop(event.stream_id, None)
        for stream in list(self._left):
            self._flush(stream)
        self._write()

    def begin(self, stream: int, kind: str) -> None:
        """Sends the head of a response."""
        self._h2.send_headers(stream, [(":status", "200"), ("content-type", kind), ("x-amzn-requestid", "bench")])

    def send(self, stream: int, data: bytes, end: bool) -> None:
        """Sends a part of a body, now or when there is room for it."""
        if stream in self.gone:
            return
        left, _ = self._left.get(stream, (bytearray(), False))
        left += data
        self._left[stream] = left, end
        self._flush(stream)
        self._write()

    def _flush(self, stream: int) -> None:
        from h2.exceptions import ProtocolError

        left, end = self._left.pop(stream)
        with suppress(ProtocolError):  # reset meanwhile
            while left:
                room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
                if room <= 0:
                    self._left[stream] = left, end
                    return
                self._h2.send_data(stream, bytes(left[:room]), end_stream=end and len(left) <= room)
                del left[:room]

    def _write(self) -> None:
        self._transport.write(self._h2.data_to_send())
