"""Alerts of the consumer: which readings raise them, when none is lost, and what may hold up the data."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from consumer.payload.contract import DEFAULT_SETTING, Contract
from consumer.payload.contracts import Contracts
from consumer.payload.decode import decode
from consumer.payload.reading import Reading
from consumer.sinks import alerts as sink
from consumer.sinks.alert_condition import Alert, Condition
from consumer.sinks.alerts import Alerts
from consumer.telemetry.metrics import Metrics, total
from tests.unit.fakes import T0, FakeDaemon, World, error, record

BELOW = Condition("humidity", "below", Decimal(35), 86_400)


def reading(value: str = "20", time_ms: int = T0, called: str = "", **measures: str) -> Reading:
    found = {name: Decimal(each) for name, each in measures.items()}
    return Reading("a", time_ms, Decimal(value), found or None, False, called)


class Functions:
    """In Lambda's place; `fail` may raise or wait before each call is accepted."""

    def __init__(self) -> None:
        self.called: list[dict[str, Any]] = []
        self._more = asyncio.Event()
        self.fail: Callable[[dict[str, Any]], Awaitable[None]] = self.accept

    async def accept(self, event: dict[str, Any]) -> None:
        """Accepts all."""

    async def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> None:
        assert (FunctionName, InvocationType) == ("alert", "Event")
        event = json.loads(Payload)
        await self.fail(event)
        self.called.append(event)
        self._more.set()

    async def until(self, count: int) -> None:
        """So many calls were accepted, and what follows from that is done."""
        while len(self.called) < count:
            self._more.clear()
            await self._more.wait()
        await asyncio.sleep(0.01)

    @property
    def values(self) -> list[str]:
        return [event["sensorstreamValue"] for event in self.called]


class Rig:
    """A sink and what it counts."""

    def __init__(self) -> None:
        self.functions, self.metrics = Functions(), Metrics()
        self.sink = Alerts(self.functions, "alert", BELOW, self.metrics)

    def add(self, *values: str) -> None:
        self.sink.add([(reading(value), T0) for value in values])

    def dropped(self, reason: str) -> float:
        found = self.metrics.registry.get_sample_value("sensorstream_alerts_dropped_total", {"reason": reason})
        return found or 0.0


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "PAUSE", 0.0)
    monkeypatch.setattr(sink, "delay", lambda attempt: 0.001)


# ---- the condition --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("condition", "value", "raised"),
    [
        (BELOW, "34.99999999999999999999999999999999999999", True),
        (BELOW, "35", False),
        (Condition("humidity", "above", Decimal(35), 0), "35", False),
        (Condition("humidity", "above", Decimal(35), 0), "35.00000000000000000000000000000000000001", True),
        (Condition("temp", "below", Decimal("-1.5"), 0), "-1.6", True),
    ],
)
def test_values_are_compared_with_every_digit(condition: Condition, value: str, raised: bool) -> None:
    found = condition.alert(reading(value), T0)
    assert (found is not None) == raised
    assert found is None or found.sensorstreamValue == value


def test_a_field_that_is_a_measure_is_looked_for_among_the_measures_only() -> None:
    condition = Condition("battery", "below", Decimal(10), 0)
    assert condition.alert(reading("3", called="humidity"), T0) is None
    assert condition.alert(reading("50", battery="9.5"), T0) == Alert("a", T0, "9.5", T0)


