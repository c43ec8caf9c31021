"""Who may write for a shard: invariants (c) and (d) of docs/decisions/0010."""

from collections.abc import Callable

from tests.simulation.clock import Process
from tests.simulation.network import Request
from tests.simulation.pipe import Pipe
from tests.simulation.stream import Stream


class Owners:
    """The epochs that were claimed, and the conversations that claimed them. `fail` gets each violation."""

    def __init__(self, stream: Stream, fail: Callable[[str], None]) -> None:
        self._stream = stream
        self._fail = fail
        self._epochs: dict[str, int] = {}
        self._owners: dict[str, Pipe] = {}
        self._talks: dict[tuple[Process, str], list[Pipe]] = {}

    def claims(self, talk: Pipe, shard: str) -> None:
        """A conversation asks for its epoch: earlier ones of its process have ended their writing."""
        talks = self._talks.setdefault((talk.python, shard), [])
        for other in talks:
            if other is not talk:
                other.retired = other.retired or "a later conversation of its process has claimed the shard"
        if talk not in talks:
            talks.append(talk)

    def claimed(self, shard: str, epoch: int) -> None:
        if epoch <= self._epochs.get(shard, 0):
            self._fail(f"(c) {shard}: epoch {epoch} is given a second time")
        self._epochs[shard] = epoch

    def owns(self, talk: Pipe, shard: str, epoch: int) -> None:
        """A conversation learns its epoch."""
        talk.epoch = epoch
        owner = self._owners.get(shard)
        if owner is None or owner.epoch is None or owner.epoch < epoch:
            self._owners[shard] = talk

    def writes(self, talk: Pipe, what: str) -> None:
        """A conversation is about to send a write."""
        if talk.retired:
            self._fail(f"(c) {talk.shard}: {what} is written although {talk.retired}")
        elif talk.epoch is None:
            self._fail(f"(c) {talk.shard}: {what} is written without a claim")
        elif talk.python.overslept:
            self._fail(f"(c) {talk.shard}: {what} is written although its process knows that it stood still")
        self.starts(talk.shard, what)

    def starts(self, shard: str, what: str) -> None:
        """(d) Something is done for a shard."""
        for parent in self._stream.shards[shard].parents:
            if not self._stream.shards[parent].ended:
                self._fail(f"(d) {shard}: {what} before {parent} was finished")

    def outlived(self, request: Request, shard: str) -> str | None:
        """Why the sender of a request that takes effect owned the shard no more; None if it did."""
        if request.abandoned:
            return "late"
        return None if request.talk is self._owners.get(shard) else "zombie"
