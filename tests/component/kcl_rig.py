"""The real KCL daemon with the smallest service that can be spoken with: takes records and checkpoints them."""

import asyncio
import ctypes
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiobotocore.session import get_session

from consumer.aws.credentials import Credentials, Endpoint
from consumer.kcl import java
from consumer.kcl.claims import Claims, Form
from consumer.kcl.daemon import Daemon
from consumer.kcl.first_leases import create, seed
from consumer.kcl.lease_table import Leases
from consumer.settings import Settings
from consumer.telemetry.metrics import Metrics

LINE_LIMIT = 1 << 26
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Got:
    """A record as it was delivered."""

    shard: str
    sequence: int
    sub: int
    key: str
    data: str


class Rig:
    """`async with Rig(...)`: tables seeded, socket open, daemon ready to `start`; afterwards nothing is left."""

    def __init__(self, endpoint: str, run_dir: Path, stream: str, **settings: str) -> None:
        run_dir.mkdir(exist_ok=True)
        self.settings = Settings.load(
            {
                "STREAM_NAME": stream,
                "SENSOR_TABLE": "unused",
                "ARCHIVE_BUCKET": "unused",
                "AWS_REGION": "eu-central-1",
                "AWS_ENDPOINT_URL": endpoint,
                "WORKER_ID": "rig",
                "FAST_START": "true",
                "SHUTDOWN_SECONDS": "20",
                "JAVA_HEAP_MB": "128",
                **settings,
            }
        )
        runtime = java.find()
        assert runtime is not None
        self.socket_path = run_dir / "consumer.sock"
        self._session = get_session()
        self.daemon = Daemon(self.settings, runtime, self.socket_path, run_dir, self._environment)
        self.got: list[Got] = []
        self.actions: list[tuple[str, str]] = []
        self.failures: list[BaseException] = []
        self.first: int | None = None
        """Take and checkpoint only so many records of a delivery, and never answer it."""
        self._changed = asyncio.Condition()
        self._conversations: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Rig":
        session = self._session
        self.endpoint = Endpoint(await Credentials.find(session, self.settings.aws_region))
        await self.endpoint.start()
        self._stack.push_async_callback(self.endpoint.stop)
        where: Any = {"endpoint_url": self.settings.aws_endpoint_url, "region_name": self.settings.aws_region}
        self.kinesis: Any = await self._stack.enter_async_context(session.create_client("kinesis", **where))
        self.dynamodb: Any = await self._stack.enter_async_context(session.create_client("dynamodb", **where))
        table = self.settings.application_name
        self.leases = Leases(self.dynamodb, table, self.settings.worker_id, Metrics())
        self.claims = Claims(self.dynamodb, table, self.settings.worker_id, Form("zstd", 0))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket_path))
        self._listener.listen()
        self._listener.setblocking(False)
        self._accepting = asyncio.create_task(self._accept())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.daemon.pid is not None:
            self.daemon.kill()
            await self.daemon.wait()
        self._accepting.cancel()
        await asyncio.gather(self._accepting, *self._conversations, return_exceptions=True)
        self._listener.close()
        await self._stack.aclose()

    def _environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        return self.endpoint.environment(environ)

    async def create_stream(self, shards: int) -> None:
        await self.kinesis.create_stream(StreamName=self.settings.stream_name, ShardCount=shards)
        await self.kinesis.get_waiter("stream_exists").wait(
            StreamName=self.settings.stream_name, WaiterConfig={"Delay": 1}
        )

    async def prepare(self) -> None:
        settings = self.settings
        await create(self.dynamodb, settings.application_name)
        await seed(
            self.dynamodb,
            settings.application_name,
            settings.stream_name,
            self.kinesis.list_shards,
            settings.worker_id,
        )

    async def put(self, *data: bytes, key: str = "key", hash_key: str | None = None) -> None:
        placed = {"ExplicitHashKey": hash_key} if hash_key else {}
        answer = await self.kinesis.put_records(
            StreamName=self.settings.stream_name,
            Records=[{"Data": each, "PartitionKey": key, **placed} for each in data],
        )
        assert answer["FailedRecordCount"] == 0

    async def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Waits for a condition that a message of the daemon makes true."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: bool(self.failures) or condition())
        if self.failures:
            raise self.failures[0]

    def shards(self, action: str) -> set[str]:
        return {shard for what, shard in self.actions if what == action}

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            task = asyncio.create_task(self._converse(connection))
            self._conversations.add(task)

    async def _converse(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        _, pipes, _, _ = socket.recv_fds(connection, 1, 2)
        reader = asyncio.StreamReader(limit=LINE_LIMIT)
        incoming = os.fdopen(pipes[0], "rb", 0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), incoming
        )
        shard = ""
        try:
            while line := await reader.readline():
                message = json.loads(line)
                action = message["action"]
                if action == "initialize":
                    shard = message["shardId"]
                elif action == "processRecords" and message["records"]:
                    await self._take(shard, message["records"], reader, pipes[1])
                elif action == "shardEnded":
                    await self._checkpoint({}, reader, pipes[1])
                _send(pipes[1], {"action": "status", "responseFor": action})
                async with self._changed:
                    self.actions.append((action, shard))
                    self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001  # raised in the test
            self.failures.append(error)
            async with self._changed:
                self._changed.notify_all()
        finally:
            transport.close()
            os.close(pipes[1])
            connection.close()

    async def forget(self) -> None:
        """Once the daemon has ended: its conversations, and what went wrong in them. From now on all is taken."""
        await asyncio.gather(*self._conversations)
        self._conversations.clear()
        self.failures.clear()
        self.first = None

    async def _take(self, shard: str, records: list[dict[str, Any]], reader: asyncio.StreamReader, out: int) -> None:
        records = records[: self.first]
        last = records[-1]
        self.daemon.drain_log()
        numbers = {name: last[name] for name in ("sequenceNumber", "subSequenceNumber")}
        await self._checkpoint(numbers, reader, out)
        self.got += [
            Got(
                shard,
                int(record["sequenceNumber"]),
                record["subSequenceNumber"],
                record["partitionKey"],
                record["data"],
            )
            for record in records
        ]
        if self.first is not None:
            async with self._changed:
                self._changed.notify_all()
            await reader.read()  # until the daemon has ended

    async def _checkpoint(self, numbers: dict[str, Any], reader: asyncio.StreamReader, out: int) -> None:
        _send(out, {"action": "checkpoint", "sequenceNumber": None, **numbers})
        answer = json.loads(await reader.readline())
        assert answer["error"] is None, answer


def _send(out: int, message: dict[str, Any]) -> None:
    os.write(out, json.dumps(message).encode() + b"\n")


@contextmanager
def as_first_process() -> Iterator[None]:
    """Orphans become our children, as they do in a container."""
    libc = ctypes.CDLL(None)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield
    finally:
        assert libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0


def gone(pid: int) -> bool:
    """True when no process has this id, not even a zombie."""
    return not Path(f"/proc/{pid}").exists()


def group_of(pid: int) -> set[int]:
    """The processes of a group, zombies among them."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[2]) == pid:
            found.add(int(entry.parent.name))
    return found


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self._start
