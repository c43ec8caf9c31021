"""Long lines of many shards wait for each other where memory has no room for all, and none waits for ever."""

import asyncio
import os

import pytest

from consumer.kcl import protocol
from consumer.kcl.budget import Budget, Share
from consumer.kcl.protocol import Conversation, ProcessRecords

SHARDS = 40
LINE = b'{"action":"processRecords","records":[],"more":"%s"}\n' % (b"x" * 1_000_000)
SIZE = 3 * len(LINE)

Delivered = tuple[Conversation, ProcessRecords]


async def converse(line: bytes, budget: Budget, delivered: asyncio.Queue[Delivered]) -> None:
    """Reads a line that the daemon writes as fast as the pipe takes it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=protocol.PART)
    read, write = os.pipe()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read, "rb", 0))
    daemon, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(write, "wb", 0))
    answers = os.open(os.devnull, os.O_WRONLY)
    writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(answers, "wb", 0))
    daemon.write(line)
    conversation = Conversation(reader, writer, budget)
    action = await conversation.receive()
    assert isinstance(action, ProcessRecords)
    delivered.put_nowait((conversation, action))
    daemon.close()


async def test_long_lines_of_all_shards_are_never_more_than_the_budget_and_one_line() -> None:
    budget, delivered, most = Budget(SIZE), asyncio.Queue[Delivered](), 0
    async with asyncio.TaskGroup() as group:
        for _ in range(SHARDS):
            group.create_task(converse(LINE, budget, delivered))
        for _ in range(SHARDS):
            conversation, action = await delivered.get()
            most = max(most, SIZE - budget.left)
            conversation.answer(action)
            conversation.close()
    assert SIZE - protocol.PART <= most <= SIZE + len(LINE)
    assert (budget.left, budget.exceeded) == (SIZE, False)


async def test_a_delivery_of_most_of_the_day_does_not_ask() -> None:
    budget, delivered = Budget(0), asyncio.Queue[Delivered]()
    budget.exceeded = True  # by another conversation
    await converse(LINE.replace(b"x" * 1_000_000, b"x" * 60_000), budget, delivered)
    conversation, _ = delivered.get_nowait()
    conversation.close()
    assert budget.left == 0


async def test_what_a_conversation_held_is_given_back_at_its_end() -> None:
    budget = Budget(10)
    first, second = Share(budget), Share(budget)
    await first.take(25)
    waiting = asyncio.create_task(second.take(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    first.give_back()
    await waiting
    assert (budget.left, budget.exceeded) == (9, False)


async def test_one_that_waits_goes_on_as_soon_as_there_is_room_though_another_is_still_beyond() -> None:
    budget = Budget(10)
    small, beyond, waits = Share(budget), Share(budget), Share(budget)
    await small.take(8)
    await beyond.take(3)
    waiting = asyncio.create_task(waits.take(2))
    await asyncio.sleep(0)
    assert not waiting.done()
    small.give_back()
    await waiting
    assert (budget.left, budget.exceeded) == (5, True)


async def test_one_that_ends_while_it_waits_holds_nothing() -> None:
    budget = Budget(0)
    beyond, waits = Share(budget), Share(budget)
    await beyond.take(1)
    waiting = asyncio.create_task(waits.take(1))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    waits.give_back()
    beyond.give_back()
    assert (budget.left, budget.exceeded) == (0, False)
