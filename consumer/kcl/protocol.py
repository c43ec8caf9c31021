"""The multi-language protocol: its messages and one shard's conversation. No other file knows it.

The daemon starts a connector per shard and speaks newline-delimited JSON with it: it sends an action and waits for our
`status` answer before it sends the next. In between we may send `checkpoint` messages, each of which it answers with a
`checkpoint` message. A checkpoint is possible in `processRecords`, `shardEnded` and `shutdownRequested` only. Lines end
with `\n` only: partition keys may contain other line separators.
"""

import asyncio
import errno
import os
import socket
from typing import Final

import msgspec

from consumer.kcl.budget import Budget, Share
from consumer.record import Position, Record
from consumer.restarts import Reason, RunFailed

LINE_LIMIT: Final = 1 << 27
"""Bytes; GetRecords returns at most 10 MB, de-aggregation and base64 make a delivery several times longer."""
PART: Final = 1 << 16
"""Bytes of a line that are read without asking: the deliveries of most of the day."""
LINES_BYTES: Final = 1 << 26
"""Bytes of the longer lines of all conversations, from their beginning until the delivery is answered."""


class Initialize(msgspec.Struct, tag_field="action", tag="initialize", rename="camel"):
    shard_id: str


class ProcessRecords(msgspec.Struct, tag_field="action", tag="processRecords", rename="camel"):
    records: list[Record]
    millis_behind_latest: int | None = None


class LeaseLost(msgspec.Struct, tag_field="action", tag="leaseLost"):
    pass


class ShardEnded(msgspec.Struct, tag_field="action", tag="shardEnded"):
    pass


class ShutdownRequested(msgspec.Struct, tag_field="action", tag="shutdownRequested"):
    pass


class Checkpointed(msgspec.Struct, tag_field="action", tag="checkpoint"):
    error: str | None = None


Action = Initialize | ProcessRecords | LeaseLost | ShardEnded | ShutdownRequested
_decoder: msgspec.json.Decoder[Action | Checkpointed] = msgspec.json.Decoder(Action | Checkpointed)


class ConversationEnded(RunFailed):
    """The connector or the daemon went away."""

    reason = Reason.CONVERSATION_ENDED


class ProtocolError(RunFailed):
    """The daemon sent something that the protocol does not allow here."""

    reason = Reason.PROTOCOL_ERROR


class CheckpointRefused(RunFailed):
    """The KCL refused a checkpoint; `error` is the Java class name of its reason."""

    reason = Reason.CHECKPOINT_REFUSED

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class Conversation:
    """One shard's dialogue over the pipes that its connector handed us."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.WriteTransport, budget: Budget) -> None:
        self._reader = reader
        self._writer = writer
        self._share = Share(budget)

    async def receive(self) -> Action:
        """Waits for the daemon's next action.

        Raises ConversationEnded at the end of the pipe, ProtocolError for anything unexpected.
        """
        message = await self._read()
        if isinstance(message, Checkpointed):
            raise ProtocolError("an unexpected checkpoint answer")
        return message

    def answer(self, action: Action) -> None:
        """Reports that an action is done; the daemon then sends the next."""
        self._share.give_back()
        self._send({"action": "status", "responseFor": action.__struct_config__.tag})

    async def checkpoint(self, position: Position | None) -> None:
        """Checkpoints at a position, or with None at the end of the last delivery (at `shardEnded` only).

        Raises CheckpointRefused with the KCL's error.
        """
        sequence, sub = (str(position[0]), position[1]) if position else (None, None)
        self._send({"action": "checkpoint", "sequenceNumber": sequence, "subSequenceNumber": sub})
        message = await self._read()
        if not isinstance(message, Checkpointed):
            raise ProtocolError(f"{message.__struct_config__.tag} instead of a checkpoint answer")
        if message.error:
            raise CheckpointRefused(message.error)

    def close(self) -> None:
        """Closes the pipes, which ends the conversation for the daemon."""
        self._share.give_back()
        self._writer.close()

    async def _read(self) -> Action | Checkpointed:
        try:
            line = await self._line()
        except (asyncio.IncompleteReadError, OSError) as ended:
            raise ConversationEnded("end of the pipe") from ended
        try:
            return _decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise ProtocolError(f"{error}: {bytes(line[:200])!r}") from error

    async def _line(self) -> bytes | bytearray:
        """The next line; all but a short one in parts, each as soon as the budget has room for it."""
        line = bytearray()
        while True:
            try:
                end = await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as longer:
                await self._share.take(longer.consumed)
                line += await self._reader.readexactly(longer.consumed)
                if len(line) > LINE_LIMIT:
                    raise ProtocolError(f"a line of more than {LINE_LIMIT} bytes") from longer
            else:
                if not line:
                    return end
                line += end
                return line

    def _send(self, message: dict[str, str | int | None]) -> None:
        if self._writer.is_closing():
            raise ConversationEnded("the pipe is closed")
        # The leading newline ends anything that the connector may have written before.
        self._writer.write(b"\n" + msgspec.json.encode(message) + b"\n")


async def accept(connection: socket.socket, budget: Budget) -> Conversation:
    """Takes the pipes that a connector sends over its socket (see connector.py).

    Raises ConversationEnded when the connector went away before it sent them, OSError (EMFILE) when no more
    descriptors can be open here.
    """
    loop = asyncio.get_running_loop()
    await _readable(connection)
    _, fds, flags, _ = socket.recv_fds(connection, 1, 2)
    if len(fds) != 2:
        for fd in fds:
            os.close(fd)
        if flags & socket.MSG_CTRUNC:  # the kernel drops descriptors beyond the limit
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        raise ConversationEnded("the connector sent no pipes")
    stdin, stdout = os.fdopen(fds[0], "rb", 0), os.fdopen(fds[1], "wb", 0)
    reader = asyncio.StreamReader(limit=PART)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), stdin)
    writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, stdout)
    return Conversation(reader, writer, budget)


async def disconnected(connection: socket.socket) -> None:
    """Waits until the connector has died: it never sends anything more, so a readable socket is at its end."""
    await _readable(connection)


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)
