"""ListShards, as far as consumer/pipeline/shard_end.py uses it: what a client that asks Kinesis sees of the stream."""

from typing import TYPE_CHECKING, Any

from tests.simulation.network import Request

if TYPE_CHECKING:
    from tests.simulation.stream import SimShard
    from tests.simulation.world import World


class Listing:
    """An aiobotocore Kinesis client: two shards a page."""

    def __init__(self, world: "World") -> None:
        self._world = world

    async def list_shards(self, StreamName: str | None = None, NextToken: str | None = None) -> dict[str, Any]:
        first = int(NextToken or 0)

        def page(_: Request) -> dict[str, Any]:
            shards = [shard for shard in self._world.stream.shards.values() if not self._expired(shard)]
            more = {"NextToken": str(first + 2)} if first + 2 < len(shards) else {}
            return {"Shards": [self._shown(shard) for shard in shards[first : first + 2]], **more}

        return await self._world.network.call("stream", page)

    def _expired(self, shard: "SimShard") -> bool:
        """A closed shard whose records have all been delivered may have expired by the time that it is asked for."""
        return shard.closed and shard.expires and shard.passed == len(shard.items)

    def _shown(self, shard: "SimShard") -> dict[str, Any]:
        closed = shard.closed and not self._world.happens(self._world.scenario.stale)
        numbers = {"StartingSequenceNumber": "0", **({"EndingSequenceNumber": "9"} if closed else {})}
        return {"ShardId": shard.name, "SequenceNumberRange": numbers}
