"""The invariants, checked whenever something takes effect; their letters are explained in docs/decisions/0010."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from consumer.archive.fence import belongs
from consumer.archive.format import DEAD_LETTERS, READINGS, UNDELIVERABLE
from consumer.kcl.lease_table import END
from consumer.record import Position
from tests.compression import unpacked
from tests.simulation.network import Request
from tests.simulation.owners import Owners
from tests.simulation.rollups import RollupLedger
from tests.simulation.stream import Item, Key, Order, Stream


class _Line(msgspec.Struct, rename="camel"):
    sequence_number: str | None
    sub_sequence_number: int
    rejected: int = 0
    data: bytes | None = None


_lines: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)


def _bytes(text: bytes, line: _Line | None = None) -> bytes:
    """The record that an archive line holds."""
    line = line or _lines.decode(text)
    return line.data if line.data is not None else text[text.index(b'"payload":') + 10 : -1]


@dataclass(slots=True)
class Written:
    """A row as it stands."""

    order: Order
    outlived: str | None
    """Why its writer owned the shard no more, if so: a zombie, or a request that took effect late."""


class Ledger:
    """What has become of every record. `fail` gets each violation."""

    def __init__(self, stream: Stream, resolutions: Sequence[str], fail: Callable[[str], None]) -> None:
        self._stream = stream
        self._has_rows = all(each[0] == "0" for each in resolutions)
        self._fail = fail
        self.rollups = RollupLedger(stream, fail)
        self._rows: dict[Key, Written] = {}
        self._undeliverable: set[bytes] = set()
        self._objects: dict[str, list[Position]] = {}
        self._metadata: dict[str, dict[str, str]] = {}
        self._letters: dict[str, list[Position]] = {}
        """By key without prefix, what a reader takes for its dead letters."""
        self.owners = Owners(stream, fail)
        self.devices: set[str] = set()
        """The list of devices."""
        self.exempt: dict[str, int] = {}
        """Rows left behind by the documented case, by its kind."""

    # rows

    def row(self, request: Request, key: Key, value: str) -> None:
        """A row takes effect."""
        found = self._stream.values.get(value)
        if found is None or found[0] != key:
            self._fail(f"(b) row {key} has value {value}, which no reading has")
            return
        _, order, item = found
        outlived = self.owners.outlived(request, item.shard)
        held = self._rows.get(key)
        if held and order < held.order:
            newer = self._stream.items[held.order[:2]]
            if newer.checkpointed and not outlived:
                self._fail(f"(a) row {key} goes back to {order} from {held.order}, which is checkpointed")
        self._rows[key] = Written(order, outlived)

    def _row_stands(self, key: Key, order: Order) -> bool:
        held = self._rows.get(key)
        return not self._has_rows or (held is not None and (held.order >= order or held.outlived is not None))

    # archive

    def stored(self, key: str, body: bytes, metadata: dict[str, str]) -> None:
        """An object takes effect, in place of an older one or not."""
        if key.startswith(UNDELIVERABLE):
            self._undeliverable.add(_bytes(unpacked(body)[:-1]))
            return
        dead = key.startswith(DEAD_LETTERS)
        assert dead or key.startswith(READINGS), key
        before = self._objects.get(key, [])
        after = self._objects[key] = self._positions(body, dead)
        self._metadata[key] = metadata
        self._check_object(key, after, metadata)
        for position in before:
            self._count(position, -1, dead)
        for position in after:
            self._count(position, 1, dead)
            if not dead:
                self.rollups.archived(self._stream.items[position], metadata.get("rollup-seconds", "0"))
        for position in {*before, *after}:
            self._check_visible(position, dead, position in before)
        self._read_letters(key.removeprefix(DEAD_LETTERS).removeprefix(READINGS))

    def _read_letters(self, name: str) -> None:
        """(i) What a redrive or an audit would now take for dead letters: records that their archive lines reject."""
        metadata = self._metadata.get(DEAD_LETTERS + name)
        found = []
        if metadata is not None and belongs(self._metadata.get(READINGS + name), metadata):
            found = self._objects[DEAD_LETTERS + name]
        for position in self._letters.get(name, []):
            self._stream.items[position].letters -= 1
        for position in found:
            item = self._stream.items[position]
            item.letters += 1
            if not item.refused:
                self._fail(f"(i) record {position} is a dead letter, but its archive line rejects nothing")
        self._letters[name] = found

    def _count(self, position: Position, change: int, dead: bool) -> None:
        item = self._stream.items[position]
        if dead:
            item.dead += change
        else:
            item.archived += change

    def _check_visible(self, position: Position, dead: bool, was_there: bool) -> None:
        item = self._stream.items[position]
        count = item.dead if dead else item.archived
        due = bool(item.refused) if dead else 1
        where = "dead letters" if dead else "archive"
        # What only some settings reject: an older owner may still say that it is none, until the newer one has written.
        if was_there and due and not count and not (dead and item.odd):
            self._fail(f"(g) record {position} has disappeared from the {where}")
        elif item.checkpointed and count != due:
            self._fail(f"(b) record {position} is checkpointed and {count} times in the {where}")

    def _positions(self, body: bytes, dead: bool) -> list[Position]:
        """The records of an object; each line must give back the very bytes that were sent."""
        found = []
        for text in unpacked(body).splitlines():
            line = _lines.decode(text)
            assert line.sequence_number is not None
            position = int(line.sequence_number), line.sub_sequence_number
            item = self._stream.items.get(position)
            if item is None or _bytes(text, line) != item.data:
                self._fail(f"(b) a line of the archive is not what was sent: {text!r}")
                continue
            if line.rejected not in (item.rejected, item.rejected + len(item.odd)):
                self._fail(f"(b) a line of the archive rejects {line.rejected}, no settings do: {text!r}")
            if not dead:
                item.refused = line.rejected
            found.append(position)
        return found

    def _check_object(self, key: str, positions: list[Position], metadata: dict[str, str]) -> None:
        first, last = ("%d.%d" % positions[0], "%d.%d" % positions[-1]) if positions else ("", "")
        if positions != sorted(set(positions)):
            self._fail(f"(b) {key}: its records are not in order: {positions}")
        elif key.startswith(READINGS) and (
            (metadata["first"], metadata["last"], metadata["records"]) != (first, last, str(len(positions)))
        ):
            self._fail(f"(b) {key}: metadata {metadata} does not fit {positions}")

    # (a) checkpoints

    def checkpointed(self, name: str, position: Position) -> None:
        """A checkpoint takes effect: all at or below it must be durable."""
        shard = self._stream.shards[name]
        if shard.passed and position < shard.items[shard.passed - 1].position:
            self._fail(f"(a) {name}: the checkpoint went back to {position}")
        before = shard.passed
        while shard.passed < len(shard.items) and shard.items[shard.passed].position <= position:
            item = shard.items[shard.passed]
            shard.passed += 1
            item.checkpointed = True
            self._stream.waiting -= 1
            self._check_durable(item)
        self.rollups.checkpointed(shard, shard.items[before : shard.passed])
        if position == END:
            shard.ended = True
            if not shard.closed:
                self._fail(f"(a) {name}: the end of an open shard is checkpointed")

    def _check_durable(self, item: Item) -> None:
        if item.undeliverable:
            if item.data not in self._undeliverable:
                self._fail(f"(a) the undeliverable record {item.position} is checkpointed, but not in the dead letters")
            return
        if item.archived != 1:
            self._fail(f"(a) record {item.position} is checkpointed and {item.archived} times in the archive")
        if not item.dead == item.letters == bool(item.refused):
            self._fail(
                f"(a) record {item.position} is checkpointed, {item.refused} of it are rejected, and it is {item.dead}"
                f" times in the dead letters, {item.letters} times to be read there"
            )
        for key, order in item.wanted():
            if key[0] not in self.devices:
                self._fail(f"(a) reading {order} is checkpointed, but its device {key[0]} is not in the list")
            if not self._row_stands(key, order):
                held = self._rows.get(key)
                self._fail(f"(a) reading {order} is checkpointed, but row {key} is {held and held.order}")

    def final(self) -> None:
        """(b) When all has drained. Counts the rows of the documented case."""
        for item in self._stream.items.values():
            self._check_durable(item)
        odd = {key: item for item in self._stream.items.values() for key in item.odd}
        self.rollups.final()
        self.exempt |= {"contracts": self.rollups.exempt} if self.rollups.exempt else {}
        for key, order in self._stream.latest.items() if self._has_rows else ():
            if key in odd and (key, order) not in odd[key].wanted():
                continue
            held = self._rows.get(key)
            if held is None or held.order != order:
                if held is None or not held.outlived:
                    self._fail(f"(b) row {key} is {held and held.order}, its last reading is {order}")
                else:
                    self.exempt[held.outlived] = self.exempt.get(held.outlived, 0) + 1
