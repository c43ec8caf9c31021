"""One worker: the real service, composed as in consumer/service.py, with a simulated daemon."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from consumer import service
from consumer.archive.writer import RotationPolicy
from consumer.aws.codes import NON_RETRYABLE, code
from consumer.kcl.daemon_log import BatchSkipped
from consumer.kcl.protocol import ConversationEnded, ProtocolError
from consumer.pipeline.listener import Listener
from consumer.pipeline.shard_end import FalseEnd
from consumer.service import Service
from consumer.settings import Settings
from consumer.supervisor import FatalError
from tests.simulation.clock import Process
from tests.simulation.kcl import Jvm
from tests.simulation.pipe import Pipe
from tests.simulation.seams import replaced

if TYPE_CHECKING:
    from tests.simulation.world import World


MAX_READINGS = 3
"""In a record (stream.py)."""
EXPECTED = (BatchSkipped, ConversationEnded, FalseEnd, ProtocolError, TimeoutError)


class Door:
    """In place of the Unix socket where connectors come in."""

    def __init__(self) -> None:
        self._coming: asyncio.Queue[Pipe] = asyncio.Queue()
        self.knock = self._coming.put_nowait
        self.get = self._coming.get

    def __enter__(self) -> "Door":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class SimDaemon:
    """In place of consumer/kcl/daemon.py: a daemon in virtual time."""

    pid = 1
    phase = "simulated"
    since = 0.0

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self.jvm: Jvm | None = None
        self.undeliverable: list[bytes] = []

    async def start(self) -> None:
        self.undeliverable = []
        self._worker.python.overslept = False
        await asyncio.sleep(self._worker.world.rng.uniform(0.1, 1.0))
        self.jvm = Jvm(self._worker.world, self._worker)
        self._worker.jvms.append(self.jvm)

    async def wait(self) -> int:
        assert self.jvm
        await self.jvm.exited.wait()
        return 1

    def terminate(self) -> None:
        assert self.jvm
        self.jvm.terminate()

    def kill(self) -> None:
        assert self.jvm
        self.jvm.kill()

    def drain_log(self) -> None:
        """As the real one: hands on what could not be de-aggregated; raises BatchSkipped."""
        self.read_log()
        assert self.jvm
        if self.jvm.skipped:
            raise BatchSkipped("a batch was skipped")

    def gone(self, shard: str) -> bool:
        """As the real one."""
        self.drain_log()
        assert self.jvm
        return shard in self.jvm.gone

    def read_log(self) -> None:
        """As the real one, which the event loop calls too, some time after something was written."""
        assert self.jvm
        while self.jvm.dropped:
            self.undeliverable.append(self.jvm.dropped.pop(0))
        if self.jvm.skipped:
            self.jvm.kill()


class SimListener(Listener):
    """The real listener at a simulated worker's door. (h) A conversation fails only for reasons that can occur."""

    def __init__(self, worker: "Worker", shards: Any, components: Any) -> None:
        door: Any = worker.door
        super().__init__(door, shards, components)
        self._worker = worker

    async def serve(self, until: asyncio.Event) -> None:
        try:
            await super().serve(until)
        except* Exception as failures:
            for error in failures.exceptions:
                if not isinstance(error, EXPECTED) and not (
                    isinstance(error, Exception) and code(error) in NON_RETRYABLE
                ):
                    self._worker.world.fail(f"(h) a conversation failed: {error!r}")
            raise


class SimService(Service):
    """The real service, with a simulated daemon and a door to match."""

    def __init__(self, worker: "Worker") -> None:
        world, self._worker = worker.world, worker
        clients: Any = SimpleNamespace(
            s3=world.bucket,
            batch_write=world.batch_write,
            put_item=world.put_item,
            dynamodb=world.dynamodb,
            kinesis=world.kinesis,
            credentials=None,
        )
        parts = (
            (service, "Daemon", lambda *_: SimDaemon(worker)),
            (service, "Listener", lambda _, shards, components: SimListener(worker, shards, components)),
        )
        with replaced(*parts):
            super().__init__(Settings.load(worker.environment()), Path("java"), clients)
        self.daemon: Any


