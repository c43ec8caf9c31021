"""The fence, searched exhaustively: every interleaving of appends, take-overs, late initializes, closes, PUTs, HEADs
and checkpoints of a few owners, any of which may stop permanently or come back (a zombie) at any step.

The search calls the product's own `decide`. A record at or below the checkpoint must stand in exactly one object.

A second search has owners of whom each rejects other records, and so has dead letters to write beside its object. There
a checkpointed record must be among the dead letters if and only if its archive object rejects it, by the bare objects;
and at every moment, checkpointed or not, what a reader takes for a dead letter (`belongs`) must be rejected.

In a third one owners compress differently, and the compression is part of the key (docs/decisions/0025-zstd.md).

That the searches can find faults is shown by leaving out one rule at a time.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import pytest

from consumer.archive.fence import Adopt, Committed, Fenced, Outcome, Replace, belongs, decide
from consumer.archive.format import ObjectMetadata

Decision = Outcome | Replace
Decide = Callable[[ObjectMetadata, ObjectMetadata], Decision]
Rejects = tuple[frozenset[int], ...]
"""Which records each owner rejects."""
Compressions = tuple[str, ...]
"""The setting of each owner."""


class Owner(NamedTuple):
    lease: int
    phase: str  # born, open, put, head, swap, checkpoint, change, out; of the dead letters: dput, dhead, dswap
    epoch: int = 0
    first: int = 0
    last: int = 0
    want: int = 0  # adopt up to here
    etag: int = 0  # what a swap replaces
    dead: int | None = None  # as its archive object says
    compression: str = ""


class Stored(NamedTuple):
    first: int
    last: int
    epoch: int
    etag: int
    dead: int | None
    rejected: frozenset[int]
    compression: str

    def metadata(self) -> ObjectMetadata:
        return ObjectMetadata((self.first, 0), (self.last, 0), self.last - self.first + 1, self.epoch, self.dead)


class World(NamedTuple):
    head: int  # records in the shard
    checkpoint: int
    holder: int  # the lease that counts
    epoch: int  # on the lease row
    bucket: tuple[Stored, ...]
    dead: tuple[Stored, ...]
    owners: tuple[Owner, ...]
    compression: str = ""  # on the lease row


class Rules(NamedTuple):
    """What may be left out to see the search fail."""

    decide: Decide = decide
    conditional_put: bool = True
    conditional_claim: bool = True
    claim_epoch: bool = True
    belongs: Callable[[Mapping[str, str] | None, Mapping[str, str]], bool] = belongs
    dead_first: bool = False
    compress_as_the_row_says: bool = True
    change_the_row: bool = True
    change_only_as_owner: bool = True


def explore(
    records: int, cuts: tuple[int, ...], rules: Rules, rejects: Rejects = (), compressions: Compressions = ()
) -> tuple[int, list[str] | None]:
    """Number of states, and the shortest path to a fault if there is one. An owner per entry of `cuts`."""
    rejects = rejects or (frozenset(),) * len(cuts)
    compressions = compressions or ("",) * len(cuts)
    start = World(0, 0, 1, 0, (), (), (Owner(1, "born"),))
    came: dict[World, tuple[World, str] | None] = {start: None}
    queue = [start]
    for world in queue:
        if fault(world, rules):
            path: list[str] = []
            at = world
            while step := came[at]:
                at, name = step
                path.append(name)
            return len(came), path[::-1]
        for name, following in steps(world, records, cuts, rules, rejects, compressions):
            canonical = rename(following)
            if canonical not in came:
                came[canonical] = (world, name)
                queue.append(canonical)
    return len(came), None


def fault(world: World, rules: Rules) -> bool:
    covered = [0] * (world.head + 2)
    rejected: set[int] = set()
    visible: set[int] = set()
    bare: set[int] = set()
    for stored in world.bucket:
        rejected |= stored.rejected
        for record in range(stored.first, stored.last + 1):
            covered[record] += 1
    for letters in world.dead:
        archived = next((s for s in world.bucket if s.first == letters.first), None)
        bare |= letters.rejected
        if rules.belongs(archived.metadata().metadata() if archived else None, letters.metadata().metadata()):
            visible |= letters.rejected
    if not visible <= rejected:
        return True
    done = range(1, world.checkpoint + 1)
    return any(covered[r] != 1 or (r in rejected) != (r in bare) or (r in bare) != (r in visible) for r in done)


def rename(world: World) -> World:
    """ETags matter by equality only."""
    objects = (*world.bucket, *world.dead)
    swaps = [o for o in world.owners if o.phase.endswith("swap")]
    tags = sorted({s.etag for s in objects} | {o.etag for o in swaps})
    new = {tag: i + 1 for i, tag in enumerate(tags)}
    return world._replace(
        bucket=tuple(s._replace(etag=new[s.etag]) for s in world.bucket),
        dead=tuple(s._replace(etag=new[s.etag]) for s in world.dead),
        owners=tuple(o._replace(etag=new[o.etag] if o.phase.endswith("swap") else 0) for o in world.owners),
    )


def steps(
    world: World, records: int, cuts: tuple[int, ...], rules: Rules, rejects: Rejects, compressions: Compressions
) -> Iterator[tuple[str, World]]:
    if world.head < records:
        yield "append", world._replace(head=world.head + 1)
    if world.holder < len(cuts):  # a steal, or a crash and a restart; the old owner goes on as a zombie
        lease = world.holder + 1
        yield f"take{lease}", world._replace(holder=lease, owners=(*world.owners, Owner(lease, "born")))
    for i, owner in enumerate(world.owners):
        at = owner.lease - 1
        for name, moved, change in moves(world, owner, cuts[at], rules, rejects[at], compressions[at]):
            owners = (*world.owners[:i], moved, *world.owners[i + 1 :])
            yield f"{owner.lease}{name}", change._replace(owners=owners)


def moves(
    world: World, me: Owner, cut: int, rules: Rules, rejects: frozenset[int], setting: str
) -> Iterator[tuple[str, Owner, World]]:
    out = me._replace(phase="out", epoch=0, first=0, last=0, want=0, etag=0, dead=None, compression="")
    match me.phase:
        case "born":  # initialize may come late, when the lease is already another's
            if world.holder != me.lease and rules.conditional_claim:
                yield "refused", out, world
                return
            epoch = world.epoch + 1 if rules.claim_epoch else 1
            at = world.checkpoint
            row = world.compression or setting  # of a row that was never claimed
            mine = me._replace(compression=row if rules.compress_as_the_row_says else setting)
            claimed = world._replace(epoch=epoch, compression=row)
            yield "claim", mine._replace(phase="open", epoch=epoch, first=at + 1, last=at), claimed
        case "open":
            if me.last < world.head and (me.last - me.first + 1 < cut or me.last < me.want):
                yield "take", me._replace(last=me.last + 1), world
            if me.last >= max(me.first, me.want):  # at the cut, when idle, at a shutdown: at any moment
                dead = len(taken(me, rejects)) or None
                yield "close", me._replace(phase="dput" if rules.dead_first and dead else "put", dead=dead), world
        case "checkpoint":
            if world.holder == me.lease:
                phase = "open" if me.compression == setting else "change"
                following = me._replace(phase=phase, first=me.last + 1, want=0, dead=None)
                yield "checkpoint", following, world._replace(checkpoint=me.last)
            else:
                yield "lost", out, world
        case "change":
            if world.epoch == me.epoch or not rules.change_only_as_owner:
                row = setting if rules.change_the_row else world.compression
                yield "change", me._replace(phase="open", compression=setting), world._replace(compression=row)
            else:
                yield "superseded", out, world
        case _:
            yield from commits(world, me, rules, taken(me, rejects), out)


def taken(me: Owner, rejects: frozenset[int]) -> frozenset[int]:
    """Of the records taken those that are rejected."""
    return frozenset(record for record in rejects if me.first <= record <= me.last)


def commits(
    world: World, me: Owner, rules: Rules, rejected: frozenset[int], out: Owner
) -> Iterator[tuple[str, Owner, World]]:
    """The requests for the archive object and, likewise, for its dead letters."""
    letters = me.phase.startswith("d")
    d, phase = ("d", me.phase[1:]) if letters else ("", me.phase)
    held = next((s for s in (world.dead if letters else world.bucket) if of_key(s, me)), None)

    def done(me: Owner) -> Owner:
        if rules.dead_first:
            return me._replace(phase="put" if letters else "checkpoint", etag=0)
        return me._replace(phase="dput" if not letters and me.dead is not None else "checkpoint", etag=0)

    match phase:
        case "put":
            if held and rules.conditional_put:
                yield f"{d}exists", me._replace(phase=f"{d}head"), world
            else:
                yield f"{d}put", done(me), stored(world, me, rejected, letters)
                yield f"{d}put, answer lost", me, stored(world, me, rejected, letters)
        case "head":
            assert held
            mine = ObjectMetadata((me.first, 0), (me.last, 0), 0, me.epoch, me.dead)
            match rules.decide(mine, held.metadata()):
                case Fenced():
                    yield f"{d}fenced", out, world
                case Adopt():
                    yield f"{d}adopt", me._replace(phase="open", want=held.last), world
                case Committed():
                    yield f"{d}committed", done(me._replace(dead=held.dead)), world
                case Replace(metadata):
                    yield f"{d}replace", me._replace(phase=f"{d}swap", etag=held.etag, dead=metadata.dead), world
        case "swap":
            if held and held.etag == me.etag:
                yield f"{d}swap", done(me), stored(world, me, rejected, letters)
                yield f"{d}swap, answer lost", me, stored(world, me, rejected, letters)
            else:
                yield f"{d}changed", me._replace(phase=f"{d}head", etag=0), world


def of_key(stored: Stored, me: Owner) -> bool:
    return (stored.first, stored.compression) == (me.first, me.compression)


def stored(world: World, me: Owner, rejected: frozenset[int], letters: bool) -> World:
    objects = world.dead if letters else world.bucket
    etag = sum(max((o.etag for o in some), default=0) for some in (world.bucket, world.dead, world.owners)) + 1
    rest = tuple(s for s in objects if not of_key(s, me))
    made = Stored(me.first, me.last, me.epoch, etag, me.dead, rejected, me.compression)
    now = tuple(sorted((*rest, made), key=lambda s: (s.first, s.compression)))
    return world._replace(dead=now) if letters else world._replace(bucket=now)


def zombie_replaces(mine: ObjectMetadata, other: ObjectMetadata) -> Decision:
    found = decide(mine, other)
    return Replace(mine) if isinstance(found, Fenced) else found


def shorter_believed(mine: ObjectMetadata, other: ObjectMetadata) -> Decision:
    found = decide(mine, other)
    return Committed(other) if isinstance(found, Replace) else found


def believe_equal(mine: ObjectMetadata, other: ObjectMetadata) -> Decision:
    return Committed(other) if other.last == mine.last and other.epoch < mine.epoch else decide(mine, other)


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
        pytest.param(Rules(decide=zombie_replaces), id="zombie replaces"),
        pytest.param(Rules(decide=believe_equal), id="equal object not replaced"),
        pytest.param(Rules(decide=shorter_believed), id="shorter object believed"),
    ],
)
def test_leaving_out_a_rule_breaks_it(rules: Rules) -> None:
    _, path = explore(3, (3, 2, 3), rules)
    assert path is not None


COMPRESSIONS = [
    (3, (2, 2), "zg"),
    (3, (2, 3), "gz"),
    (3, (1, 2, 2), "zgz"),
    (3, (2, 1, 1), "zgg"),
    (2, (1, 1, 1, 1), "zgzg"),
]


@pytest.mark.parametrize(("records", "cuts", "settings"), COMPRESSIONS)
def test_owners_that_compress_differently_write_each_object_to_one_key(
    records: int, cuts: tuple[int, ...], settings: str
) -> None:
    states, path = explore(records, cuts, Rules(), compressions=tuple(settings))
    assert path is None, " ".join(path or [])
    assert states > 300


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(Rules(compress_as_the_row_says=False), id="as it is told to, from its first object"),
        pytest.param(Rules(change_the_row=False), id="changed without telling the next owner"),
        pytest.param(Rules(change_only_as_owner=False), id="changed by an owner that is none any more"),
    ],
)
def test_leaving_out_a_rule_of_compression_breaks_it(rules: Rules) -> None:
    found = (explore(records, cuts, rules, (), tuple(settings))[1] for records, cuts, settings in COMPRESSIONS)
    assert any(found)


OF_OTHER_SETTINGS = [
    (2, (2, 2), ({1, 2}, set())),
    (2, (2, 2), (set(), {2})),
    (2, (1, 2, 2), ({1}, {2}, set())),
    (2, (2, 1, 2), ({1, 2}, set(), set())),
    (2, (2, 2, 2), (set(), {1}, set())),
]


def sets(of: tuple[set[int], ...]) -> Rejects:
    return tuple(frozenset(each) for each in of)


@pytest.mark.parametrize(("records", "cuts", "rejects"), OF_OTHER_SETTINGS)
def test_a_dead_letter_is_there_exactly_if_its_archive_object_rejects_the_record(
    records: int, cuts: tuple[int, ...], rejects: tuple[set[int], ...]
) -> None:
    states, path = explore(records, cuts, Rules(), sets(rejects))
    assert path is None, " ".join(path or [])
    assert states > 200


def only_its_own(mine: ObjectMetadata, other: ObjectMetadata) -> Decision:
    found = decide(mine, other)
    return Replace(mine) if isinstance(found, Replace) else found


def forgotten_after_one(mine: ObjectMetadata, other: ObjectMetadata) -> Decision:
    """The empty object is due only right after an object that had dead letters, not if its owner stopped before it."""
    found = decide(mine, other)
    return Replace(mine) if isinstance(found, Replace) and not other.dead else found


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(Rules(decide=only_its_own), id="none is never written"),
        pytest.param(Rules(decide=forgotten_after_one), id="forgotten by the next but one"),
        pytest.param(Rules(belongs=lambda archived, dead: True), id="read without asking the archive object"),
        pytest.param(Rules(dead_first=True), id="dead letters before the archive object"),
    ],
)
def test_leaving_out_a_rule_of_dead_letters_breaks_it(rules: Rules) -> None:
    paths = [explore(records, cuts, rules, sets(rejects))[1] for records, cuts, rejects in OF_OTHER_SETTINGS]
    assert any(paths)
