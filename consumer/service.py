"""Composition: every component is made and wired here and nowhere else; signals come in here. PID 1 of its container.

It ends in one of three ways: asked to (SIGTERM: exit 0), unable to start, or unable to keep a daemon running
(FatalError, Unreachable: one clear line, exit 1).
"""

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import signal
import socket
from pathlib import Path
from typing import Any

from consumer import descriptors
from consumer.archive.store import Archive
from consumer.archive.writer import RotationPolicy
from consumer.aws.clients import Clients
from consumer.aws.credentials import Endpoint
from consumer.aws.retry import FAILURES, unguarded
from consumer.kcl.daemon import Daemon
from consumer.kcl.lease_table import Leases
from consumer.kcl.process import DaemonProcess
from consumer.kcl.supervisor import FatalError, Supervisor
from consumer.pipeline.components import Components
from consumer.pipeline.reads import Reads
from consumer.pipeline.shard_end import Ends
from consumer.pipeline.shards import Shards
from consumer.pipeline.watch import LeaseMonitor, StallDetector, Watchdog
from consumer.settings import Settings
from consumer.sinks.cloudwatch import Publisher, Sums
from consumer.sinks.table import Table
from consumer.telemetry.http import Http
from consumer.telemetry.metrics import VERSION, Metrics, total

log = logging.getLogger(__name__)