class Worker:
    """A container: the service's process and its daemons."""

    def __init__(
        self,
        world: "World",
        name: str,
        rotation: RotationPolicy,
        contracts: str,
        compression: str,
        resolution: str,
    ) -> None:
        self.world = world
        self.name = name
        self._rotation = rotation
        self._contracts = contracts
        self._compression = compression
        self._resolution = resolution
        self.python = Process(name)
        self.jvms: list[Jvm] = []
        self.pipes: list[Pipe] = []
        self.stopping = False
        self.ended = False
        self.service: SimService
        self.door: Door
        self.task = world.clock.spawn(self.python, self._run())

    def environment(self) -> dict[str, str]:
        """Its container's variables."""
        return {
            "STREAM_NAME": "stream",
            "SENSOR_TABLE": "rows",
            "DEVICES_TABLE": "devices",
            "DEVICES_SECONDS": "20",
            "ROLLUP_TABLE": "rollups",
            "TABLE_RESOLUTION": self._resolution,
            "ARCHIVE_BUCKET": "bucket",
            "AWS_REGION": "eu-central-1",
            "APPLICATION_NAME": "leases",
            "WORKER_ID": self.name,
            "RUN_DIR": "/run",
            "CLOUDWATCH_NAMESPACE": "off",
            "FAILOVER_SECONDS": f"{self.world.scenario.failover:g}",
            "SHUTDOWN_SECONDS": "20",
            "TABLE_CONCURRENCY": "2",
            "ARCHIVE_MAX_RECORDS": str(self._rotation.records),
            "ARCHIVE_MAX_BYTES": str(self._rotation.size),
            "ARCHIVE_MAX_SECONDS": str(self._rotation.window_ms // 1000),
            "ARCHIVE_COMPRESSION": self._compression,
            "READING_CONTRACTS": self._contracts,
        }

    async def _run(self) -> None:
        self.door = Door()
        self.service = SimService(self)
        try:
            await self.service.work()
        except FatalError as fatal:
            self.world.note(self.name, f"gives up: {fatal}")
        except Exception as error:  # noqa: BLE001 (noted)
            self.world.note(self.name, f"ends: {error!r}")
            if code(error) not in NON_RETRYABLE:
                self.world.fail(f"(h) the service failed: {error!r}")
        self._over()

    def _over(self) -> None:
        self.ended = True
        self.python.die()
        for jvm in self.jvms:
            jvm.kill()
        self.world.worker_ended(self)

    @property
    def jvm(self) -> Jvm | None:
        return next((jvm for jvm in self.jvms if not jvm.process.dead), None)

    def connect(self, shard: str) -> Pipe:
        """A connector comes in."""
        pipe = Pipe(shard, self.python, self.world.clock)
        self.pipes.append(pipe)
        if self.python.dead:
            pipe.kill_connector()
        else:
            self.door.knock(pipe)
        return pipe

    def log_written(self) -> None:
        """The daemon has written to its log."""
        clock = self.world.clock
        delay = self.world.rng.choice((0.0, 0.01, 1.0)) * self.world.rng.random()
        clock.call_at(clock.now + delay, self.service.daemon.read_log, context=self.python.context.copy())

    def kill(self) -> None:
        """SIGKILL for the service; its connectors, and soon its daemon, go with it."""
        if self.python.dead:
            return
        self.python.die()
        for pipe in self.pipes:
            pipe.child_ends()
        for jvm in self.jvms:
            self.world.clock.later(self.world.rng.uniform(0, 0.3), jvm.kill)
        self.world.clock.later(0.5, self._over)

    def stop(self) -> None:
        """SIGTERM."""
        if not self.stopping and hasattr(self, "service"):
            self.stopping = True
            self.python.context.copy().run(self.service.stop)

    def check_memory(self) -> None:
        """(e) What is held per shard stays under its bound."""
        for shard in self.service.shards:
            writer = shard._writer
            if writer is None:
                continue
            if writer.records > self.world.max_records or writer._size > self.world.max_bytes:
                self.world.fail(f"(e) {shard.name}: {writer.records} records, {writer._size} bytes held")
            if shard._rollups and shard._rollups.size > MAX_READINGS * writer.records:
                self.world.fail(f"(e) {shard.name}: {shard._rollups.size} windows of {writer.records} records held")
