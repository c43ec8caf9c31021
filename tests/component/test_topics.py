"""Fleets with topics of their own: rules, partition key and device policy follow from the parameter TopicPattern."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.deploy.deployment import Deployment
from infra.local.emulator import Emulator
from producer.aws.errors import UserError
from producer.aws.stack import Stack
from producer.fleet.ledger import Ledger
from producer.fleet.provision import provision
from producer.fleet.simulate import Simulator, Workload
from tests.component.streams import wait_for
from tests.component.things import Device, certificate, connected, subscribed
from tests.conftest import Deployed

TOPICS = "zigbee2mqtt/{device},site/a/{device}/up"
ALERTS = {
    "AlertField": "soil.temperature",
    "AlertWhen": "above",
    "AlertThreshold": "30.5",
    "AlertUnit": "C",
    "AlertTimeField": "at",
}


@pytest.fixture(scope="module")
def other(emulator: Emulator) -> Deployed:
    """A second deployment in the region, with two topics."""
    parameters = {"ShardCount": "1", "TopicPattern": TOPICS, "BasicIngest": "true"} | ALERTS
    outputs = Deployment(emulator.session(), "other-fleet", parameters, poll_seconds=0.1).apply_data()
    return Deployed("other-fleet", outputs, emulator.session(), emulator, parameters, [])


@pytest.fixture
def name() -> str:
    return f"soil-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def device(other: Deployed, iot_ca: Path, name: str) -> Iterator[Device]:
    with connected(other, iot_ca, certificate(other, name), name) as found:
        yield found


def arrived(stack: Deployed, name: str, count: int) -> list[bytes]:
    return [each["Data"] for each in wait_for(stack.session, stack.outputs["StreamName"], name, count)]


def test_both_topics_reach_the_stream_under_the_devices_name(other: Deployed, device: Device, name: str) -> None:
    device.publish_on(f"zigbee2mqtt/{name}", b'{"n":1}')
    device.publish_on(f"site/a/{name}/up", b'{"n":2}')
    assert sorted(arrived(other, name, 2)) == [b'{"n":1}', b'{"n":2}']


@pytest.mark.parametrize(
    "topic", ["zigbee2mqtt/{name}-other", "zigbee2mqtt/{name}/set", "site/b/{name}/up", "device/{name}/devicePayload"]
)
def test_a_device_may_publish_on_its_own_topics_only(device: Device, name: str, topic: str) -> None:
    with pytest.raises(PermissionError, match="NOT_AUTHORIZED"):
        device.publish_on(topic.format(name=name), b"1")


def test_two_deployments_in_one_region_are_kept_apart(
    stack: Deployed, other: Deployed, device: Device, iot_ca: Path, name: str
) -> None:
    """Both rules and certificates are of one account; a message of one deployment is in no other's stream."""
    own = f"{name}-own"
    with connected(stack, iot_ca, certificate(stack, own), own) as first:
        device.publish_on(f"zigbee2mqtt/{name}", b"1")
        first.publish(own, b"2")
        with pytest.raises(PermissionError):
            first.publish_on(f"zigbee2mqtt/{own}", b"3")
    assert (arrived(other, name, 1), arrived(stack, own, 1)) == ([b"1"], [b"2"])
    assert (arrived(stack, name, 0), arrived(other, own, 0)) == ([], [])


def test_a_device_may_publish_to_the_readings_rule_itself(
    stack: Deployed, other: Deployed, device: Device, name: str
) -> None:
    """Basic Ingest: the rule's partition key goes by the topic behind its name, and no other rule hears of it."""
    rule = other.outputs["ReadingsRule"]
    with subscribed(other) as queue:
        device.publish_on(f"$aws/rules/{rule}/zigbee2mqtt/{name}", b'{"soil":{"temperature":99}}')
        assert arrived(other, name, 1) == [b'{"soil":{"temperature":99}}']
        device.publish_on(f"zigbee2mqtt/{name}", b'{"soil":{"temperature":98}}')
        assert [each["MessageAttributes"]["value"]["Value"] for each in queue.receive(1)] == ["98"]
    for topic in (f"{rule}/zigbee2mqtt/other", rule, f"{stack.outputs['ReadingsRule']}/zigbee2mqtt/{name}"):
        with pytest.raises(PermissionError, match="NOT_AUTHORIZED"):
            device.publish_on(f"$aws/rules/{topic}", b"1")


def test_basic_ingest_is_off_unless_asked_for(stack: Deployed, iot_ca: Path, name: str) -> None:
    rule = stack.outputs["ReadingsRule"]
    with connected(stack, iot_ca, certificate(stack, name), name) as plain, pytest.raises(PermissionError):
        plain.publish_on(f"$aws/rules/{rule}/device/{name}/devicePayload", b"1")


