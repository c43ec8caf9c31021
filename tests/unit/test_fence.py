"""The fence, searched exhaustively: every interleaving of appends, take-overs, late initializes, closes, PUTs, HEADs
and checkpoints of a few owners, any of which may stop for ever or come back (a zombie) at any step.

The search calls the product's own `decide`. A record at or below the checkpoint must stand in exactly one object.
That the search can find faults is shown by leaving out one rule at a time.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from consumer.parcel import Stamp, Verdict, decide

Decide = Callable[[Stamp, Stamp], Verdict]


class Owner(NamedTuple):
    lease: int
    phase: str  # born, open, put, head, swap, checkpoint, out
    epoch: int = 0
    first: int = 0
    last: int = 0
    want: int = 0  # adopt up to here
    etag: int = 0  # what a swap replaces


class Stored(NamedTuple):
    first: int
    last: int
    epoch: int
    etag: int


class World(NamedTuple):
    head: int  # records in the shard
    checkpoint: int
    holder: int  # the lease that counts
    epoch: int  # on the lease row
    bucket: tuple[Stored, ...]
    owners: tuple[Owner, ...]


class Rules(NamedTuple):
    """What may be left out to see the search fail."""

    decide: Decide = decide
    conditional_put: bool = True
    conditional_claim: bool = True
    claim_epoch: bool = True


def explore(records: int, cuts: tuple[int, ...], rules: Rules) -> tuple[int, list[str] | None]:
    """Number of states, and the shortest path to a fault if there is one. An owner per entry of `cuts`."""
    start = World(0, 0, 1, 0, (), (Owner(1, "born"),))
    came: dict[World, tuple[World, str] | None] = {start: None}
    queue = [start]
    for world in queue:
        if fault(world):
            path: list[str] = []
            at = world
            while step := came[at]:
                at, name = step
                path.append(name)
            return len(came), path[::-1]
        for name, following in steps(world, records, cuts, rules):
            canonical = rename(following)
            if canonical not in came:
                came[canonical] = (world, name)
                queue.append(canonical)
    return len(came), None


def fault(world: World) -> bool:
    covered = [0] * (world.head + 2)
    for stored in world.bucket:
        for record in range(stored.first, stored.last + 1):
            covered[record] += 1
    return any(covered[record] != 1 for record in range(1, world.checkpoint + 1))


def rename(world: World) -> World:
    """ETags matter by equality only."""
    tags = sorted({s.etag for s in world.bucket} | {o.etag for o in world.owners if o.phase == "swap"})
    new = {tag: i + 1 for i, tag in enumerate(tags)}
    return world._replace(
        bucket=tuple(s._replace(etag=new[s.etag]) for s in world.bucket),
        owners=tuple(o._replace(etag=new[o.etag] if o.phase == "swap" else 0) for o in world.owners),
    )


def steps(world: World, records: int, cuts: tuple[int, ...], rules: Rules) -> Iterator[tuple[str, World]]:
    if world.head < records:
        yield "append", world._replace(head=world.head + 1)
    if world.holder < len(cuts):  # a steal, or a crash and a restart; the old owner goes on as a zombie
        lease = world.holder + 1
        yield f"take{lease}", world._replace(holder=lease, owners=(*world.owners, Owner(lease, "born")))
    for i, owner in enumerate(world.owners):
        for name, moved, change in moves(world, owner, cuts[owner.lease - 1], rules):
            owners = (*world.owners[:i], moved, *world.owners[i + 1 :])
            yield f"{owner.lease}{name}", change._replace(owners=owners)


def moves(world: World, me: Owner, cut: int, rules: Rules) -> Iterator[tuple[str, Owner, World]]:
    out = me._replace(phase="out", epoch=0, first=0, last=0, want=0, etag=0)
    held = next((s for s in world.bucket if s.first == me.first), None)
    match me.phase:
        case "born":  # initialize may come late, when the lease is already another's
            if world.holder != me.lease and rules.conditional_claim:
                yield "refused", out, world
                return
            epoch = world.epoch + 1 if rules.claim_epoch else 1
            at = world.checkpoint
            yield "claim", me._replace(phase="open", epoch=epoch, first=at + 1, last=at), world._replace(epoch=epoch)
        case "open":
            if me.last < world.head and (me.last - me.first + 1 < cut or me.last < me.want):
                yield "take", me._replace(last=me.last + 1), world
            if me.last >= max(me.first, me.want):  # at the cut, when idle, at a shutdown: at any moment
                yield "close", me._replace(phase="put"), world
        case "put":
            if held and rules.conditional_put:
                yield "exists", me._replace(phase="head"), world
            else:
                yield "put", me._replace(phase="checkpoint"), stored(world, me)
        case "head":
            assert held
            mine = Stamp((me.first, 0), (me.last, 0), 0, me.epoch)
            verdict = rules.decide(mine, Stamp((held.first, 0), (held.last, 0), 0, held.epoch))
            match verdict:
                case Verdict.FENCED:
                    yield "fenced", out, world
                case Verdict.ADOPT:
                    yield "adopt", me._replace(phase="open", want=held.last), world
                case Verdict.SETTLED:
                    yield "settled", me._replace(phase="checkpoint"), world
                case Verdict.REPLACE:
                    yield "replace", me._replace(phase="swap", etag=held.etag), world
        case "swap":
            if held and held.etag == me.etag:
                yield "swap", me._replace(phase="checkpoint", etag=0), stored(world, me)
            else:
                yield "changed", me._replace(phase="head", etag=0), world
        case "checkpoint":
            if world.holder == me.lease:
                following = me._replace(phase="open", first=me.last + 1, want=0)
                yield "checkpoint", following, world._replace(checkpoint=me.last)
            else:
                yield "lost", out, world


def stored(world: World, me: Owner) -> World:
    etag = max((s.etag for s in world.bucket), default=0) + max((o.etag for o in world.owners), default=0) + 1
    rest = tuple(s for s in world.bucket if s.first != me.first)
    return world._replace(bucket=tuple(sorted((*rest, Stored(me.first, me.last, me.epoch, etag)))))


def without(verdict: Verdict, instead: Verdict) -> Decide:
    """`decide` with one rule turned into another."""

    def broken(mine: Stamp, other: Stamp) -> Verdict:
        found = decide(mine, other)
        return instead if found is verdict else found

    return broken


def believe_equal(mine: Stamp, other: Stamp) -> Verdict:
    return Verdict.SETTLED if other.last == mine.last and other.epoch < mine.epoch else decide(mine, other)


@pytest.mark.parametrize(
    ("records", "cuts"), [(5, (2, 3)), (5, (3, 2)), (3, (3, 2, 3)), (3, (2, 2, 1)), (3, (1, 3, 2))]
)
def test_every_checkpointed_record_is_in_exactly_one_object(records: int, cuts: tuple[int, ...]) -> None:
    states, path = explore(records, cuts, Rules())
    assert path is None, " ".join(path or [])
    assert states > 1_000


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(Rules(conditional_put=False), id="plain PUT"),
        pytest.param(Rules(conditional_claim=False), id="claim without owning the lease"),
        pytest.param(Rules(claim_epoch=False), id="no epoch"),
        pytest.param(Rules(decide=without(Verdict.FENCED, Verdict.REPLACE)), id="zombie replaces"),
        pytest.param(Rules(decide=believe_equal), id="equal object not replaced"),
        pytest.param(Rules(decide=without(Verdict.REPLACE, Verdict.SETTLED)), id="shorter object believed"),
    ],
)
def test_leaving_out_a_rule_breaks_it(rules: Rules) -> None:
    _, path = explore(3, (3, 2, 3), rules)
    assert path is not None
