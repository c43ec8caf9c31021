"""Dead letters belong to their archive object: one commit decides both, whatever stops in between."""

import pytest

from consumer.aws import retry
from consumer.kcl.protocol import CheckpointRefused
from consumer.payload.contract import Contract
from consumer.payload.contracts import DEFAULT, Contracts
from tests.unit.fakes import FakeDaemon, World, record

WRONG = Contracts([Contract(device="tracker", value="speed", time="at")])
BAD = b"malformed"


class Killed(Exception):
    """The process is gone before its next request."""


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "MAX_DELAY", 0.001)


def watched(world: World) -> list[str]:
    """The requests to the bucket from now on."""
    requests: list[str] = []
    world.s3.fail = lambda operation, key: requests.append(f"{operation} {key.partition('/')[0]}")
    return requests


def kill_before(world: World, prefix: str) -> None:
    def fail(operation: str, key: str) -> None:
        if key.startswith(prefix):
            raise Killed

    world.s3.fail = fail


async def owner(world: World, *payloads: bytes | None, ends: type[Exception] | None = None) -> None:
    """An owner of the shard from its checkpoint on, until it stops with `ends`."""
    async with FakeDaemon(world) as daemon:
        if ends is CheckpointRefused:
            daemon.errors = ["KilledBeforeTheCheckpoint"]
        await daemon.start()
        delivery = daemon.deliver([record(number, data) for number, data in enumerate(payloads, 1)])
        if ends:
            with pytest.raises(ends):
                await delivery
        else:
            await delivery


def dead(world: World) -> list[str]:
    return [line["sequenceNumber"] for line in world.s3.lines("dead-letters/")]


def said(world: World, prefix: str = "readings/") -> list[str]:
    """What the objects say of their dead letters."""
    return [metadata["dead-letters"] for key, (_, metadata, _) in world.s3.objects.items() if key.startswith(prefix)]


async def test_what_is_usual_takes_no_request_more() -> None:
    world = World()
    requests = watched(world)
    await owner(world, None, None, None, None)
    assert requests == ["PutObject readings"]
    assert said(world) == ["none"]
    world = World()
    requests = watched(world)
    await owner(world, None, BAD, BAD, None)
    assert requests == ["PutObject readings", "PutObject dead-letters"]
    assert said(world) == said(world, "dead-letters/") == ["2"]


async def test_wrong_settings_killed_before_the_checkpoint_and_the_right_ones_leave_no_dead_letter() -> None:
    world = World()
    world.contracts = WRONG
    await owner(world, None, None, None, None, ends=CheckpointRefused)
    assert dead(world) == ["1", "2", "3", "4"]
    world.contracts = DEFAULT
    requests = watched(world)
    await owner(world, None, None, None, None)
    assert dead(world) == []
    assert said(world) == said(world, "dead-letters/") == ["0"]
    once = ["PutObject", "HeadObject", "PutObject"]
    assert [request.split()[0] for request in requests] == once * 2


async def test_fewer_and_more_dead_letters_replace_the_earlier_ones() -> None:
    for first, then, left in ((WRONG, DEFAULT, ["2"]), (DEFAULT, WRONG, ["1", "2", "3", "4"])):
        world = World()
        world.contracts = first
        await owner(world, None, BAD, None, None, ends=CheckpointRefused)
        world.contracts = then
        await owner(world, None, BAD, None, None)
        assert dead(world) == left


@pytest.mark.parametrize("stops", [1, 2, 3])
async def test_owners_that_stop_before_the_dead_letters_leave_it_to_the_next_to_shut_out_the_first(stops: int) -> None:
    world = World()
    world.contracts = WRONG
    await owner(world, None, None, None, None, ends=CheckpointRefused)
    world.contracts = DEFAULT
    for _ in range(stops):
        kill_before(world, "dead-letters/")
        await owner(world, None, None, None, None, ends=Killed)
        assert said(world) == ["0"]
        assert len(dead(world)) == 4
    world.s3.fail = lambda operation, key: None
    await owner(world, None, None, None, None)
    assert dead(world) == []


async def test_an_owner_paused_before_its_dead_letters_cannot_write_them_any_more() -> None:
    """The first one never wrote any; the second shuts it out by an empty object all the same."""
    world = World()
    world.contracts = WRONG
    kill_before(world, "dead-letters/")
    await owner(world, None, None, None, None, ends=Killed)
    world.s3.fail = lambda operation, key: None
    world.contracts = DEFAULT
    await owner(world, None, None, None, None)
    assert dead(world) == []
    assert said(world, "dead-letters/") == ["0"]


async def test_a_lost_answer_to_the_archives_put_still_brings_its_dead_letters() -> None:
    world = World()
    lost: list[str] = []

    def lose(key: str) -> None:
        if key not in lost:
            lost.append(key)
            raise TimeoutError

    world.s3.lose = lose
    await owner(world, None, BAD, None, None)
    assert dead(world) == ["2"]
    assert len(lost) == 2


async def test_objects_without_a_dead_letter_count_are_replaced_with_their_dead_letters() -> None:
    world = World()
    world.contracts = WRONG
    await owner(world, None, None, None, None, ends=CheckpointRefused)
    for key, (body, metadata, etag) in world.s3.objects.items():
        old = {name: value for name, value in metadata.items() if name != "dead-letters"}
        world.s3.objects[key] = body, old, etag
    world.contracts = DEFAULT
    await owner(world, None, None, None, None)
    assert dead(world) == []
