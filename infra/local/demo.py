"""`make demo`: the local stack, a fleet that publishes to it, and the audit of what became of every message.

Steps and the live view go to stderr, the result is the one line on stdout.
"""

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace
from types import FrameType
from typing import Any, TypeVar

from infra.local.choices import Settings
from infra.local.live import Consumer, Speed, View, ask, line
from infra.local.options import Options
from infra.local.process import LOCAL, LocalError
from infra.local.screen import Screen
from infra.local.stack import LocalStack
from producer.aws.stack import Stack, devices_dir
from producer.fleet.credentials import names
from producer.fleet.latency_probe import LatencyProbe
from producer.fleet.ledger import Ledger
from producer.fleet.provision import provision
from producer.fleet.simulate import Simulator
from producer.ops.alerts import Subscriber, alerts_file
from producer.ops.audit import AuditResult, audit

T = TypeVar("T")
LEDGER = LOCAL / "demo.ledger"
SHARD_SECONDS = 60.0  # for the consumer to own every shard
STALLED_SECONDS = 45.0  # without any progress until the audit reports what is missing
ARCHIVE_MAX_SECONDS = "10"  # so that a person sees archive objects come; the default of the service is longer


class Demo:
    """One run: `start`, `publish`, `drain`, `judge` within the running stack."""

    def __init__(self, settings: Settings, stack: LocalStack, view: View, started: float) -> None:
        self._settings = settings
        self._local = stack
        self._view = view
        self._started = started
        self._prepared: Future[Stack] | None = None
        self._memory: tuple[float, float] = (0.0, 0.0)  # the most seen, MiB
        self._speed = Speed()
        self._screen = Screen()
        self._publishing = 0.0  # time.monotonic() of the first publish

    def say(self, text: str) -> None:
        """Shows each step of the stack's start. As soon as the emulator answers, the devices are created, while the KCL
        is still starting."""
        self._view.say(text)
        if self._local.env and self._prepared is None:
            self._prepared = background(self._prepare)

    def _prepare(self) -> Stack:
        """In the role of the stack's own simulator, or, past IoT Core, of a client."""
        workload = self._settings.workload
        session = self._local.session_as("simulator" if workload.via == "mqtt" else "client")
        stack = Stack.load(session, self._local.options.name)
        if workload.via == "mqtt":
            folder = devices_dir(self._local.env)
            provision(session, names(workload.prefix, workload.devices), stack.device_policy, folder)
            self._view.say(f"devices ready: {workload.devices}, with certificates in {folder}")
        return stack

    def start(self, resources: ExitStack) -> None:
        """Opens everything that publishes and listens; `resources` will close it."""
        if self._prepared is None:
            raise LocalError("the local stack did not come up")
        self._stack = self._prepared.result()
        self._wait_for_shards()
        for path in (LEDGER, alerts_file(LEDGER)):
            path.unlink(missing_ok=True)
        self._ledger = resources.enter_context(Ledger(LEDGER))
        onlooker = replace(self._stack, session=self._local.emulator.session())  # the account itself
        self._alerts = Subscriber.subscribe(onlooker, alerts_file(LEDGER))
        self._alerts.start()
        resources.callback(self._alerts.stop)
        self._latency_probe = LatencyProbe(onlooker)
        resources.callback(self._latency_probe.close)
        self._simulator = Simulator(
            self._stack,
            self._settings.workload,
            self._ledger,
            self._latency_probe.offer,
            self._local.env,
            self._settings.fleet(self._stack.alerts),
        )

    def _wait_for_shards(self) -> None:
        deadline = time.monotonic() + SHARD_SECONDS
        while (consumer := self._look()) is None or consumer.live < self._settings.shards:
            if time.monotonic() > deadline:
                raise LocalError(f"the consumer has not all shards after {SHARD_SECONDS:g} s; see {LOCAL / 'log'}")
            owned = consumer.live if consumer else 0
            self._view.live([f"KCL: {owned} of {self._settings.shards} shards"], time.monotonic())
            time.sleep(0.2)

    def publish(self, stop: threading.Event) -> None:
        """Until the workload ends, or until interrupted."""
        load = self._settings.workload
        until = f"for {load.seconds:g} s" if load.seconds else "until Ctrl-C"
        what, kind = ("messages", f"{page.name} ") if (page := self._settings.page) else ("readings", "")
        self._what = f"{load.rate:g} {what}/s of {load.devices} {kind}devices over {load.via}, {until}"
        self._view.say(f"publishing {self._what}")
        self._publishing = time.monotonic()
        self._running = background(lambda: self._simulator.run(stop))
        try:
            while not self._running.done():
                self._show()
                time.sleep(1)
        finally:
            stop.set()

    def drain(self) -> None:
        """Until every acknowledged message is in an archive object and every alert is here, or nothing moves any more.

        Raises what ended the publishing, if anything did.
        """
        self._running.result()
        self._view.say(f"published {self._ledger.published:,} messages; waiting for the last of them to be archived")
        moved, before = time.monotonic(), (0.0, 0)
        while True:
            consumer = self._show()
            archived = consumer.counters["archive_records"] if consumer else 0.0
            alerts = self._alerts.count
            if archived >= self._ledger.published and alerts >= self._ledger.alerts:
                return
            if (archived, alerts) != before:
                moved, before = time.monotonic(), (archived, alerts)
            if time.monotonic() - moved > STALLED_SECONDS:
                self._view.say(f"nothing more has come for {STALLED_SECONDS:g} s")
                return
            time.sleep(0.5)

    def judge(self) -> tuple[AuditResult, dict[str, Any]]:
        """The audit, and the line with its result."""
        self._view.say("auditing: ledger, stream, archive, table, dead letters and alerts are compared")
        self._ledger.flush()
        report = audit(replace(self._stack, session=self._local.session_as("operator")), LEDGER)
        seen = self._latency_probe.first_seen
        outcome: dict[str, Any] = {"contract": page.name} if (page := self._settings.page) else {}
        outcome |= report.summary()
        outcome["publish_to_row_ms"] = {
            "p50": self._latency_probe.percentile(0.5),
            "p99": self._latency_probe.percentile(0.99),
        }
        outcome["first_row_s"] = round(seen - self._started, 1) if seen else None
        outcome["consumer_rss_mb"], outcome["daemon_rss_mb"] = self._memory
        outcome["ok"] = report.ok and self._ledger.published > 0  # where nothing was sent, nothing is shown
        return report, outcome

    def _look(self) -> Consumer | None:
        if failure := self._local.failure():
            raise LocalError(failure)
        consumer = ask(self._local.consumer_url)
        if consumer:
            service, daemon = consumer.memory
            self._memory = (max(self._memory[0], service or 0), max(self._memory[1], daemon or 0))
        return consumer

    def _show(self) -> Consumer | None:
        now = time.monotonic()
        sums = {
            "published": self._ledger.published,
            "alerts": self._alerts.count,
            "alerts_expected": self._ledger.alerts,
            "row_ms": self._latency_probe.percentile(0.5),
        }
        parts = line(
            now - self._publishing, self._speed.of(self._ledger.published, now), sums, consumer := self._look()
        )
        self._view.live(parts, now, lambda: self._screen.shown(now, f"{parts[0]}  {self._what}", sums, consumer))
        return consumer


