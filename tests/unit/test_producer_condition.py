"""Which alerts a message must raise: by the rule, and by the consumer."""

import json
from decimal import Decimal

import pytest

from infra.deploy.templates import DATA, parameters
from producer.fleet.condition import NAMES, Condition
from producer.fleet.message import Measurement, batch, single

NOW = 1_795_345_942_830


def low(age_s: int = 0, value: str = "20") -> Measurement:
    return Measurement("a", NOW - age_s * 1000, value)


def test_the_outputs_are_read() -> None:
    declared = parameters(DATA)
    default = {f"Alert{name}": str(declared[f"Alert{name}"]["Default"]) for name in NAMES}
    default["AlertThreshold"] = str(declared["HumidityThreshold"]["Default"])  # where the other is empty
    assert Condition.of(default) == Condition()
    other = dict(zip(default, ("consumer", "soil.t", "above", "-1.5", "0"), strict=True))
    assert Condition.of(other) == ("consumer", "soil.t", "above", Decimal("-1.5"), 0)


def test_the_rule_sees_single_messages_that_come_through_it() -> None:
    condition = Condition()
    assert condition.expected(single(low(), 1, "humidity"), NOW, through_rules=True) == [("a", "20")]
    assert condition.expected(single(low(), 1, "humidity"), NOW, through_rules=False) == []
    assert condition.expected(single(low(), 1, "sensorid"), NOW, through_rules=True) == []
    assert condition.expected(batch([low(), low(1)], 1, "humidity", lines=False), NOW, through_rules=True) == []


@pytest.mark.parametrize("shape", ["humidity", "sensorid"])
@pytest.mark.parametrize("through_rules", [True, False])
def test_the_consumer_sees_every_reading_whatever_its_form_and_way_in(shape: str, through_rules: bool) -> None:
    condition = Condition("consumer")
    readings = [low(value="34.9"), low(1, "35"), low(2, "7")]
    message = batch(readings, 1, shape, lines=True)  # type: ignore[arg-type]
    assert condition.expected(message, NOW, through_rules=through_rules) == [("a", "34.9"), ("a", "7")]


@pytest.mark.parametrize("source", ["rule", "consumer"])
def test_neither_tells_of_a_reading_that_was_old_when_it_came(source: str) -> None:
    condition = Condition(source)
    assert condition.expected(single(low(86_401), 1, "humidity"), NOW, through_rules=True) == []
    assert condition.expected(single(low(86_400), 1, "humidity"), NOW, through_rules=True) == [("a", "20")]
    assert condition._replace(max_age=0).expected(single(low(10**6), 1, "humidity"), NOW, through_rules=True)


@pytest.mark.parametrize(
    ("payload", "alert"),
    [
        ({"soil": {"t": 31}}, ("topic", "31")),
        ({"soil": {"t": "31"}, "name": "n"}, ("n", "31")),
        ({"soil": {"t": 30}}, None),
        ({"soil": 31}, None),
        ({"soil.t": 31}, None),
        ({"soil": {"t": None}}, None),
    ],
)
def test_a_nested_field_is_found_as_iot_sql_finds_it(payload: object, alert: tuple[str, str] | None) -> None:
    condition = Condition("rule", "soil.t", "above", Decimal(30))
    assert condition.of_payload(json.dumps(payload).encode(), "topic") == alert
