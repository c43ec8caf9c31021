"""What a daemon or a connector may not send, and how it ends."""

import asyncio
import os
import socket
from typing import Any

import pytest

from consumer.kcl import protocol
from consumer.kcl.budget import Budget
from consumer.kcl.protocol import Conversation, ConversationEnded, ProtocolError, accept


class Sink:
    """Where answers go."""

    def __init__(self) -> None:
        self.closing = False

    def write(self, data: bytes) -> None:
        assert not self.closing

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True


def conversation(*lines: bytes, limit: int = 1 << 16, budget: Budget | None = None) -> Conversation:
    """With a daemon that has sent these lines and ended."""
    reader = asyncio.StreamReader(limit=limit)
    for line in lines:
        reader.feed_data(line + b"\n")
    reader.feed_eof()
    sink: Any = Sink()
    return Conversation(reader, sink, budget or Budget(limit))


@pytest.mark.parametrize(
    "line",
    [
        b'{"action": "checkpoint"}',
        b'{"action": "dance"}',
        b'{"action": "initialize"}',
        b"a line of log",
    ],
)
async def test_what_is_no_action_ends_the_run(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        await conversation(line).receive()


async def test_a_line_without_an_end_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LINE_LIMIT", 150)
    with pytest.raises(ProtocolError, match="a line of more than 150"):
        await conversation(b" " * 200, limit=100).receive()


async def test_an_action_where_a_checkpoint_must_be_answered_ends_the_run() -> None:
    with pytest.raises(ProtocolError, match="leaseLost instead of a checkpoint answer"):
        await conversation(b'{"action": "leaseLost"}').checkpoint((1, 0))


async def test_after_the_end_nothing_is_sent() -> None:
    ended = conversation()
    with pytest.raises(ConversationEnded):
        await ended.receive()
    ended.close()
    with pytest.raises(ConversationEnded, match="closed"):
        await ended.checkpoint(None)


@pytest.mark.parametrize("pipes", [0, 1])
async def test_a_connector_that_does_not_send_both_pipes_leaves_no_descriptor(pipes: int) -> None:
    ours, theirs = socket.socketpair()
    read, write = os.pipe()
    with ours, theirs:
        ours.setblocking(False)
        before = set(os.listdir("/dev/fd"))
        if pipes:
            socket.send_fds(theirs, [b"\0"], [write])
        theirs.close()
        with pytest.raises(ConversationEnded, match="no pipes"):
            await accept(ours, Budget(0))
        assert len(os.listdir("/dev/fd")) == len(before) - 1  # that of theirs
    os.close(read)
    os.close(write)