def test_the_commands_know_the_topics(other: Deployed) -> None:
    found = Stack.load(other.session, other.name)
    assert [str(each) for each in found.topics] == TOPICS.split(",")


def test_a_deployment_takes_other_topics_and_lets_the_old_go(emulator: Emulator) -> None:
    def rules(topics: str | None) -> list[tuple[str, str]]:
        given = {"ShardCount": "1"} | ({"TopicPattern": topics} if topics else {})
        outputs = Deployment(emulator.session(), "moving-fleet", given, poll_seconds=0.1).apply_data()
        iot = emulator.session().client("iot")
        names = [r["ruleName"] for r in iot.list_topic_rules()["rules"] if r["ruleName"].startswith("moving")]
        assert outputs["ReadingsRule"] in names
        found = [iot.get_topic_rule(ruleName=each)["rule"] for each in names]
        return sorted(
            (r["sql"].split("'")[1], r["actions"][0]["kinesis"]["partitionKey"])
            for r in found
            if "kinesis" in r["actions"][0]
        )

    assert rules(None) == [("device/+/devicePayload", "${topic(2)}")]
    assert rules("a/b/{device},{device}/c") == [("+/c", "${topic(1)}"), ("a/b/+", "${topic(3)}")]
    assert rules(None) == [("+/c", "${topic(1)}"), ("a/b/+", "${topic(3)}")], "what is not given stays"
    assert rules("x/{device}") == [("x/+", "${topic(2)}")]


def test_alerts_go_by_the_field_the_direction_and_the_age_that_were_chosen(
    other: Deployed, device: Device, name: str
) -> None:
    """A nested field; a text that holds a number; the device named by its topic; a reading of last month not at all."""
    now = time.time_ns() // 1_000_000
    readings = [("30.5", now), (31, now), ("41.25", now), (50, now - 30 * 86_400_000), ([], now)]
    with subscribed(other) as queue:
        for value, at in readings:
            device.publish_on(f"zigbee2mqtt/{name}", json.dumps({"soil": {"temperature": value}, "at": at}).encode())
        device.publish_on(f"site/a/{name}/up", b'{"soil":{"temperature":99}}')
        told = queue.receive(3)
    assert {t["Subject"] for t in told} == {"Attention:soil.temperature Over Threshold"}
    assert sorted(t["Message"] for t in told) == [
        f"soil.temperature {value} C over threshold for device name {name}" for value in ("31", "41.25", "99")
    ]
    times = {t["MessageAttributes"]["value"]["Value"]: t["MessageAttributes"].get("time") for t in told}
    assert (times["31"], times["99"]) == ({"Type": "String", "Value": str(now)}, None)
    assert undelivered(other) == 0


def undelivered(stack: Deployed) -> int:
    """Messages that the function or a rule gave up."""
    sqs = stack.session.client("sqs")
    queue = sqs.get_queue_url(QueueName=stack.outputs["UndeliveredQueue"])["QueueUrl"]
    attribute = "ApproximateNumberOfMessages"
    return int(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[attribute])["Attributes"][attribute])


@pytest.mark.parametrize("basic_ingest", [False, True])
def test_the_simulator_publishes_on_the_first_topic_or_to_its_rule(
    other: Deployed, iot_ca: Path, tmp_path: Path, basic_ingest: bool
) -> None:
    known = Stack.load(other.session, other.name)
    prefix, folder = f"sim-{uuid.uuid4().hex[:6]}-", tmp_path / "devices"
    provision(other.session, [f"{prefix}1"], known.device_policy, folder)
    plan = Workload(devices=1, rate=20, seconds=1, prefix=prefix, basic_ingest=basic_ingest)
    environ = {"DEVICES_DIR": str(folder), "IOT_CA_FILE": str(iot_ca)}
    with Ledger(tmp_path / "ledger") as ledger:
        Simulator(known, plan, ledger, environ=environ).run(threading.Event())
    assert ledger.uncertain == 0
    assert len(arrived(other, f"{prefix}1", ledger.published)) == ledger.published


def test_basic_ingest_with_a_deployment_that_does_not_allow_it_is_refused(stack: Deployed, tmp_path: Path) -> None:
    known = Stack.load(stack.session, stack.name)
    provision(stack.session, ["refused-1"], known.device_policy, tmp_path)
    plan = Workload(devices=1, rate=1, prefix="refused-", basic_ingest=True)
    with Ledger(None) as ledger, pytest.raises(UserError, match="PARAMS=BasicIngest=true"):
        Simulator(known, plan, ledger, environ={"DEVICES_DIR": str(tmp_path)})
