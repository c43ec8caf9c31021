"""The shards of this worker: one conversation each, and their states for /shards."""

from collections.abc import Iterator
from typing import Any

from consumer.archive.format import position_text
from consumer.pipeline.reads import Reads
from consumer.pipeline.shard import Shard
from consumer.pipeline.stall_detector import StallDetector


class Shards:
    """All shards in conversation, by name; decides which of them may write (`Ownership`)."""

    def __init__(self, stall_detector: StallDetector, reads: Reads) -> None:
        self._stall_detector = stall_detector
        self._reads = reads
        self._shards: dict[str, Shard] = {}

    def running(self) -> bool:
        """False when this process may have been suspended for longer than its leases last."""
        return self._stall_detector.running()

    async def replace_older(self, shard: Shard) -> None:
        """Registers a shard's conversation; an earlier one of the same shard is revoked first."""
        previous = self._shards.get(shard.name)
        self._shards[shard.name] = shard
        if previous:
            await previous.revoke()

    def remove(self, shard: Shard) -> None:
        """A conversation has ended."""
        if self._shards.get(shard.name) is shard:
            self._reads.left(shard.name, shard.oldest_arrival())
            del self._shards[shard.name]

    def __len__(self) -> int:
        return len(self._shards)

    def __iter__(self) -> Iterator[Shard]:
        return iter(list(self._shards.values()))

    @property
    def live(self) -> list[Shard]:
        """The shards that are claimed and neither lost, fenced nor revoked since."""
        return [shard for shard in self._shards.values() if shard.ownership.live]

    @property
    def served(self) -> set[str]:
        """The names of the `live` shards."""
        return {shard.name for shard in self.live}

    def lag(self, name: str) -> float:
        """Age in seconds of the shard's oldest record that is not durable, as far as it is known."""
        shard = self._shards.get(name)
        return self._reads.lag(name, shard.oldest_age() if shard and shard.ownership.live else 0.0)

    def states(self) -> list[dict[str, Any]]:
        """Every shard's state, for /shards; also of shards whose lease this worker owns without a conversation."""
        states = {name: _without_conversation(name) for name in self._reads.held}
        states |= {shard.name: _state(shard) for shard in self._shards.values()}
        unread = {each.shard: each.reason for each in self._reads.unread()}
        return [
            state
            | {
                "lagSeconds": round(self.lag(name), 3),
                "readAgeSeconds": round(self._reads.age(name), 3),
                "cannotBeRead": unread.get(name),
            }
            for name, state in sorted(states.items())
        ]


def _state(shard: Shard) -> dict[str, Any]:
    """Position, lag and the open archive object."""
    return {
        "shard": shard.name,
        "live": shard.ownership.live,
        "epoch": shard.epoch,
        "position": position_text(shard.last) if shard.last[0] >= 0 else None,
        "millisBehindLatest": shard.behind,
        "openRecords": shard.open_records(),
        "oldestRecordAgeSeconds": shard.oldest_age(),
    }


def _without_conversation(name: str) -> dict[str, Any]:
    """The same fields as in `_state`."""
    return {
        "shard": name,
        "live": False,
        "epoch": None,
        "position": None,
        "millisBehindLatest": None,
        "openRecords": 0,
        "oldestRecordAgeSeconds": 0.0,
    }