@pytest.mark.parametrize(
    ("field", "payload", "raised"),
    [
        ("humidity", {"name": "a", "humidity": 20, "timeStampEpoch": T0}, ["a"]),
        ("humidity", {"sensorid": "a", "value": 20, "timestamp": T0}, ["a"]),  # just a value
        ("humidity", {"id": "a", "t": T0, "h": {"humidity": 20}}, []),  # it is called h.humidity
        ("h.humidity", {"id": "a", "t": T0, "h": {"humidity": 20}}, ["a"]),
        ("value", {"id": "a", "t": T0, "h": {"humidity": 20}}, ["a"]),
        ("temp", {"id": "a", "t": T0, "h": {"humidity": 20}, "T": 3}, ["a"]),
        ("temp", {"id": "a", "t": T0, "h": {"humidity": 20}}, []),
        ("temperature", {"dev": "a", "temperature": 3, "pressure": 9, "t": T0}, ["a/temperature"]),
    ],
)
def test_a_field_is_what_the_contract_calls_it(field: str, payload: dict[str, Any], raised: list[str]) -> None:
    climate = Contract(device="id", time="t", value="h.humidity", measures={"temp": "T"})
    series = Contract(device="dev", time="t", sensors=["temperature", "pressure"])
    contracts = Contracts((*DEFAULT_SETTING, climate, series))
    readings = decode(json.dumps(payload).encode(), contracts, "key", T0).readings
    assert readings
    condition = Condition(field, "below", Decimal(35), 0)
    assert [found.sensorstreamDevice for each in readings if (found := condition.alert(each, T0))] == raised


@pytest.mark.parametrize(("age_ms", "raised"), [(86_400_000, True), (86_400_001, False), (-(10**9), True)])
def test_a_reading_that_was_old_when_it_arrived_raises_none(age_ms: int, raised: bool) -> None:
    assert (BELOW.alert(reading(time_ms=T0 - age_ms), T0) is not None) == raised
    assert BELOW.alert(reading(time_ms=T0 - age_ms), None) is not None, "where the arrival is not known"


def test_the_event_is_what_the_function_reads() -> None:
    event = json.loads(msgspec.json.encode(BELOW.alert(reading("20.10"), T0 + 5)))
    assert event == {
        "sensorstreamDevice": "a",
        "sensorstreamTime": T0,
        "sensorstreamValue": "20.10",
        "sensorstreamArrival": T0 + 5,
    }


# ---- the sink -------------------------------------------------------------------------------------------------------
async def test_each_alert_calls_the_function_and_settles() -> None:
    rig = Rig()
    rig.add("20", "50", "21")
    running = asyncio.create_task(rig.sink.run())
    await rig.sink.settle()
    assert sorted(rig.functions.values) == ["20", "21"]
    assert (total(rig.metrics.alerts_raised), total(rig.metrics.alerts_sent)) == (2, 2)
    running.cancel()


async def test_a_call_that_fails_is_made_again_until_it_is_accepted() -> None:
    rig, tries = Rig(), 0

    async def fail(event: dict[str, Any]) -> None:
        nonlocal tries
        tries += 1
        if tries <= 3:
            raise error("ResourceNotFoundException")

    rig.functions.fail = fail
    rig.add("20")
    running = asyncio.create_task(rig.sink.run())
    await rig.sink.settle()
    assert (rig.functions.values, tries) == (["20"], 4)
    assert total(rig.metrics.alert_errors) == 3
    running.cancel()


async def test_settling_waits_for_the_oldest_also_when_later_ones_were_accepted() -> None:
    rig, opened = Rig(), asyncio.Event()

    async def fail(event: dict[str, Any]) -> None:
        if event["sensorstreamValue"] == "1" and not opened.is_set():
            raise error("ThrottlingException")

    rig.functions.fail = fail
    rig.add("1")
    settling = asyncio.create_task(rig.sink.settle())
    await asyncio.sleep(0)
    rig.add("2", "3")
    running = asyncio.create_task(rig.sink.run())
    await rig.functions.until(2)
    assert not settling.done()
    opened.set()
    await settling
    assert sorted(rig.functions.values) == ["1", "2", "3"]
    running.cancel()


async def test_a_function_that_cannot_be_called_holds_up_one_checkpoint_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sink, "WAIT", 0.05)
    rig, down = Rig(), True

    async def fail(event: dict[str, Any]) -> None:
        if down:
            raise error("AccessDeniedException")

    rig.functions.fail = fail
    running = asyncio.create_task(rig.sink.run())
    loop = asyncio.get_running_loop()
    times: list[float] = []
    for value in ("1", "2", "3"):
        rig.add(value)
        started = loop.time()
        await rig.sink.settle()
        times.append(loop.time() - started)
    assert times[0] >= 0.05 > times[1] + times[2]
    down = False
    await rig.functions.until(3)
    assert sorted(rig.functions.values) == ["1", "2", "3"], "all are sent when it can be called again"
    rig.add("4")
    await rig.sink.settle()
    assert rig.functions.values[-1] == "4", "and checkpoints wait again"
    running.cancel()


