"""Rows are written under the guard, within the limit of requests, until the table says that it has them."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import pytest

from consumer.aws import retry
from consumer.aws.dynamodb import Operation
from consumer.payload.reading import Reading
from consumer.sinks.rows import Arrived
from consumer.sinks.table import Table
from consumer.telemetry.metrics import Metrics, total
from tests.unit.fakes import T0, FakeDynamoDB, error
from tests.unit.http_server import Request, Server, answer
from tests.unit.test_dynamodb import REGION, Chain


def readings(count: int) -> list[Arrived]:
    return [(Reading("d", T0 + n, Decimal(n), None), T0) for n in range(count)]


class Lost(Exception):
    """The shard is another worker's."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.0)


@pytest.mark.parametrize("count", [0, 1, 25, 26, 200, 201])
async def test_each_row_is_written_once(count: int) -> None:
    table, metrics = FakeDynamoDB(), Metrics()
    await Table(table.send, "rows", 0, 4, metrics).put(readings(count), lambda: None)
    assert table.values() == [str(n) for n in range(count)]
    assert table.requests == -(-count // 25)
    assert total(metrics.rows) == count


class Counted:
    """Sends nothing before as many requests wait as may be sent at a time."""

    def __init__(self, limit: int) -> None:
        self.table, self.limit = FakeDynamoDB(), limit
        self.now = self.most = 0
        self.full = asyncio.Event()

    async def send(self, body: bytes) -> bytes:
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now == self.limit:
            self.full.set()
        await self.full.wait()
        await asyncio.sleep(0)  # room for one that would be too many
        self.now -= 1
        return await self.table.send(body)


async def test_the_requests_of_all_shards_share_one_limit() -> None:
    counted = Counted(3)
    table = Table(counted.send, "rows", 0, 3, Metrics())
    await asyncio.gather(*(table.put(readings(150), lambda: None) for _ in range(4)))
    assert (counted.most, counted.table.requests) == (3, 4 * 6)


async def test_the_guard_is_asked_before_each_request_and_requests_in_progress_are_awaited() -> None:
    sent, asked, both, go = 0, 0, asyncio.Event(), asyncio.Event()

    async def send(body: bytes) -> bytes:
        nonlocal sent
        sent += 1
        if sent == 2:
            both.set()
        await go.wait()
        return b'{"UnprocessedItems":{}}'

    def guard() -> None:
        nonlocal asked
        asked += 1
        if sent == 2:
            raise Lost

    put = asyncio.create_task(Table(send, "rows", 0, 2, Metrics()).put(readings(100), guard))
    await both.wait()
    assert not put.done()
    go.set()
    with pytest.raises(Lost):
        await put
    assert sent == 2
    assert asked >= 4


async def test_a_failure_of_one_request_is_raised_after_the_others_have_ended() -> None:
    table = FakeDynamoDB()

    async def send(body: bytes) -> bytes:
        if b'"0"' in body:
            raise error("ValidationException")
        await asyncio.sleep(0)
        return await table.send(body)

    with pytest.raises(Exception, match="ValidationException"):
        await Table(send, "rows", 0, 4, Metrics()).put(readings(100), lambda: None)
    assert table.requests == 3


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server().running() as running:
        yield running


def damaged(rows: FakeDynamoDB, damage: Callable[[Request, bytes], bytes | None]) -> Callable[[Request], object]:
    """The first five requests are executed, but their answers are damaged; None: reset."""

    async def reply(request: Request) -> None:
        said = await rows.send(request.body)
        if rows.requests > 5:
            request.write(answer(said))
        elif (instead := damage(request, said)) is None:
            request.reset()
        else:
            request.write(instead)

    return reply


@pytest.mark.parametrize(
    "damage",
    [
        lambda request, said: None,
        lambda request, said: answer(b"<html>hello</html>"),
        lambda request, said: answer(b"{}"),
        lambda request, said: answer(said, x_amz_crc32=1),
        lambda request, said: answer(said[:-1]),
        lambda request, said: answer(said, "202 Accepted"),
        lambda request, said: answer(b"", "503 Slow"),
        lambda request, said: answer(said)[:-2] + b"]]",
        lambda request, said: b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\nconnection: close\r\n\r\n" + said + bytes(76),
    ],
    ids=["reset", "html", "empty", "checksum", "cut", "202", "503", "not json", "longer"],
)
async def test_rows_are_written_again_until_the_answer_is_certain(
    server: Server, damage: Callable[[Request, bytes], bytes | None]
) -> None:
    rows, metrics = FakeDynamoDB(), Metrics()
    server.reply = damaged(rows, damage)  # type: ignore[assignment]
    client = Operation("BatchWriteItem", server.url, REGION, Chain(), None)
    await Table(client.send, "rows", 0, 1, metrics).put(readings(30), lambda: None)
    await client.close()
    assert rows.values() == [str(n) for n in range(30)]
    assert rows.requests == 7
    assert total(metrics.retries) == 5


async def test_rows_that_the_table_leaves_are_sent_again_by_themselves(server: Server) -> None:
    rows, metrics = FakeDynamoDB(), Metrics()
    rows.unprocessed = lambda items: items[1:]

    async def reply(request: Request) -> None:
        request.write(answer(await rows.send(request.body)))

    server.reply = reply
    client = Operation("BatchWriteItem", server.url, REGION, Chain(), None)
    await Table(client.send, "rows", 0, 1, metrics).put(readings(6), lambda: None)
    await client.close()
    assert rows.values() == [str(n) for n in range(6)]
    assert [len(json.loads(each.body)["RequestItems"]["rows"]) for each in server.requests] == [6, 5, 4, 3, 2, 1]
    assert total(metrics.throttles) == 5 + 4 + 3 + 2 + 1


@pytest.mark.parametrize("seed", range(20))
async def test_rows_survive_any_sequence_of_faults(server: Server, seed: int) -> None:
    """Requests of several shards meet all faults, on connections that some of them leave unfit for use."""
    rng, rows, metrics = random.Random(seed), FakeDynamoDB(), Metrics()
    rows.unprocessed = lambda items: [item for item in items if rng.random() < 0.3]
    faults = 60

    async def reply(request: Request) -> None:
        nonlocal faults
        kind = rng.randrange(10) if faults else 0
        faults -= kind > 0
        if kind in (1, 2):  # before it was executed
            request.reset() if kind == 1 else request.write(answer(b"{}", "503 Busy"))
            return
        said = answer(await rows.send(request.body))
        await asyncio.sleep(0)
        match kind:
            case 3:
                request.reset()
            case 4:
                request.write(said[: rng.randrange(len(said))])
                request.writer.close()
            case 5:
                request.write(said + said)  # the second was not asked for
            case 6:
                request.write(said.replace(b"200 OK", b"200 OK\r\nX-Amz-Crc32: 5"))
            case 7:
                request.write(said)
                request.writer.close()
            case 8:
                request.write(said.replace(b"{", b"<"))
            case _:
                request.write(said)

    server.reply = reply
    client = Operation("BatchWriteItem", server.url, REGION, Chain(), None)
    table = Table(client.send, "rows", 0, 4, metrics)
    shards = [[(Reading(f"d{shard}", T0 + n, Decimal(n), None), T0) for n in range(130)] for shard in range(3)]
    await asyncio.gather(*(table.put(shard, lambda: None) for shard in shards))
    await client.close()
    assert sorted(map(int, rows.values())) == sorted([*range(130)] * 3)
    assert total(metrics.rows) == 3 * 130