def background(task: Callable[[], T]) -> "Future[T]":
    """Runs the task on a thread that does not keep the process alive."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(task())
        except BaseException as error:  # noqa: BLE001 - raised again in `result`
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def main(given: Mapping[str, str]) -> int:
    """Exit code 0 only when the audit found nothing. LocalError, InputError or UserError for what a person can cure."""
    started = time.monotonic()
    view = View(sys.stderr, every=1)
    try:
        report, outcome = _run(Settings.load(given), _options(given), view, started)
    except KeyboardInterrupt:
        view.say("stopped")
        raise
    view.say(report.as_text())
    print(json.dumps(outcome), flush=True)
    return 0 if outcome["ok"] else 1


def _run(settings: Settings, options: Options, view: View, started: float) -> tuple[AuditResult, dict[str, Any]]:
    options = replace(options, parameters=settings.parameters(options.parameters))
    settings = settings.under(f"{options.name}-simulated-")
    stack = LocalStack(options, lambda text: demo.say(text))
    demo = Demo(settings, stack, view, started)
    with stack, ExitStack() as resources:
        demo.start(resources)
        try:
            demo.publish(threading.Event())
        except KeyboardInterrupt:
            listen_again()  # the next one ends the run without an audit
        demo.drain()
        return demo.judge()


def _options(given: Mapping[str, str]) -> Options:
    options = Options.load({"ARCHIVE_MAX_SECONDS": ARCHIVE_MAX_SECONDS, **given})
    return replace(options, console=sys.stderr.isatty())


def listen_again() -> None:
    """One more SIGINT or SIGTERM raises KeyboardInterrupt; any after that does nothing."""

    def handle(signum: int, frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
