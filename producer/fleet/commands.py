"""The commands of a fleet: devices made, publishing, and taken away again."""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click import Option

from producer.aws import session
from producer.ending import fail, reported
from producer.fleet.options import BASIC_INGEST, PREFIX, SIMULATOR, TEMPORARY, chosen_workload
from producer.options import JSON, LEDGER, STACK, Whole
from producer.reporting import told

if TYPE_CHECKING:
    from producer.aws.stack import Stack
    from producer.fleet.ledger import Ledger
    from producer.fleet.simulate import Workload
    from producer.terminal import StatusLine

DEVICES = Option(["--devices"], type=Whole(1), required=True, metavar="N", help="how many devices")


@click.command(params=[DEVICES, PREFIX, JSON, STACK])
def provision(name: str, devices: int, prefix: str, as_json: bool) -> int:
    """Make things, certificates and keys; keep those that are there."""
    from producer.aws.stack import devices_dir
    from producer.fleet import provision as fleet
    from producer.fleet.credentials import names
    from producer.terminal import StatusLine

    stack, folder = session.stack(name), devices_dir()
    with StatusLine(quiet=True) as line:
        fleet.provision(stack.session, names(prefix, devices), stack.device_policy, folder, _progress(line, devices))
    text = f"{devices} devices are ready; their certificates and keys are in {folder}"
    return told({"devices": devices, "folder": str(folder)} if as_json else text)


@click.command(params=[DEVICES, PREFIX, JSON, STACK])
def deprovision(name: str, devices: int, prefix: str, as_json: bool) -> int:
    """Take things, certificates, keys and the audit's queue away."""
    from producer.aws.stack import devices_dir
    from producer.fleet import provision as fleet
    from producer.fleet.credentials import names
    from producer.ops.alerts import unsubscribe

    stack = session.stack(name)
    count = fleet.deprovision(stack.session, names(prefix, devices), devices_dir(), stack.device_policy)
    unsubscribe(stack)
    return told({"devices": count} if as_json else f"{count} devices and the audit's queue are gone")


@click.command(params=[*SIMULATOR, BASIC_INGEST, TEMPORARY, LEDGER, JSON, STACK])
def simulate(name: str, temporary: bool, ledger: Path | None, as_json: bool, **chosen: Any) -> int:
    """Publish readings of a fleet until Ctrl-C."""
    from producer.aws.stack import devices_dir
    from producer.fleet.credentials import names
    from producer.fleet.temporary import TemporaryDevices
    from producer.terminal import StatusLine

    workload = chosen_workload(chosen)
    if temporary and workload.via == "kinesis":
        raise click.UsageError("--provision goes with --via mqtt only; without IoT Core devices need no registration")
    stack, stop = session.stack(name), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if not temporary:
        return _publish(stack, workload, stop, ledger, as_json)
    workload.check()  # before anything is made
    devices = TemporaryDevices(stack.session, stack.device_policy, devices_dir())

    def made_and_published() -> int:
        with StatusLine() as line:
            devices.make(names(workload.prefix, workload.devices), stop, _progress(line, workload.devices))
        return 0 if stop.is_set() else _publish(stack, workload, stop, ledger, as_json)

    try:
        code = reported(made_and_published)
    finally:
        if left := devices.take_away():
            fail(left, 1)
    return 1 if left else code


@click.command(params=[click.Argument(["filters"], metavar="[FILTER]...", nargs=-1), JSON, STACK])
def watch(name: str, filters: tuple[str, ...], as_json: bool) -> int:
    """Show messages as devices publish them, until Ctrl-C.

    FILTER is one of MQTT, such as 'device/#'; without one, all topics of the deployment's devices.
    """
    from producer.fleet import watch as wire

    stack, stop = session.stack(name), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    shown = wire.as_json if as_json else wire.as_text
    left = wire.watch(stack, [*filters] or wire.filters(stack), lambda *heard: click.echo(shown(*heard)), stop)
    return fail(left, 1) if left else 0


def _progress(line: "StatusLine", devices: int) -> Callable[[int], None]:
    return lambda count: line.say(lambda: f"{count} of {devices} devices are ready")


def _publish(stack: "Stack", workload: "Workload", stop: threading.Event, path: Path | None, as_json: bool) -> int:
    from producer.fleet.ledger import Ledger
    from producer.fleet.simulate import Simulator
    from producer.ops.alerts import Subscriber, alerts_file
    from producer.terminal import StatusLine

    with Ledger(path) as ledger, StatusLine(quiet=True) as line:
        if path and (workload.via == "mqtt" or stack.alerts.source == "consumer"):
            Subscriber.subscribe(stack, alerts_file(path))  # before the first alert; the audit empties the queue
        simulator = Simulator(stack, workload, ledger)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(simulator.run, stop)
            while not running.done():
                with suppress(TimeoutError):
                    running.result(timeout=1)
                line.say(lambda: _sums(ledger))
        running.result()
    sums = {"published": ledger.published, "readings": ledger.readings, "uncertain": ledger.uncertain}
    return told(sums if as_json else _sums(ledger), not ledger.uncertain)


def _sums(ledger: "Ledger") -> str:
    uncertain = f", {ledger.uncertain} uncertain" if ledger.uncertain else ""
    return f"{ledger.published} messages acknowledged with {ledger.readings} readings{uncertain}"


COMMANDS = (provision, deprovision, simulate, watch)
