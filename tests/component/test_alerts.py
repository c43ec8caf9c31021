"""Alerts of the consumer through a real API: the service's own client, Lambda's asynchronous call, the topic."""

import asyncio
import io
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from functools import partial

import pytest

from consumer.payload.reading import Reading
from consumer.sinks.alert_condition import Condition
from consumer.sinks.alerts import WAIT, Alerts
from consumer.telemetry.metrics import Metrics, total
from infra.local.emulator import HOST
from tests.component.test_sinks import T0, clients
from tests.component.things import subscribed
from tests.conftest import Deployed
from tests.faults.proxy import Proxy

BELOW = Condition("humidity", "below", Decimal(35), 86_400)
SECONDS = 30


class Running:
    """A sink that runs, and what it counts."""

    def __init__(self, sink: Alerts, metrics: Metrics) -> None:
        self.sink, self.metrics = sink, metrics

    async def add(self, *values: str) -> None:
        """Returns when Lambda has accepted their alerts, or need not be waited for."""
        self.sink.add([(Reading("soil", T0 + i, Decimal(value), None), T0) for i, value in enumerate(values)])
        await self.sink.settle()


async def running(stack: Deployed, function: str, **settings: str) -> AsyncIterator[Running]:
    metrics = Metrics()
    async with clients(stack, ALERT_FUNCTION=function, **settings) as made:
        found = Running(Alerts(made.functions, function, BELOW, metrics), metrics)
        task = asyncio.create_task(found.sink.run())
        yield found
        task.cancel()


@pytest.fixture
async def alerts(stack: Deployed) -> AsyncIterator[Running]:
    async for found in running(stack, stack.outputs["AlertFunction"]):
        yield found


async def test_the_function_reports_the_readings_of_the_consumer_in_the_words_of_the_rule(
    stack: Deployed, alerts: Running
) -> None:
    with subscribed(stack) as queue:
        await alerts.add("34.10", "35", "20")
        reported = await asyncio.to_thread(queue.receive, 2)
    assert sorted(each["Message"] for each in reported) == [
        "Humidity 20 under threshold for device name soil",
        "Humidity 34.10 under threshold for device name soil",
    ]
    assert {each["Subject"] for each in reported} == {"Attention:Humidity Under Threshold"}
    times = {each["MessageAttributes"]["value"]["Value"]: each["MessageAttributes"]["time"] for each in reported}
    assert times["20"]["Value"] == str(T0 + 2)
    assert total(alerts.metrics.alerts_sent) == total(alerts.metrics.alerts_raised) == 2


async def test_an_outage_of_lambda_holds_up_one_checkpoint_and_loses_no_alert(stack: Deployed) -> None:
    with Proxy(HOST, stack.emulator.aws_port) as proxy, subscribed(stack) as queue:
        function, way = stack.outputs["AlertFunction"], {"AWS_ENDPOINT_URL_LAMBDA": proxy.urls["lambda"]}
        async for sink in running(stack, function, **way):
            await sink.add("1")
            times = []
            with proxy.down("lambda"):
                for value in ("2", "3", "4"):
                    started = time.monotonic()
                    await sink.add(value)
                    times.append(time.monotonic() - started)
            assert WAIT <= times[0] < WAIT + 2
            assert max(times[1:]) < 0.5
            await asyncio.to_thread(eventually, partial(sent, sink, 4))
            reported = await asyncio.to_thread(queue.receive, 4)
            assert {each["MessageAttributes"]["value"]["Value"] for each in reported} == {"1", "2", "3", "4"}
            assert total(sink.metrics.alerts_dropped) == 0


async def test_a_function_that_is_not_there_is_called_until_it_is(stack: Deployed) -> None:
    """As during a deployment that replaces it."""
    functions = stack.session.client("lambda")
    known = functions.get_function(FunctionName=stack.outputs["AlertFunction"])["Configuration"]
    async for late in running(stack, "late-function"):
        late.sink.add([(Reading("soil", T0, Decimal(20), None), T0)])
        await asyncio.to_thread(eventually, partial(called, late))
        assert (late.sink.waiting, total(late.metrics.alerts_sent)) == (1, 0)
        functions.create_function(
            FunctionName="late-function",
            Runtime=known["Runtime"],
            Role=known["Role"],
            Handler="late.handle",
            Code={"ZipFile": package(b"def handle(event, context):\n    return None\n")},
        )
        await late.sink.settle()
        assert (late.sink.waiting, total(late.metrics.alerts_sent)) == (0, 1)
    functions.delete_function(FunctionName="late-function")


def sent(sink: Running, count: int) -> bool:
    return total(sink.metrics.alerts_sent) >= count


def called(late: Running) -> bool:
    return total(late.metrics.alert_errors) > 0


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def package(program: bytes) -> bytes:
    """A function's code as Lambda takes it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("late.py", program)
    return file.getvalue()
