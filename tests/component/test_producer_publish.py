"""Devices and readings against the local stack: what was acknowledged is in the stream, once."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest

from producer.aws import put_records
from producer.aws.aggregation import hash_of, unpacked
from producer.aws.errors import UserError
from producer.aws.stack import Stack
from producer.cli import main
from producer.fleet import provision
from producer.fleet.credentials import Credentials
from producer.fleet.kinesis import KinesisTransport
from producer.fleet.ledger import Entry, Ledger, read
from producer.fleet.message import Measurement, Message, number_of, single
from producer.fleet.order import Mix
from producer.fleet.simulate import Simulator, Workload
from producer.fleet.transport import Done
from tests.component.streams import read_shard, shards
from tests.conftest import Deployed


@pytest.fixture(autouse=True)
def environment(stack: Deployed, iot_ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `.local/env` would give."""
    for name, value in stack.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("IOT_CA_FILE", str(iot_ca))
    monkeypatch.setenv("DEVICES_DIR", str(tmp_path / "devices"))


@pytest.fixture
def names(stack: Deployed) -> Stack:
    return Stack.load(stack.session, stack.name)


@pytest.fixture
def devices(names: Stack, tmp_path: Path) -> Iterator[list[Credentials]]:
    folder = tmp_path / "devices"
    yield provision.provision(names.session, ["soilSensor1", "soilSensor2"], names.device_policy, folder)
    provision.deprovision(names.session, ["soilSensor1", "soilSensor2"], folder, names.device_policy)


def stream_numbers(names: Stack) -> Counter[int]:
    """How often each message number stands in the stream."""
    found = (number_of(data) for _, record in stream_records(names) for data in unpacked(record["Data"]))
    return Counter(number for number in found if number is not None)


def stream_records(names: Stack) -> Iterator[tuple[range, Any]]:
    """All records of the stream, and the hash keys of their shard."""
    for name, shard in shards(names.session, names.stream).items():
        first, last = (int(shard["HashKeyRange"][f"{end}HashKey"]) for end in ("Starting", "Ending"))
        for record in read_shard(names.session, names.stream, name)[0]:
            yield range(first, last + 1), record


def run(names: Stack, plan: Workload, path: Path) -> list[Entry]:
    with Ledger(path) as ledger:
        Simulator(names, plan, ledger).run(threading.Event())
    return list(read(path))


@pytest.mark.usefixtures("devices")
def test_acknowledged_mqtt_publishes_are_in_the_stream_once(names: Stack, tmp_path: Path) -> None:
    mix = Mix(malformed=0.2, duplicates=0.1, disorder=0.1, late=0.1)
    entries = run(names, Workload(devices=2, rate=100, seconds=1, mix=mix), tmp_path / "ledger")
    assert len(entries) >= 100
    assert all(entry.ack for entry in entries)
    found = stream_numbers(names)
    assert [found[entry.n] for entry in entries] == [1] * len(entries)


def test_acknowledged_records_are_in_the_stream_once(names: Stack, tmp_path: Path) -> None:
    plan = Workload(devices=5, rate=3000, seconds=1, via="kinesis", mix=Mix(batch=3, lines=True))
    entries = run(names, plan, tmp_path / "ledger")
    assert len(entries) == 1000
    assert {len(entry.rows) for entry in entries} == {3}
    found = stream_numbers(names)
    assert [found[entry.n] for entry in entries] == [1] * len(entries)


def test_aggregates_hold_what_was_acknowledged_once_each_in_the_shard_of_its_devices(
    names: Stack, tmp_path: Path
) -> None:
    plan = Workload(devices=50, rate=3000, seconds=1, via="kinesis", aggregate=10, mix=Mix(malformed=0.1, binary=True))
    entries = run(names, plan, tmp_path / "ledger")
    assert len(entries) == 3000
    assert {entry.ack for entry in entries} == {True}
    ours, records = {entry.n: entry.device for entry in entries}, Counter[int]()
    for hash_keys, record in stream_records(names):
        parts = [n for data in unpacked(record["Data"]) if (n := number_of(data)) in ours]
        records[len(parts)] += 1
        assert all(hash_of(ours[n]) in hash_keys for n in parts if n is not None)
    assert max(records) == 10
    assert records[10] > 150
    found = stream_numbers(names)
    assert [found[entry.n] for entry in entries] == [1] * len(entries)