class Service:
    """The one object that knows all components; made inside the running loop, with open clients."""

    def __init__(self, settings: Settings, java: Path, clients: Clients) -> None:
        self._settings = settings
        self._clients = clients
        self._metrics = Metrics()
        self._metrics.archive_max_seconds.set(settings.archive_max_seconds)
        self._sums = Sums(settings.cloudwatch_per_sensor)
        self._archive = Archive(clients.s3, settings.archive_bucket, self._metrics)
        self._leases = Leases(clients.dynamodb, settings.application_name, settings.worker_id)
        self._stall_detector = StallDetector(settings.failover_seconds)
        self._supervisor = Supervisor(self._metrics, settings.shutdown_seconds, self._between_lives, self._outage)
        self._reads = Reads()
        self._shards = Shards(self._metrics, self._supervisor.fail, self._reads, self._stall_detector.awake)
        self._lease_monitor = LeaseMonitor(settings.worker_id, settings.failover_seconds, self._leases, self._metrics)
        self._watchdog = Watchdog(self._shards, self._lease_monitor, self._reads, self._supervisor.restart, self._runs)
        self._undeliverable: list[bytes] = []
        run_dir = Path(settings.run_dir)
        self._door = run_dir / "connectors"
        self._keys = Endpoint(clients.credentials)
        self._daemon = Daemon(
            settings,
            java,
            self._door,
            run_dir,
            self._undeliverable.append,
            self._keys.environment,
            self._reads.failed,
        )
        self._metrics.registry.register(DaemonProcess(lambda: self._daemon.pid))

    async def run(self) -> None:
        """Runs until SIGTERM or SIGINT. Raises FatalError."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._supervisor.stop.set)
        if os.getpid() == 1:
            loop.add_signal_handler(signal.SIGCHLD, self._reap)
        http = Http(self._metrics, self.state)
        port = await self._listen(http)
        try:
            told = {
                "version": VERSION,
                "port": port,
                "worker": self._settings.worker_id,
                "open_files": descriptors.limit(),
            }
            log.info("started", extra=told)
            await self._keys.start()
            await self._clients.prepare(self._leases)
            await self._work()
        finally:
            await self._keys.stop()
            await http.stop()

    async def _work(self) -> None:
        """The daemon, and beside it all that runs as long as it does; what fails there ends the service."""
        publisher = self._publisher()
        beside = [self._shards.serve(self._door, self._components()), self._stall_detector.run(self._supervisor.fail)]
        beside += [self._watchdog.run(), self._lease_monitor.run(), *([publisher.run()] if publisher else [])]
        tasks = [asyncio.create_task(work) for work in beside]
        daemon = asyncio.create_task(self._supervisor.run(self._daemon, self._shards))
        try:
            await asyncio.wait([daemon, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()  # none of them ends by itself: raises
            await daemon
        finally:
            for task in (daemon, *tasks):
                task.cancel()
            await asyncio.gather(daemon, *tasks, return_exceptions=True)
            if publisher:
                await publisher.flush()

    def _components(self) -> Components:
        settings, metrics = self._settings, self._metrics
        return Components(
            fields=settings.reading_fields,
            rotation=RotationPolicy(
                settings.archive_max_records, settings.archive_max_bytes, settings.archive_max_seconds * 1000
            ),
            leases=self._leases,
            table=Table(
                self._clients.dynamodb,
                settings.sensor_table,
                settings.row_ttl_days,
                settings.table_concurrency,
                metrics,
            ),
            archive=self._archive,
            ends=Ends(self._clients.kinesis.list_shards, settings.stream_name, self._daemon.gone, self._reads, metrics),
            sums=self._sums if settings.cloudwatch_namespace else None,
            metrics=metrics,
            reads=self._reads,
            ownership=self._shards,
            skips=self,
        )

    def _publisher(self) -> Publisher | None:
        namespace = self._settings.cloudwatch_namespace
        if namespace is None:
            return None
        application = self._settings.application_name
        return Publisher(self._clients.cloudwatch, namespace, application, self._sums, self._counters, self._metrics)

    async def _listen(self, http: Http) -> int:
        settings = self._settings
        self._make_run_dir()
        try:
            return await http.start(settings.http_host, settings.http_port)
        except OSError as error:
            where = f"{settings.http_host}:{settings.http_port}"
            not_ours = error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror)
            name, fix = ("HTTP_HOST", "an address of this host") if not_ours else ("HTTP_PORT", "another port")
            raise FatalError(f"{name}: cannot listen on {where}: {error.strerror}; choose {fix}") from error

    def _make_run_dir(self) -> None:
        """Makes RUN_DIR and locks it: a second service there would take over our connectors."""
        folder = Path(self._settings.run_dir)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FatalError(f"RUN_DIR: {folder} is in use by another consumer; choose another") from error
        except OSError as error:
            raise FatalError(f"RUN_DIR: cannot make {folder}: {error.strerror}") from error

    async def before_checkpoint(self) -> None:
        """What the daemon's log tells of is made durable first; a batch that may have been skipped raises."""
        self._daemon.drain_log()
        while self._undeliverable:
            data = self._undeliverable[0]
            await self._archive.put_undeliverable(data, unguarded)
            if self._undeliverable and self._undeliverable[0] is data:  # not done meanwhile for another shard
                del self._undeliverable[0]
                self._metrics.rejected.labels("bad-aggregate").inc()

    async def _between_lives(self) -> None:
        """While no daemon of ours runs: forget what concerned the last one."""
        self._stall_detector.restarted()
        self._watchdog.restarted()
        try:
            async with asyncio.timeout(5):
                await self._leases.release_leadership()
        except FAILURES as error:
            log.warning("the leader's lock was not given up, and will expire: %s", error or type(error).__name__)

    def _runs(self) -> bool:
        return self._daemon.pid is not None

    def _outage(self) -> bool:
        return self._lease_monitor.failing is not None or self._reads.refused

    def _reap(self) -> None:
        """As PID 1: takes the exit status of processes that lost their parent (connectors of a killed daemon)."""
        with contextlib.suppress(ChildProcessError):
            # macOS has no waitid, and no containers of its own in which it would be asked for.
            while child := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):  # type: ignore[attr-defined,unused-ignore]
                if child.si_pid == self._daemon.pid:
                    return  # asyncio's to take
                os.waitpid(child.si_pid, 0)

    def state(self) -> dict[str, Any]:
        """The document of /shards, with what /healthz says; also sets the shards' gauges."""
        self._watchdog.hold()
        trouble = self._watchdog.trouble(self._daemon.phase)
        return {
            "healthy": trouble is None,
            "why": trouble.why if trouble else "ok",
            "replace": trouble is not None and trouble.replace,
            "pid": os.getpid(),
            "daemonPid": self._daemon.pid,
            "worker": self._settings.worker_id,
            "version": VERSION,
            "shards": self._shards.observe(),
        }

    def _counters(self) -> dict[str, float]:
        """What stands beside the readings in CloudWatch: sums since the start, and levels."""
        self._watchdog.hold()
        live, held = self._shards.live, self._reads.held
        levels = {
            "CheckpointAgeSeconds": max((shard.oldest_age() for shard in live), default=0.0),
            "LagSeconds": max(map(self._shards.lag, held), default=0.0),
            "MillisBehindLatest": float(max((shard.behind or 0 for shard in live), default=0)),
            "OwnedShards": float(len(live)),
            "ReadAgeSeconds": max(map(self._reads.age, held), default=0.0),
        }
        if self._lease_monitor.owned is not None:  # else the lease table has not been seen yet
            levels |= {
                "OpenShards": float(self._lease_monitor.open),
                "UnownedShards": float(self._lease_monitor.unowned),
            }
        return levels | {
            "ReadingsRejected": total(self._metrics.rejected),
            "RowsWritten": total(self._metrics.rows),
            "ArchiveObjectsStored": total(self._metrics.archive_objects),
            "DeadLetterRecords": total(self._metrics.dead_letters),
        }
