"""HTTP/2 between the daemon's Kinesis client and the service, relayed frame by frame: some requests can be refused.

Header compression has a state that both ends share, so a request that is kept from the service would break all after
it. Therefore the service's SETTINGS are passed on with a header table of size 0, and nothing is refused before the
client has acknowledged them: from then on every header block stands for itself.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

DATA, HEADERS, SETTINGS, WINDOW_UPDATE, CONTINUATION = 0, 1, 4, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
NO_HEADER_TABLE = b"\x00\x01\x00\x00\x00\x00"
STATUS_400 = b"\x8c"  # an entry of the static table
THROTTLED = "ProvisionedThroughputExceededException"
PREFACE = 24  # bytes before the client's first frame

Frame = tuple[int, int, int, bytes]
"""Type, flags, stream, payload."""


@dataclass
class Shaping:
    """What share of the requests is refused, how many were, and the error that the service's protocol names for it.

    With `operation` only requests are meant whose headers name it; the client writes short values as they are. Without
    an error they are never answered.
    """

    share: float = 0.0
    refused: int = 0
    error: str = THROTTLED
    operation: str = ""
    random: Random = field(default_factory=Random)

    def picks(self, headers: bytes) -> bool:
        """Whether this request is refused."""
        return self.operation.encode() in headers and self.random.random() < self.share

    @contextmanager
    def refuse(self, error: str, operation: str = "", share: float = 1.0) -> Iterator[None]:
        """As long as the block lasts, requests are refused."""
        self.error, self.operation, self.share = error, operation, share
        try:
            yield
        finally:
            self.error, self.operation, self.share = THROTTLED, "", 0.0


def _literal(name: bytes, value: bytes) -> bytes:
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def _pack(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


async def _frame(reader: asyncio.StreamReader) -> Frame:
    head = await reader.readexactly(9)
    payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
    return head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, payload


class _Relay:
    """One connection."""

    def __init__(self, client: asyncio.StreamWriter, service: asyncio.StreamWriter, shaping: Shaping) -> None:
        self._client, self._service, self._shaping = client, service, shaping
        self._ready = False
        self._refused: set[int] = set()

    async def requests(self, reader: asyncio.StreamReader) -> None:
        while True:
            frame = kind, flags, stream, payload = await _frame(reader)
            if kind == SETTINGS and flags & ACK:
                self._ready = True
            if kind == HEADERS and self._ready and self._shaping.picks(payload):
                self._refused.add(stream)
            if stream not in self._refused:
                self._service.write(_pack(*frame))
                await self._service.drain()
                continue
            if kind == DATA and payload:  # the client may send as much again
                self._client.write(_pack(WINDOW_UPDATE, 0, 0, len(payload).to_bytes(4, "big")))
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                self._refuse(stream)

    def _refuse(self, stream: int) -> None:
        self._shaping.refused += 1
        if not self._shaping.error:
            return
        error = _literal(b"x-amzn-errortype", self._shaping.error.encode())
        block = STATUS_400 + error + _literal(b"content-length", b"0")
        self._client.write(_pack(HEADERS, END_HEADERS | END_STREAM, stream, block))

    async def answers(self, reader: asyncio.StreamReader) -> None:
        while True:
            kind, flags, stream, payload = await _frame(reader)
            if kind == SETTINGS and not flags & ACK:
                payload += NO_HEADER_TABLE
            self._client.write(_pack(kind, flags, stream, payload))
            await self._client.drain()


async def relay(
    first: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    up_reader: asyncio.StreamReader,
    up_writer: asyncio.StreamWriter,
    shaping: Shaping,
) -> None:
    """Until either side ends; raises IncompleteReadError or OSError then. `first` was read from `reader` already."""
    up_writer.write(first + await reader.readexactly(PREFACE - len(first)))
    both = _Relay(writer, up_writer, shaping)
    directions = [asyncio.ensure_future(both.requests(reader)), asyncio.ensure_future(both.answers(up_reader))]
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        for direction in directions:
            if direction.done():
                direction.result()
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