def test_a_device_cannot_speak_for_another(
    names: Stack, devices: list[Credentials], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer.fleet.mqtt.CONNECT_SECONDS", 1.0)
    first, second = devices
    for name in ("certificate.pem", "private.key"):
        (second.folder / name).write_bytes((first.folder / name).read_bytes())
    with pytest.raises(UserError, match="soilSensor2 gets no connection"):
        run(names, Workload(devices=2, rate=10, seconds=1), tmp_path / "ledger")


def test_provisioning_again_changes_nothing(names: Stack, devices: list[Credentials], tmp_path: Path) -> None:
    folder = tmp_path / "devices"
    before = [(device.certificate_id(), device.key.read_bytes()) for device in devices]
    again = provision.provision(names.session, [device.name for device in devices], names.device_policy, folder)
    assert [(device.certificate_id(), device.key.read_bytes()) for device in again] == before
    assert folder.stat().st_mode & 0o77 == 0
    assert all(path.stat().st_mode & 0o77 == 0 for path in folder.rglob("*"))


def test_deprovisioning_leaves_nothing(names: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "devices"
    [device] = provision.provision(names.session, ["goner"], names.device_policy, folder)
    certificate = device.certificate_id()
    assert provision.deprovision(names.session, ["goner", "never"], folder, names.device_policy) == 1
    iot = names.session.client("iot")
    assert certificate not in [c["certificateId"] for c in iot.list_certificates()["certificates"]]
    assert "goner" not in [thing["thingName"] for thing in iot.list_things()["things"]]
    assert list(folder.iterdir()) == []


def test_devices_of_another_stack_are_not_taken_away(names: Stack, devices: list[Credentials], tmp_path: Path) -> None:
    """Two stacks of an account whose devices have the same names: all or nothing."""
    iot, folder = names.session.client("iot"), tmp_path / "devices"
    iot.create_policy(policyName="another-stack", policyDocument='{"Version": "2012-10-17", "Statement": []}')
    [other] = provision.provision(names.session, ["soilSensor3"], "another-stack", folder)
    fleet = ["soilSensor1", "soilSensor2", "soilSensor3"]
    with pytest.raises(UserError, match="device soilSensor3 has the policy another-stack, not this stack's"):
        provision.deprovision(names.session, fleet, folder, names.device_policy)
    assert [each.certificate_id() for each in devices] != [None, None]
    assert {thing["thingName"] for thing in iot.list_things()["things"]} >= set(fleet)
    assert provision.deprovision(names.session, [other.name], folder, "another-stack") == 1
    iot.delete_policy(policyName="another-stack")


class Refusing:
    """A Kinesis client whose first `rounds` answers refuse the records of odd numbers."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.calls: list[list[int]] = []

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
        numbers = [number_of(record["Data"]) or 0 for record in Records]
        self.calls.append(numbers)
        refuse = len(self.calls) <= self.rounds
        refused = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"}
        taken = {"ShardId": "s", "SequenceNumber": "1"}
        return {"Records": [refused if refuse and n % 2 else taken for n in numbers]}


def transport(client: Refusing, done: Done) -> KinesisTransport:
    with mock.patch.object(put_records, "connect", return_value=client):
        return KinesisTransport(boto3.Session(), "any", done)


def test_refused_records_are_put_again_and_only_they() -> None:
    done: list[tuple[int, bool, int]] = []
    client = Refusing(2)
    made = transport(client, lambda message, at, ack, attempts: done.append((message.number, ack, attempts)))
    for number in range(8):
        made.publish(message(number))
    made.close(10)
    assert sorted(done) == [(n, True, 3 if n % 2 else 1) for n in range(8)]
    assert [len(call) for call in client.calls] == [8, 4, 4]


def test_what_time_does_not_allow_is_reported_as_uncertain() -> None:
    done: list[bool] = []
    made = transport(Refusing(10**6), lambda message, at, ack, attempts: done.append(ack))
    for number in range(2):
        made.publish(message(number))
    made.close(0.2)
    assert sorted(done) == [False, True]


def message(number: int) -> Message:
    return single(Measurement("d", 1_795_345_942_830, "50"), number, "humidity")


def test_console_packs_values_into_one_record(
    stack: Deployed, names: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", "--aggregate", "--stack", stack.name, "--json", "packed", "1", "2", "3"]) == 0
    written = json.loads(capsys.readouterr().out)
    [record] = [record for _, record in stream_records(names) if record["PartitionKey"] == "packed"]
    assert {each["sequenceNumber"] for each in written} == {record["SequenceNumber"]}
    assert [json.loads(data)["value"] for data in unpacked(record["Data"])] == [1, 2, 3]


def test_console_publishes_and_queries(stack: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", "greenhouse", "20.1", "-3", "--stack", stack.name]) == 0
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()] == ["20.1", "-3"]
    stack.session.client("dynamodb").put_item(
        TableName=stack.outputs["SensorTable"],
        Item={"SensorId": {"S": "greenhouse"}, "Timestamp": {"S": "2026-11-22T10:48:16.123Z"}, "Value": {"N": "20.1"}},
    )
    assert main(["query", "greenhouse", "--stack", stack.name]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "SENSOR      TIME (UTC)                VALUE",
        "greenhouse  2026-11-22T10:48:16.123Z   20.1",
    ]


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["query", "x", "--stack", "none"], "no stack 'none' here"),
        (["publish", "x", "wet"], "'wet' is not a number"),
        (["simulate", "--devices", "2"], "device soilSensor1 has no certificate"),
        (["simulate", "--devices", "1", "--rate", "500"], "IoT Core takes 100 publishes a second"),
        (["audit", "--ledger", "/none"], "cannot read the ledger"),
    ],
)
def test_user_errors_are_one_line(
    stack: Deployed, capsys: pytest.CaptureFixture[str], arguments: list[str], reported: str
) -> None:
    if "--stack" not in arguments:
        arguments = [*arguments, "--stack", stack.name]
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert reported in errors
    assert errors.count("\n") == 1
