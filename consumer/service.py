"""Composition: every component is made and wired here and nowhere else (sinks: composition.py). PID 1 of its container;
signals come in here.

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

from consumer import composition, descriptors
from consumer.archive.store import Archive
from consumer.archive.writer import RotationPolicy
from consumer.aws.clients import Clients
from consumer.aws.credentials import Endpoint
from consumer.kcl.claims import Claims, Form
from consumer.kcl.daemon import Daemon
from consumer.kcl.lease_monitor import LeaseMonitor
from consumer.kcl.lease_table import Leases
from consumer.kcl.process import DaemonProcess
from consumer.pipeline.components import Components
from consumer.pipeline.gauges import ShardGauges
from consumer.pipeline.health import Health
from consumer.pipeline.listener import Listener
from consumer.pipeline.reads import Reads
from consumer.pipeline.shard_end import Ends
from consumer.pipeline.shards import Shards
from consumer.pipeline.skip_detector import SkipDetector
from consumer.pipeline.stall_detector import StallDetector
from consumer.pipeline.watchdog import Watchdog
from consumer.settings import Settings
from consumer.sinks.cloudwatch import Publisher, ServiceMetric
from consumer.sinks.statistics import Sums
from consumer.supervisor import FatalError, Supervisor
from consumer.tasks import background
from consumer.telemetry.contracts import ContractCounters
from consumer.telemetry.http import Http
from consumer.telemetry.metrics import VERSION, Metrics, total

log = logging.getLogger(__name__)


class Service:
    """Creates and connects all components. To be created inside the running loop, with open clients."""

    def __init__(self, settings: Settings, java: Path, clients: Clients) -> None:
        self._settings = settings
        self._clients = clients
        self._metrics = metrics = Metrics()
        metrics.archive_max_seconds.set(settings.archive_max_seconds)
        run_dir = Path(settings.run_dir)
        socket_path = run_dir / "connectors"
        self._reads = Reads()
        self._keys = Endpoint(clients.credentials)
        self.daemon = Daemon(settings, java, socket_path, run_dir, self._keys.environment, self._reads.failed)
        stall_detector = StallDetector(settings.failover_seconds)
        self.shards = Shards(stall_detector, self._reads)
        self._leases = Leases(clients.dynamodb, settings.application_name, settings.worker_id, metrics)
        self._lease_monitor = LeaseMonitor(
            settings.worker_id, settings.failover_seconds, self._leases, lambda: self.shards.served, metrics
        )
        self._health = Health(self.daemon, self.shards, self._lease_monitor, self._reads)
        self._alerts = composition.alerts(settings, clients, metrics)
        self._sums = Sums(settings.cloudwatch_per_sensor)
        self._supervisor = Supervisor(
            self.daemon,
            Listener(socket_path, self.shards, self._components()),
            stall_detector,
            Watchdog(self.shards, self._lease_monitor, self._reads),
            self._health,
            self._leases,
            metrics,
            settings.shutdown_seconds,
        )
        metrics.registry.register(DaemonProcess(lambda: self.daemon.pid))
        metrics.registry.register(ContractCounters(settings.reading_contracts))
        metrics.registry.register(ShardGauges(self.shards, self._reads, self._lease_monitor))

    def _components(self) -> Components:
        settings, metrics, clients = self._settings, self._metrics, self._clients
        archive = Archive(clients.s3, settings.archive_bucket, metrics)
        return Components(
            contracts=settings.reading_contracts,
            rotation=RotationPolicy(
                settings.archive_max_records, settings.archive_max_bytes, settings.archive_max_seconds * 1000
            ),
            claims=Claims(
                clients.dynamodb,
                settings.application_name,
                settings.worker_id,
                Form(settings.archive_compression, settings.table_resolution.seconds),
            ),
            table=composition.table(settings, clients, metrics),
            rollups=composition.rollups(settings, clients, metrics),
            archive=archive,
            ends=Ends(clients.kinesis.list_shards, settings.stream_name, self.daemon.gone, self._reads, metrics),
            sums=self._sums if settings.cloudwatch_namespace else None,
            alerts=self._alerts,
            metrics=metrics,
            reads=self._reads,
            ownership=self.shards,
            skips=SkipDetector(self.daemon, archive, metrics),
        )

    async def run(self) -> None:
        """Runs until SIGTERM or SIGINT. Raises FatalError."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        if os.getpid() == 1:
            loop.add_signal_handler(signal.SIGCHLD, self._reap)
        http = Http(self._metrics, self.state)
        port = await self._listen(http)
        try:
            start = {
                "version": VERSION,
                "port": port,
                "worker": self._settings.worker_id,
                "open_files": descriptors.limit(),
            }
            log.info("started", extra=start)
            await self._keys.start()
            await self._clients.prepare()
            await self.work()
        finally:
            await self._keys.stop()
            await http.stop()

    def stop(self) -> None:
        """Begins a graceful stop: every shard commits, then `run` returns."""
        self._supervisor.stop.set()

    async def work(self) -> None:
        """Runs the daemon and the background tasks of the service; a failure of one of them ends the service."""
        senders = [sender for sender in (self._publisher(), self._alerts) if sender]
        sending = [sender.run() for sender in senders]
        try:
            async with background(self._health.run(), self._lease_monitor.run(), *sending):
                await self._supervisor.run()
        finally:
            await asyncio.gather(*(sender.flush() for sender in senders))

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

    def _reap(self) -> None:
        """As PID 1: reaps processes that lost their parent (connectors of a killed daemon)."""
        decoder = self._settings.payload_decoder
        own = {self.daemon.pid, decoder.pid if decoder else None}
        with contextlib.suppress(ChildProcessError):
            # macOS has no waitid; this process is never PID 1 there.
            while child := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):  # type: ignore[attr-defined,unused-ignore]
                if child.si_pid in own:
                    return  # asyncio reaps it, or the decoder's next call
                os.waitpid(child.si_pid, 0)

    def state(self) -> dict[str, Any]:
        """The document of /shards, with what /healthz says."""
        trouble = self._health.trouble()
        return {
            "healthy": trouble is None,
            "why": trouble.why if trouble else "ok",
            "replace": trouble is not None and trouble.replace,
            "pid": os.getpid(),
            "daemonPid": self.daemon.pid,
            "worker": self._settings.worker_id,
            "version": VERSION,
            "shards": self.shards.states(),
        }

    def _counters(self) -> dict[str, float]:
        """The service's own metrics for CloudWatch: sums since the start, and levels."""
        live, held = self.shards.live, self._reads.held
        levels: dict[str, float] = {
            ServiceMetric.CHECKPOINT_AGE: max((shard.oldest_age() for shard in live), default=0.0),
            ServiceMetric.LAG: max(map(self.shards.lag, held), default=0.0),
            ServiceMetric.MILLIS_BEHIND_LATEST: float(max((shard.behind or 0 for shard in live), default=0)),
            ServiceMetric.OWNED_SHARDS: float(len(live)),
            ServiceMetric.READ_AGE: max(map(self._reads.age, held), default=0.0),
        }
        if leases := self._lease_monitor.leases():
            levels |= {
                ServiceMetric.OPEN_SHARDS: float(leases["open"]),
                ServiceMetric.UNOWNED_SHARDS: float(leases["unowned"]),
            }
        return levels | {
            ServiceMetric.ALERTS_FAILED: total(self._metrics.alert_errors) + total(self._metrics.alerts_dropped),
            ServiceMetric.READINGS_REJECTED: total(self._metrics.rejected),
            ServiceMetric.ROWS_WRITTEN: total(self._metrics.rows),
            ServiceMetric.ARCHIVE_OBJECTS_STORED: total(self._metrics.archive_objects),
            ServiceMetric.DEAD_LETTER_RECORDS: total(self._metrics.dead_letters),
        }
