"""The conversations of this worker: a connector comes in at the socket, a shard is served until its daemon ends it."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from consumer import descriptors
from consumer.kcl import protocol
from consumer.pipeline.components import Components
from consumer.pipeline.reads import Reads
from consumer.pipeline.shard import Shard
from consumer.telemetry.metrics import Metrics


class Shards:
    """All shards in conversation. What escapes one of them goes to `fail`, which ends this life of the daemon."""

    def __init__(
        self,
        metrics: Metrics,
        fail: Callable[[BaseException], None],
        reads: Reads,
        running: Callable[[], bool] = lambda: True,
    ) -> None:
        self._metrics = metrics
        self._fail = fail
        self._reads = reads
        self.running = running
        self._told: set[str] = set()  # of these there are series of their reads
        self._shards: dict[str, Shard] = {}
        self.conversations: set[asyncio.Task[None]] = set()

    async def serve(self, path: Path, components: Components) -> None:
        """Takes in connectors at a Unix socket, until cancelled."""
        loop = asyncio.get_running_loop()
        with _door(path) as door:
            while True:
                try:
                    connection, _ = await loop.sock_accept(door)
                except OSError as error:
                    raise self._named(error) from error
                task = asyncio.create_task(self._converse(connection, components))
                self.conversations.add(task)
                task.add_done_callback(self.conversations.discard)

    async def replace_older(self, shard: Shard) -> None:
        """Registers a shard's conversation; an earlier one of the same shard ends its writing first."""
        previous = self._shards.get(shard.name)
        self._shards[shard.name] = shard
        if previous:
            await previous.revoke()

    async def end(self) -> None:
        """Ends every conversation where it stands (their daemon is dead)."""
        for task in self.conversations:
            task.cancel()
        await asyncio.gather(*self.conversations, return_exceptions=True)

    @property
    def live(self) -> list[Shard]:
        """The shards that are claimed and neither lost, fenced nor revoked since."""
        return [shard for shard in self._shards.values() if shard.ownership.live]

    def observe(self) -> list[dict[str, Any]]:
        """Every shard's state, for /shards; also sets their gauges.

        A shard whose lease is ours and of which no one speaks stands there, too: it is the one to look at.
        """
        metrics = self._metrics
        self._observe_reads()
        metrics.owned.set(len(self.live))
        for name, shard in self._shards.items():
            if not shard.ownership.live:  # another worker tells of it now
                metrics.forget(name)
                continue
            metrics.behind.labels(name).set(shard.behind or 0)
            metrics.checkpoint_age.labels(name).set(shard.oldest_age())
            metrics.open_records.labels(name).set(shard.open_records())
            metrics.archive_object_age.labels(name).set(shard.archive_object_age())
            metrics.shard_records.labels(name)  # begins at 0
            metrics.shard_bytes.labels(name)
        states = {name: _silent_state(name) for name in self._reads.held}
        states |= {shard.name: shard.state() for shard in self._shards.values()}
        unread = {each.shard: each for each in self._reads.unread()}
        return [
            state
            | {
                "lagSeconds": round(self.lag(name), 3),
                "readAgeSeconds": round(self._reads.age(name), 3),
                "cannotBeRead": unread[name].reason if name in unread else None,
            }
            for name, state in sorted(states.items())
        ]

    def lag(self, name: str) -> float:
        """Age in seconds of the shard's oldest record that is not durable, as far as it is known."""
        shard = self._shards.get(name)
        return self._reads.lag(name, shard.oldest_age() if shard and shard.ownership.live else 0.0)

    def _observe_reads(self) -> None:
        metrics, held = self._metrics, set(self._reads.held)
        for name in held:
            metrics.lag.labels(name).set(self.lag(name))
            metrics.read_age.labels(name).set(self._reads.age(name))
        for name in self._told - held:
            metrics.lag.remove(name)
            metrics.read_age.remove(name)
        self._told = held
        for reason, count in self._reads.failing().items():
            metrics.reads_failing.labels(reason).set(count)

    async def _converse(self, connection: socket.socket, components: Components) -> None:
        """One connector, one conversation, one shard."""
        shard: Shard | None = None
        with connection:
            try:
                shard = Shard(await protocol.accept(connection), components)
                await self._talk(shard, connection)
            except Exception as error:  # noqa: BLE001 (handed on: it ends the daemon)
                self._fail(self._named(error))
            finally:
                if shard and self._shards.get(shard.name) is shard:
                    self._reads.left(shard.name, shard.oldest_arrival())
                    del self._shards[shard.name]
                    self._metrics.forget(shard.name)

    def _named(self, error: Exception) -> Exception:
        """The error, or what to raise where it says that no more files can be open."""
        return descriptors.of_shards(len(self._shards)) if descriptors.reached(error) else error

    async def _talk(self, shard: Shard, connection: socket.socket) -> None:
        talk = asyncio.create_task(shard.run())
        gone = asyncio.create_task(protocol.gone(connection))
        try:
            await asyncio.wait({talk, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not talk.done() and not shard.ownership.finished:
                raise protocol.ConversationEnded(f"the connector of {shard.name} died")
            await talk
        finally:
            gone.cancel()
            talk.cancel()
            await asyncio.gather(gone, talk, return_exceptions=True)


def _door(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(path))
    door.listen(256)
    door.setblocking(False)
    return door


def _silent_state(name: str) -> dict[str, Any]:
    """The same as `Shard.state` for a shard whose lease is ours and which has no conversation."""
    return {
        "shard": name,
        "live": False,
        "epoch": None,
        "position": None,
        "millisBehindLatest": None,
        "openRecords": 0,
        "oldestRecordAgeSeconds": 0.0,
    }
