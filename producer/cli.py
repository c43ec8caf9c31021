"""The command line: python -m producer <command>.

Exit codes: 0 fine, 1 something was found (by the audit or the doctor, or unreadable in the archive), messages are
uncertain or left, or devices could not be taken away, 2 a user error, 3 the audit had nothing to compare.
"""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice

import boto3

from consumer import misspelt
from producer import options
from producer.aws.errors import UserError, told
from producer.aws.stack import Stack, devices_dir
from producer.fleet.ledger import Ledger
from producer.fleet.provision import deprovision, names, provision
from producer.fleet.simulate import Plan, Simulator
from producer.fleet.temporary import TemporaryDevices
from producer.ops import console, doctor, redeliver, redrive
from producer.ops.alerts import Subscriber, alerts_file, unsubscribe
from producer.ops.archive_index import Span
from producer.ops.audit import audit, audit_archive
from producer.ops.contract import OPTIONS, consumer_settings
from producer.ops.dead_letters import DeadLetters, Selection
from producer.progress import Pace, Progress

Arguments = argparse.Namespace


def main(argv: Sequence[str] | None = None) -> int:
    arguments = options.parser(COMMANDS).parse_args(argv)
    return _told(lambda: _run(arguments))


VARIABLES = ("STACK_NAME", "DEVICES_DIR", "IOT_CA_FILE", *OPTIONS, *misspelt.OF_AWS)
"""What is read from the environment; another name like one of these would silently be another stack or other rows."""


def _run(arguments: Arguments) -> int:
    if wrong := list(misspelt.faults(os.environ, VARIABLES)):
        raise UserError("; ".join(wrong))
    session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)  # which boto3 does not look at
    if arguments.run is _doctor:  # a stack that is not there is its finding
        return _examine(session, arguments)
    run: Callable[[Arguments, Stack], int] = arguments.run
    return run(arguments, Stack.load(session, arguments.stack))