async def test_what_does_not_fit_into_memory_is_dropped_from_the_old_end_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sink, "LIMIT", 3)
    rig = Rig()
    rig.add("1", "2")
    rig.add("3", "4", "5")
    assert (rig.sink.waiting, rig.dropped("full")) == (3, 2)
    await rig.sink.flush()
    assert sorted(rig.functions.values) == ["3", "4", "5"]


async def test_an_event_that_lambda_refuses_for_ever_is_dropped_and_counted() -> None:
    rig = Rig()

    async def fail(event: dict[str, Any]) -> None:
        if event["sensorstreamValue"] == "1":
            raise error("RequestTooLargeException")

    rig.functions.fail = fail
    rig.add("1", "2")
    await rig.sink.flush()
    assert (rig.functions.values, rig.dropped("refused"), rig.sink.waiting) == (["2"], 1, 0)


async def test_a_cancelled_round_loses_nothing() -> None:
    rig = Rig()
    blocked = asyncio.Event()

    async def fail(event: dict[str, Any]) -> None:
        await blocked.wait()

    rig.functions.fail = fail
    rig.add("1", "2")
    running = asyncio.create_task(rig.sink.run())
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert rig.sink.waiting == 2
    blocked.set()
    await rig.sink.flush()
    assert sorted(rig.functions.values) == ["1", "2"]


async def test_what_is_left_at_the_end_is_counted_as_lost() -> None:
    rig = Rig()

    async def fail(event: dict[str, Any]) -> None:
        raise error("ServiceUnavailableException")

    rig.functions.fail = fail
    rig.add("1", "2")
    await rig.sink.flush(0.02)
    assert (rig.sink.waiting, rig.dropped("end")) == (0, 2)


async def test_no_more_calls_are_under_way_than_the_bound() -> None:
    rig, under_way, most = Rig(), 0, 0

    async def fail(event: dict[str, Any]) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1

    rig.functions.fail = fail
    rig.add(*["1"] * 95)
    await rig.sink.flush()
    assert (len(rig.functions.called), most) == (95, sink.AT_ONCE)


# ---- in a shard ------------------------------------------------------------------------------------------------------
def payload(*humidity: float) -> bytes:
    found = [{"name": "a", "humidity": each, "timeStampEpoch": T0 + i} for i, each in enumerate(humidity)]
    return json.dumps(found).encode()


async def test_a_checkpoint_waits_for_the_alerts_of_its_records_and_the_rows_are_there_before() -> None:
    rig, world = Rig(), World()
    order: list[tuple[str, int, int]] = []
    world.alerts = rig.sink

    async def fail(event: dict[str, Any]) -> None:
        order.append(("alert", len(world.dynamodb.rows), len(world.s3.objects)))

    rig.functions.fail = fail
    running = asyncio.create_task(rig.sink.run())
    async with FakeDaemon(world) as daemon:
        await daemon.start()
        await daemon.deliver(
            [record(1, payload(20, 50)), record(2, payload(21)), record(3, b"no"), record(4, payload(22))]
        )
        assert daemon.checkpoints
    assert [kind for kind, *_ in order] == ["alert"] * 3
    assert {objects for _, _, objects in order} == {0}, "before the object, and so before the checkpoint"
    assert min(rows for _, rows, _ in order) > 0
    assert sorted(rig.functions.values) == ["20", "21", "22"]
    running.cancel()


async def test_records_without_a_checkpoint_raise_their_alerts_again() -> None:
    """A crash after the alerts and before the checkpoint."""
    rig, world = Rig(), World()
    world.alerts = rig.sink
    running = asyncio.create_task(rig.sink.run())
    for _ in range(2):
        async with FakeDaemon(world) as daemon:
            await daemon.start()
            await daemon.deliver([record(1, payload(20)), record(2, payload(21))])
    await rig.sink.settle()
    assert sorted(rig.functions.values) == ["20", "20", "21", "21"]
    running.cancel()
