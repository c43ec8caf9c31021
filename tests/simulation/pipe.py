"""A connector's pipes, in memory: the product has a StreamReader and a write transport, the daemon the other ends."""

import asyncio
from typing import Any

import msgspec

from consumer.kcl.budget import Budget
from consumer.kcl.protocol import PART, Conversation
from tests.simulation.clock import Process
from tests.simulation.network import CONVERSATION

_encode = msgspec.json.encode
_decode = msgspec.json.decode


class Broken(Exception):
    """The child is gone, or said what the protocol does not allow: the daemon ends."""


class Pipe:
    """One conversation. Also stands for the socket over which its connector came (see consumer/kcl/connector.py)."""

    def __init__(self, shard: str, python: Process, clock: asyncio.AbstractEventLoop) -> None:
        self.shard = shard
        self.python = python
        self.reader = asyncio.StreamReader(limit=PART, loop=clock)
        self.epoch: int | None = None
        self.retired: str | None = None
        """Why this conversation must not write any more, once it must not."""
        self._clock = clock
        self._closing = False
        self._connector_died: asyncio.Future[None] = clock.create_future()
        self._said: list[dict[str, Any]] = []
        self._partial = b""
        self._silent = False
        self._listening: asyncio.Future[None] | None = None

    def __enter__(self) -> "Pipe":
        return self

    def __exit__(self, *_: object) -> None:
        self.child_ends()

    # The product's side: the write transport.

    def write(self, data: bytes) -> None:
        if self._silent:
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._said += [_decode(line) for line in lines if line]
        self._wake()

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True
        self.child_ends()

    # The daemon's side.

    def send(self, message: dict[str, Any]) -> None:
        """Writes an action or a checkpoint answer."""
        if self._connector_died.done():
            raise Broken("the connector died")
        self.reader.feed_data(_encode(message) + b"\n")

    async def hear(self) -> dict[str, Any]:
        """The child's next message. Raises Broken at the end of its pipe."""
        while not self._said:
            if self._silent:
                raise Broken("end of the pipe")
            self._listening = self._clock.create_future()
            await self._listening
        return self._said.pop(0)

    def daemon_ends(self) -> None:
        """The daemon closed the pipes, or died."""
        if not self.reader.at_eof():
            self.reader.feed_eof()

    # What happens to the child.

    def child_ends(self) -> None:
        """No word comes from the child any more."""
        self._silent = True
        self._wake()

    def kill_connector(self) -> None:
        if not self._connector_died.done():
            self._connector_died.set_result(None)
        self.child_ends()
        self.daemon_ends()

    async def connector_gone(self) -> None:
        await asyncio.shield(self._connector_died)

    def _wake(self) -> None:
        if self._listening and not self._listening.done():
            self._listening.set_result(None)


async def accept(connection: Pipe, budget: Budget) -> Conversation:
    """In place of protocol.accept: no descriptors are passed here."""
    CONVERSATION.set(connection)
    return Conversation(connection.reader, connection, budget)  # type: ignore[arg-type]


async def disconnected(connection: Pipe) -> None:
    """In place of protocol.disconnected."""
    await connection.connector_gone()