def _told(command: Callable[[], int]) -> int:
    """Its exit code; what went wrong through no fault of this program is told in a line."""
    try:
        return command()
    except UserError as error:
        print(f"sensorstream: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Else the interpreter complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if (line := told(error)) is None:
            raise
        print(f"sensorstream: {line}", file=sys.stderr)
    return 2


def _doctor(arguments: Arguments, stack: Stack) -> int:
    return _examine(stack.session, arguments)


def _examine(session: boto3.Session, arguments: Arguments) -> int:
    report = doctor.examine(session, arguments.stack, arguments.probe)
    print(json.dumps(report.as_json()) if arguments.json else report.as_text())
    return 0 if report.ok else 1


def _provision(arguments: Arguments, stack: Stack) -> int:
    def progress(count: int) -> None:
        if sys.stderr.isatty():
            print(f"\rprovisioned {count} of {arguments.devices}", end="", file=sys.stderr, flush=True)

    folder = devices_dir()
    provision(stack.session, names(arguments.prefix, arguments.devices), stack.device_policy, folder, progress)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    print(f"{arguments.devices} devices are ready; their certificates and keys are in {folder}")
    return 0


def _deprovision(arguments: Arguments, stack: Stack) -> int:
    count = deprovision(stack.session, names(arguments.prefix, arguments.devices), devices_dir(), stack.device_policy)
    unsubscribe(stack)
    print(f"{count} devices and the audit's queue are gone")
    return 0


def _simulate(arguments: Arguments, stack: Stack) -> int:
    plan: Plan = options.plan(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if not arguments.provision:
        return _publish_plan(arguments, stack, plan, stop)
    plan.check()  # before anything is made
    devices = TemporaryDevices(stack.session, stack.device_policy, devices_dir())
    try:
        code = _told(lambda: _make_and_publish(arguments, stack, plan, stop, devices))
    finally:
        if left := devices.take_away():
            print(f"sensorstream: {left}", file=sys.stderr)
    return 1 if left else code


def _make_and_publish(
    arguments: Arguments, stack: Stack, plan: Plan, stop: threading.Event, devices: TemporaryDevices
) -> int:
    progress = Progress()
    devices.make(
        names(plan.prefix, plan.devices),
        stop,
        lambda count: progress.say(lambda: f"{count} of {plan.devices} devices are ready"),
    )
    progress.clear()
    return 0 if stop.is_set() else _publish_plan(arguments, stack, plan, stop)


def _publish_plan(arguments: Arguments, stack: Stack, plan: Plan, stop: threading.Event) -> int:
    with Ledger(arguments.ledger) as ledger:
        if arguments.ledger and plan.via == "mqtt":
            # Before the first alert; the audit empties the queue.
            Subscriber.subscribe(stack, alerts_file(arguments.ledger))
        simulator = Simulator(stack, plan, ledger)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(simulator.run, stop)
            while not running.done():
                with suppress(TimeoutError):
                    running.result(timeout=1)
                if sys.stderr.isatty() and not arguments.json:
                    print(f"\r\033[K{_sums(ledger)}", end="", file=sys.stderr, flush=True)
        if sys.stderr.isatty() and not arguments.json:
            print("\r\033[K", end="", file=sys.stderr)
        running.result()
    sums = {"published": ledger.published, "readings": ledger.readings, "uncertain": ledger.uncertain}
    print(json.dumps(sums) if arguments.json else _sums(ledger))
    return 1 if ledger.uncertain else 0


def _sums(ledger: Ledger) -> str:
    uncertain = f", {ledger.uncertain} uncertain" if ledger.uncertain else ""
    return f"{ledger.published} messages acknowledged with {ledger.readings} readings{uncertain}"


def _audit(arguments: Arguments, stack: Stack) -> int:
    span = options.span(arguments)
    if arguments.ledger and (span != Span() or arguments.no_stream):
        raise UserError("with --ledger the ledger says what is looked at: no --from, --to, --no-stream")
    if arguments.ledger:
        report = audit(stack, arguments.ledger, arguments.wait)
    else:
        report = audit_archive(stack, span, not arguments.no_stream, arguments.wait)
    print(json.dumps(report.as_json()) if arguments.json else report.as_text())
    return report.exit_code


def _redrive(arguments: Arguments, stack: Stack) -> int:
    if arguments.undelivered:
        return _redeliver(arguments, stack)
    selection = Selection(
        span=options.span(arguments),
        reasons=frozenset(arguments.reason or ()),
        sequence=arguments.sequence,
        readable=arguments.readable,
        fields=consumer_settings(stack, None, options.contract(arguments)).reading_fields,
    )
    if arguments.show:
        letters = DeadLetters(stack, selection)
        found = (letter for _, of_one in letters.objects() for letter in of_one)
        shown = list(islice(found, arguments.limit))
        for letter in shown:
            print(json.dumps(letter.as_json()) if arguments.json else letter.as_text())
        if not shown and not arguments.json:
            print("no dead letters")
        return 1 if letters.findings else 0
    if arguments.send:
        report = redrive.send(stack, selection, Pace(arguments.rate), arguments.again)
        print(json.dumps(report.as_json()) if arguments.json else report.as_text())
        return 0 if report.ok else 1
    summary = redrive.summary(stack, selection, arguments.by)
    print(json.dumps(summary.as_json()) if arguments.json else summary.as_text())
    return 1 if summary.findings else 0


def _redeliver(arguments: Arguments, stack: Stack) -> int:
    options.check_undelivered(arguments)
    report = redeliver.send(stack, Pace(arguments.rate)) if arguments.send else redeliver.look(stack)
    print(json.dumps(report.as_json()) if arguments.json else report.as_text())
    return 0 if report.ok else 1


def _replay(arguments: Arguments, stack: Stack) -> int:
    from producer.ops import replay  # the consumer's AWS client takes half a second to import

    span, pace = options.span(arguments), Pace(arguments.rate)
    if arguments.to_stream:
        report = replay.to_stream(stack, arguments.to_stream, span, pace)
    else:
        settings = consumer_settings(stack, arguments.to_table, options.contract(arguments))
        report = replay.to_table(stack, settings, span, pace)
    print(json.dumps(report.as_json()) if arguments.json else report.as_text())
    return 0 if report.ok else 1


def _query(arguments: Arguments, stack: Stack) -> int:
    answer = console.query(stack, arguments.sensorid, arguments.limit)
    if arguments.json:
        print(console.as_json(answer))
        return 0
    if not answer["Items"]:
        print(f"no readings of {arguments.sensorid}")
        return 0
    print("\n".join(console.table(answer["Items"])))
    return 0


def _publish(arguments: Arguments, stack: Stack) -> int:
    written = console.publish(stack, arguments.sensorid, arguments.value)
    if arguments.json:
        print(json.dumps(written))
        return 0
    for put in written:
        print(f"{put['sensorid']}  {put['timestamp']}  {put['value']}  -> {put['shard']} {put['sequenceNumber']}")
    return 0


COMMANDS: dict[str, Callable[[Arguments, Stack], int]] = {
    "provision": _provision,
    "deprovision": _deprovision,
    "simulate": _simulate,
    "audit": _audit,
    "redrive": _redrive,
    "replay": _replay,
    "query": _query,
    "publish": _publish,
    "doctor": _doctor,
}
