"""Accepts the daemon's connectors: each passes the pipes of one conversation, and so one shard."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from consumer import descriptors
from consumer.kcl import protocol
from consumer.kcl.budget import Budget
from consumer.pipeline.components import Components
from consumer.pipeline.shard import Shard
from consumer.pipeline.shards import Shards
from consumer.tasks import background


class Listener:
    """A Unix socket at `path`, opened anew for each run of the daemon."""

    def __init__(self, path: Path, shards: Shards, components: Components) -> None:
        self._path = path
        self._shards = shards
        self._components = components
        self._budget = Budget(protocol.LINES_BYTES)

    async def serve(self, until: asyncio.Event) -> None:
        """Accepts connectors `until` that event, then returns once the last conversation has ended.

        An error of a conversation cancels the others; it is raised in an ExceptionGroup.
        """
        async with asyncio.TaskGroup() as conversations:
            accepting = conversations.create_task(self._accept(conversations))
            await until.wait()
            accepting.cancel()

    async def _accept(self, conversations: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        with listen(self._path) as listener:
            while True:
                with self._limit_explained():
                    connection, _ = await loop.sock_accept(listener)
                conversations.create_task(self._converse(connection))

    async def _converse(self, connection: socket.socket) -> None:
        """One connector, one conversation, one shard."""
        shard: Shard | None = None
        with connection, self._limit_explained():
            try:
                shard = Shard(await protocol.accept(connection, self._budget), self._components)
                async with background(_connector(connection, shard)):
                    await shard.run()
            finally:
                if shard:
                    self._shards.remove(shard)

    @contextmanager
    def _limit_explained(self) -> Iterator[None]:
        """Raises TooFewDescriptors in place of the error that no more files can be open."""
        try:
            yield
        except OSError as error:
            if descriptors.limit_reached(error):
                raise descriptors.too_many_shards(len(self._shards)) from error
            raise


async def _connector(connection: socket.socket, shard: Shard) -> None:
    """Returns when the connector has gone as expected; raises ConversationEnded when it died."""
    await protocol.disconnected(connection)
    if not shard.ownership.finished:
        raise protocol.ConversationEnded(f"the connector of {shard.name} died")


def listen(path: Path) -> socket.socket:
    """A non-blocking Unix socket that listens at `path`, in place of any earlier one."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(256)
    listener.setblocking(False)
    return listener
