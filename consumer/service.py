"""Composition and supervision: one event loop, the socket for the connectors, the daemon, signals, restart policy.

Everything is wired here and nowhere else. The service runs as PID 1 of its container and ends in one of three ways: asked to
(SIGTERM, exit 0), unable to start (Hopeless: one clear line, exit 1), or unable to keep a daemon running (exit 1).
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from consumer import protocol
from consumer.archive import Archive
from consumer.clients import Clients
from consumer.cloudwatch import Publisher, Sums
from consumer.daemon import Daemon
from consumer.http import Http
from consumer.lease import Leases
from consumer.metrics import VERSION, Metrics, total
from consumer.parcel import Cut
from consumer.retry import until_done
from consumer.settings import Settings
from consumer.shard import Rooms, Shard
from consumer.table import Table

log = logging.getLogger(__name__)

SILENCE: Final = 120.0
"""Seconds without a word from the daemon for a shard (it ticks several times a second) before it is restarted."""
ORPHANED: Final = 60.0
"""Seconds that a lease of ours may have no conversation before the daemon is restarted."""
SOUND: Final = 60.0
"""Seconds a daemon must have run for its end not to count towards STILLBORN."""
STILLBORN: Final = 6
"""Daemons in a row that died young: then the task ends, so that whoever supervises it can see that."""


class Hopeless(Exception):
    """The service cannot run; the message is one line that names the mend."""


class Service:
    """The one object that knows all rooms."""

    def __init__(self, settings: Settings, java: Path) -> None:
        self._settings = settings
        self._java = java
        self._metrics = Metrics()
        self._shards: dict[str, Shard] = {}
        self._conversations: set[asyncio.Task[None]] = set()
        self._undeliverable: list[bytes] = []
        self._owned: set[str] | None = None
        self._unserved_since: dict[str, float] = {}
        self._stopping = asyncio.Event()
        self._failed: asyncio.Future[BaseException] | None = None
        self._pulse = Pulse(settings.failover_seconds)
        self._rooms: Rooms
        self._leases: Leases
        self._daemon: Daemon

    async def run(self) -> None:
        """Runs until SIGTERM or SIGINT. Raises Hopeless."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        if os.getpid() == 1:
            loop.add_signal_handler(signal.SIGCHLD, self._reap)
        http = Http(self._metrics, self.state)
        async with Clients(self._settings) as clients, contextlib.AsyncExitStack() as stack:
            await clients.check()
            self._furnish(clients)
            port = await self._listen(http)
            stack.push_async_callback(http.stop)
            log.info("started", extra={"version": VERSION, "port": port, "worker": self._settings.worker_id})
            if self._settings.lease_tables == "create":
                await clients.prepare(self._leases)
            await stack.enter_async_context(self._background(clients))
            await self._supervise()

    def _furnish(self, clients: Clients) -> None:
        settings, metrics = self._settings, self._metrics
        self._leases = Leases(clients.dynamodb, settings.application_name, settings.worker_id)
        self._sums = Sums(per_sensor=settings.cloudwatch_per_sensor)
        self._archive = Archive(clients.s3, settings.archive_bucket, metrics)
        self._rooms = Rooms(
            fields=settings.reading_fields,
            cut=Cut(settings.parcel_records, settings.parcel_bytes, settings.parcel_seconds * 1000),
            leases=self._leases,
            table=Table(
                clients.dynamodb, settings.sensor_table, settings.row_ttl_days, settings.table_concurrency, metrics
            ),
            archive=self._archive,
            sums=self._sums,
            metrics=metrics,
            awake=self._pulse.awake,
            before_checkpoint=self._before_checkpoint,
            supersede=self._supersede,
        )

    async def _listen(self, http: Http) -> int:
        settings = self._settings
        try:
            self._make_run_dir()
            return await http.start(settings.http_host, settings.http_port)
        except OSError as error:
            if error.filename:
                raise Hopeless(f"RUN_DIR: cannot write {error.filename}: {error.strerror}") from error
            raise Hopeless(
                f"HTTP_PORT: cannot listen on {settings.http_host}:{settings.http_port}: {error.strerror}; "
                "choose another port"
            ) from error

    def _make_run_dir(self) -> None:
        Path(self._settings.run_dir).mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextlib.asynccontextmanager
    async def _background(self, clients: Clients) -> AsyncIterator[None]:
        """The socket for the connectors and everything that runs beside the daemon."""
        path = Path(self._settings.run_dir) / "connectors"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(str(path))
            door.listen(256)
            door.setblocking(False)
            self._daemon = Daemon(
                self._settings, self._java, path, Path(self._settings.run_dir), self._undeliverable.append
            )
            tasks = [
                asyncio.create_task(self._serve(door)),
                asyncio.create_task(self._pulse.run(self._fail)),
                asyncio.create_task(self._watch()),
            ]
            publisher = None
            if self._settings.cloudwatch_namespace:
                publisher = Publisher(
                    clients.cloudwatch, self._settings.cloudwatch_namespace, self._sums, self._counters, self._metrics
                )
                tasks.append(asyncio.create_task(publisher.run()))
            for task in tasks:
                task.add_done_callback(self._background_ended)
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                if publisher:
                    await publisher.flush()

    def _background_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._fail(error)

    # -- the daemon -------------------------------------------------------------------------------------------------

    async def _supervise(self) -> None:
        """Keeps a daemon running until asked to stop. In place, with the same worker id, a restart takes seconds."""
        stillborn = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            reason = await self._run_daemon()
            if reason is None:
                return
            stillborn = 0 if time.monotonic() - began > SOUND else stillborn + 1
            if stillborn >= STILLBORN:
                raise Hopeless(f"the KCL daemon died {stillborn} times in a row ({reason}); its log above tells why")
            self._metrics.restarts.labels(reason).inc()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(30.0, 0.5 * 2**stillborn)):
                    await self._stopping.wait()

    async def _run_daemon(self) -> str | None:
        """One life of the daemon; returns why it ended, None after a stop that was asked for."""
        self._failed = asyncio.get_running_loop().create_future()
        self._pulse.woken()
        await self._daemon.start()
        self._metrics.daemon_up.set(1)
        ended = asyncio.create_task(self._daemon.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            waiting: set[asyncio.Future[Any]] = {ended, stopping, self._failed}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                error = self._failed.result()
                log.error("restarting the daemon from the checkpoint: %s", error, exc_info=error)
                return type(error).__name__
            if ended.done():
                log.error("the daemon ended by itself", extra={"code": ended.result()})
                return "exit"
            await self._stop_gracefully(ended)
            return None
        finally:
            stopping.cancel()
            self._daemon.kill()
            await ended
            self._metrics.daemon_up.set(0)
            await self._end_conversations()

    async def _stop_gracefully(self, ended: asyncio.Task[int]) -> None:
        """SIGTERM to the daemon; once every shard was handed over there is nothing left to wait for."""
        log.info("stopping: asking %d shards to settle", len(self._live()))
        self._daemon.terminate()
        deadline = time.monotonic() + self._settings.shutdown_seconds
        while time.monotonic() < deadline and self._conversations and not ended.done():
            assert self._failed  # noqa: S101
            if self._failed.done():
                log.warning("stopping at once: %s", self._failed.result())
                return
            await asyncio.wait({ended, *self._conversations}, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
        if live := self._live():
            log.warning("stopped with %d shards not settled; they will be read again", len(live))
        else:
            log.info("stopped: every shard settled")

    async def _end_conversations(self) -> None:
        for task in self._conversations:
            task.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)
        self._owned = None
        self._unserved_since.clear()

    def _fail(self, error: BaseException) -> None:
        """Ends this life of the daemon: whatever was not checkpointed will be delivered again."""
        if self._failed and not self._failed.done():
            self._failed.set_result(error)

    def _reap(self) -> None:
        """As PID 1: takes the exit status of processes that lost their parent (connectors of a killed daemon)."""
        while True:
            try:
                child = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if child is None or child.si_pid == self._daemon.pid:
                return  # the daemon's own status is asyncio's to take
            os.waitpid(child.si_pid, 0)

    # -- the shards -------------------------------------------------------------------------------------------------

    async def _serve(self, door: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(door)
            task = asyncio.create_task(self._converse(connection))
            self._conversations.add(task)
            task.add_done_callback(self._conversations.discard)

    async def _converse(self, connection: socket.socket) -> None:
        """One connector, one conversation, one shard; what escapes it ends this life of the daemon."""
        with connection:
            shard: Shard | None = None
            try:
                shard = Shard(await protocol.accept(connection), self._rooms)
                talk = asyncio.create_task(shard.run())
                gone = asyncio.create_task(protocol.gone(connection))
                try:
                    await asyncio.wait({talk, gone}, return_when=asyncio.FIRST_COMPLETED)
                    if not talk.done() and not shard.finished:
                        raise protocol.ConversationEnded(f"the connector of {shard.name} died")
                    await talk
                finally:
                    gone.cancel()
                    talk.cancel()
                    await asyncio.gather(gone, talk, return_exceptions=True)
            except Exception as error:  # noqa: BLE001 (handed on to the supervisor, which kills the daemon)
                self._fail(error)
            finally:
                if shard and self._shards.get(shard.name) is shard:
                    del self._shards[shard.name]
                    self._metrics.forget(shard.name)

    async def _supersede(self, shard: Shard) -> None:
        previous = self._shards.get(shard.name)
        self._shards[shard.name] = shard
        if previous:
            log.warning("%s: a second conversation; the first writes nothing more", shard.name)
            await previous.mute()

    async def _before_checkpoint(self) -> None:
        self._daemon.drain_log()
        while self._undeliverable:
            data = self._undeliverable[0]
            await self._archive.put_undeliverable(data, lambda: None)
            self._metrics.rejected.labels("bad-aggregate").inc()
            self._undeliverable.remove(data)

    def _live(self) -> list[Shard]:
        return [shard for shard in self._shards.values() if shard.live]

    # -- watching ---------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """The watchdog: a silent shard, or a lease of ours without a conversation, is cured by a restart."""
        while True:
            await asyncio.sleep(5)
            now = time.monotonic()
            for shard in self._live():
                if shard.waiting_since and now - shard.waiting_since > SILENCE:
                    self._fail(TimeoutError(f"no word of {shard.name} for {SILENCE:.0f} s"))
            owned = await until_done("leases", self._leases.owned, self._metrics, lambda: None)
            self._owned = owned
            served = {shard.name for shard in self._live()}
            since = self._unserved_since
            self._unserved_since = {name: since.get(name, now) for name in owned - served}
            for name, began in self._unserved_since.items():
                if now - began > ORPHANED and not self._stopping.is_set():
                    self._fail(TimeoutError(f"the lease of {name} is ours, but nobody serves it"))

    def state(self) -> dict[str, Any]:
        """The document of /shards; also sets the shards' gauges."""
        live = self._live()
        self._metrics.owned.set(len(live))
        for shard in live:
            state = shard.state()
            self._metrics.behind.labels(shard.name).set(state["millisBehindLatest"] or 0)
            self._metrics.checkpoint_age.labels(shard.name).set(state["oldestRecordAgeSeconds"])
            self._metrics.open_records.labels(shard.name).set(state["openRecords"])
        why = self._trouble(live)
        return {
            "healthy": why is None,
            "why": why or "ok",
            "pid": os.getpid(),
            "daemonPid": self._daemon.pid if hasattr(self, "_daemon") else None,
            "worker": self._settings.worker_id,
            "version": VERSION,
            "shards": [shard.state() for shard in sorted(self._shards.values(), key=lambda shard: shard.name)],
        }

    def _trouble(self, live: list[Shard]) -> str | None:
        """Why the service is not healthy. Lag and a slow sink are no reasons: a restart would cure neither."""
        if not hasattr(self, "_daemon") or self._daemon.pid is None:
            return "the KCL daemon does not run"
        now = time.monotonic()
        if silent := [s.name for s in live if s.waiting_since and now - s.waiting_since > SILENCE / 2]:
            return f"the daemon is silent about {', '.join(silent)}"
        if not live and self._owned != set():
            return f"no shard yet: {self._daemon.phase}"
        return None

    def _counters(self) -> dict[str, float]:
        """What stands beside the readings in CloudWatch: sums since the start, and two levels."""
        live = self._live()
        return {
            "ReadingsRejected": total(self._metrics.rejected),
            "RowsWritten": total(self._metrics.rows),
            "ParcelsStored": total(self._metrics.parcels),
            "MillisBehindLatest": float(max((shard.behind or 0 for shard in live), default=0)),
            "OwnedShards": float(len(live)),
        }


class Pulse:
    """Notices that this process stood still (SIGSTOP, a suspended machine), by a clock that counts suspension.

    After longer than a lease lasts, the shards may be another worker's: nothing is written until the daemon has been
    started again and has claimed them anew.
    """

    def __init__(self, lease_seconds: float) -> None:
        self._limit = lease_seconds
        self._last = self._now()
        self._stood = False

    @staticmethod
    def _now() -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def awake(self) -> bool:
        """Whether this process has been running all the time."""
        if self._now() - self._last > self._limit:
            self._stood = True
        return not self._stood

    def woken(self) -> None:
        """All claims are about to be made anew."""
        self._last, self._stood = self._now(), False

    async def run(self, fail: Any) -> None:
        while True:
            if self.awake():
                self._last = self._now()
            else:
                fail(TimeoutError(f"this process stood still for more than {self._limit} s"))
            await asyncio.sleep(min(1.0, self._limit / 4))
