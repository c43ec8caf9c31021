"""Large deliveries are processed in pieces of bounded size, in their order."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.archive.writer import RotationPolicy
from consumer.pipeline import pieces as bounds
from consumer.pipeline.pieces import Taken, pieces
from consumer.record import Record
from tests.unit.fakes import FakeDaemon, World, record


def taken(sizes: list[int]) -> list[Taken]:
    return [((n, 0), Record(bytes(size), "k", str(n))) for n, size in enumerate(sizes)]


@given(st.lists(st.sampled_from([0, 1, 100, bounds.BYTES // 3, bounds.BYTES, bounds.BYTES + 1, 1 << 20]), min_size=1))
def test_pieces_have_all_records_in_order_and_none_is_too_large(sizes: list[int]) -> None:
    records = taken(sizes)
    found = list(pieces(records))
    assert [each for piece in found for each in piece] == records
    assert all(len(piece) == 1 or sum(len(r.data) for _, r in piece) <= bounds.BYTES for piece in found)
    assert all(found)


def test_a_piece_has_a_limited_number_of_records() -> None:
    records = taken([1] * (2 * bounds.RECORDS + 1))
    assert [len(piece) for piece in pieces(records)] == [bounds.RECORDS, bounds.RECORDS, 1]
    assert len(list(pieces(records[: bounds.RECORDS]))) == 1


@pytest.mark.parametrize("data", [b"malformed", None])
async def test_between_two_pieces_the_other_shards_have_their_turn(
    monkeypatch: pytest.MonkeyPatch, data: bytes | None
) -> None:
    monkeypatch.setattr(bounds, "RECORDS", 7)
    seen = [0]

    async with FakeDaemon(World(RotationPolicy(1_000, 1 << 20, 60_000))) as daemon:
        await daemon.start()
        loop = daemon.task.get_loop()

        def look() -> None:
            seen.append(daemon.shard.records)
            if seen[-1] < 100:
                loop.call_soon(look)

        look()
        await daemon.deliver([record(n, data) for n in range(100)])
    steps = [after - before for before, after in pairwise(seen)]
    assert seen[-1] == 100
    assert max(steps) <= 7
