"""Faults of the services that the consumer writes to and reads from, made by the proxy."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from producer.fleet.order import Mix
from producer.fleet.simulate import Workload
from tests.faults import http_faults as faults
from tests.faults.bench import Bench, NotHeld, Setup
from tests.faults.case import IN_PLACE, Case, Injection
from tests.faults.h2 import THROTTLED
from tests.faults.http_faults import names_table, share, to
from tests.faults.proxy import SERVICES, Fault

OUTAGE = float(os.environ.get("OUTAGE") or 600)
"""Seconds that the table is gone; shorter for a first look."""


def proxied(make: Callable[[Bench, random.Random], Fault]) -> Injection:
    """A fault of the proxy as a case's fault."""

    def inject(bench: Bench) -> AbstractContextManager[None]:
        return bench.proxy.fault(make(bench, bench.rng))

    return inject


def unreachable(*services: str) -> Injection:
    return lambda bench: bench.proxy.down(*services)


def cut_answers(bench: Bench, rng: random.Random) -> Fault:
    table = names_table(bench.stack.table)
    return faults.answer_cut(share(lambda request: table(request) or request.service == "s3", 0.3, rng))


@contextmanager
def kinesis_throttled(bench: Bench) -> Iterator[None]:
    with bench.proxy.shaping.refuse(THROTTLED, share=0.9):
        yield


def kinesis_was_throttled(bench: Bench) -> None:
    if not bench.proxy.shaping.refused:
        raise NotHeld("no request was throttled")


@contextmanager
def alert_function_fails(bench: Bench) -> Iterator[None]:
    """Its topic is named wrongly, so that each call ends in an error."""
    functions = bench.client("lambda")
    name = bench.local.outputs["AlertFunction"]
    right = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    wrong = {key: value + "-gone" if value.startswith("arn:") else value for key, value in right.items()}
    assert wrong != right
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": wrong})
    yield
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": right})


def cloudwatch_tried(bench: Bench) -> None:
    if bench.worker.metric("sensorstream_cloudwatch_errors_total") < 1:
        raise NotHeld("nothing was sent to CloudWatch while it was down")


def alerts_kept(bench: Bench) -> None:
    """Those of the outage were kept and sent; the audit has counted them at a subscriber."""
    worker = bench.worker
    if worker.metric("sensorstream_alert_errors_total") < 1:
        raise NotHeld("no alert was raised while Lambda was down")
    if dropped := worker.metric("sensorstream_alerts_dropped_total"):
        raise NotHeld(f"{dropped:g} alerts were dropped")


CASES = (
    Case(
        "table-throttled",
        proxied(
            lambda bench, rng: faults.refused(
                share(names_table(bench.stack.table), 0.9, rng), 400, faults.TABLE_THROTTLE
            )
        ),
        seconds=60,
        drain=120,
        mixable=True,
    ),
    Case(
        "table-unprocessed",
        proxied(lambda bench, rng: faults.unprocessed(bench.stack.table, 0.5, rng)),
        seconds=30,
        mixable=True,
    ),
    Case(
        "table-500",
        proxied(lambda bench, _: faults.refused(names_table(bench.stack.table), 500, "InternalServerError")),
        seconds=30,
        mixable=True,
    ),
    Case(
        # What was asked for before the end is answered 20 s later all the same.
        "table-slow",
        proxied(lambda bench, _: faults.slow(names_table(bench.stack.table), 20)),
        seconds=60,
        within=20 + IN_PLACE,
        mixable=True,
    ),
    Case(
        "table-gone",
        proxied(lambda bench, _: faults.refused(names_table(bench.stack.table), 400, "ResourceNotFoundException")),
        seconds=OUTAGE,
        plan=Workload(devices=40, rate=400, via="kinesis", mix=Mix(malformed=0.01)),
        drain=600,
        steady=True,
    ),
    Case("reset-mid-answer", proxied(cut_answers), seconds=30, mixable=True),
    Case("s3-slowdown", proxied(lambda *_: faults.refused(to("s3"), 503, "SlowDown")), seconds=30, mixable=True),
    Case(
        "s3-answer-lost",
        proxied(lambda _, rng: faults.answer_lost(share(to("s3", "PUT"), 0.5, rng))),
        seconds=30,
        mixable=True,
    ),
    Case("cloudwatch-down", unreachable("cloudwatch"), seconds=65, check=cloudwatch_tried),
    Case("kinesis-throttled", kinesis_throttled, seconds=30, check=kinesis_was_throttled, mixable=True, steady=True),
    Case("endpoint-gone", unreachable(*SERVICES), seconds=60, drain=120, steady=True),
    Case(
        "lambda-down",
        unreachable("lambda"),
        seconds=150,
        plan=Workload(devices=40, rate=320, via="kinesis", mix=Mix(malformed=0.01, batch=2)),
        setup=Setup(alerts=True),
        check=alerts_kept,
        drain=120,
        steady=True,
    ),
    Case(
        "alert-function-fails",
        alert_function_fails,
        seconds=20,
        plan=Workload(devices=40, rate=320, via="mqtt"),
        excused=("alert_missing",),
    ),
)
