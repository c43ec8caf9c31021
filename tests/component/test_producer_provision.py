"""`simulate --provision`: the devices of one run, in the role of the simulator's task, where roles count."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import boto3
import botocore
import pytest
from botocore.exceptions import ClientError

from infra.local.identity import settings_of
from producer.cli import main
from producer.fleet import provision, registry
from tests.component.streams import wait_for
from tests.component.strict import NAME, TASKS, Strict

PREFIX = f"{NAME}-simulated-"


def simulate(run: str, *more: str) -> list[str]:
    """Each test has devices of its own."""
    prefix = f"{PREFIX}{run}-"
    return ["simulate", "--provision", "--stack", NAME, "--prefix", prefix, "--rate", "20", *more]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "devices"


@pytest.fixture
def variables(strict: Strict, folder: Path, tmp_path: Path) -> dict[str, str]:
    """As the task has it, but for what is elsewhere on this machine."""
    authority = tmp_path / "iot-ca.pem"
    authority.write_text(strict.emulator.ca())
    here = {"DEVICES_DIR": str(folder), "TMPDIR": str(tmp_path), "IOT_CA_FILE": str(authority)}
    return settings_of(strict.emulator, TASKS["simulator"]) | here


@pytest.fixture
def _as_task(variables: dict[str, str]) -> Iterator[None]:
    with mock.patch.dict(os.environ, variables):
        yield


Cloud = Callable[[], tuple[set[str], int]]


@pytest.fixture
def cloud(strict: Strict) -> Cloud:
    """The simulated things, and the number of all certificates."""
    iot = strict.client("iot")

    def look() -> tuple[set[str], int]:
        things = {thing["thingName"] for thing in iot.list_things()["things"]}
        return {name for name in things if name.startswith(PREFIX)}, len(iot.list_certificates()["certificates"])

    return look


@pytest.fixture
def _denied(strict: Strict) -> Iterator[None]:
    """The simulator's role may not delete certificates."""
    ecs, iam = strict.client("ecs"), strict.client("iam")
    found = ecs.describe_task_definition(taskDefinition=TASKS["simulator"])["taskDefinition"]
    role = found["taskRoleArn"].rpartition("/")[2]
    statement = {"Effect": "Deny", "Action": "iot:DeleteCertificate", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="deny", PolicyDocument=policy)
    yield
    iam.delete_role_policy(RoleName=role, PolicyName="deny")


@pytest.mark.usefixtures("_as_task")
def test_devices_of_a_run_are_gone_with_it(cloud: Cloud, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = cloud()
    assert main(simulate("short", "--devices", "2", "--for", "0.5")) == 0
    captured = capsys.readouterr()
    assert captured.out == "10 messages acknowledged with 10 readings\n"
    assert captured.err == ""
    assert (cloud(), list(folder.iterdir())) == (before, [])


@contextmanager
def running(variables: dict[str, str], *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    environment = variables | {"PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "producer", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_publishing_run_that_is_stopped_takes_its_devices_away(
    strict: Strict, cloud: Cloud, variables: dict[str, str], number: signal.Signals
) -> None:
    before, run = cloud(), number.name
    with running(variables, *simulate(run, "--devices", "2")) as process:
        wait_for(strict.emulator.session(), strict.names["StreamName"], f"{PREFIX}{run}-1", 2)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert cloud() == before


def test_a_run_stopped_while_it_makes_devices_takes_them_away(cloud: Cloud, variables: dict[str, str]) -> None:
    before = cloud()
    with running(variables, *simulate("many", "--devices", "60")) as process:
        until(lambda: bool(cloud()[0] - before[0]), process)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert cloud() == before


def test_what_a_killed_run_left_goes_with_the_next(
    strict: Strict, cloud: Cloud, variables: dict[str, str], folder: Path
) -> None:
    before = cloud()
    with running(variables, *simulate("killed", "--devices", "2")):
        wait_for(strict.emulator.session(), strict.names["StreamName"], f"{PREFIX}killed-1", 1)
    assert len(cloud()[0]) == len(before[0]) + 2
    shutil.rmtree(folder)  # the next task has a volume of its own
    with mock.patch.dict(os.environ, variables):
        assert main(simulate("killed", "--devices", "2", "--for", "0.5")) == 0
    assert cloud() == before


@pytest.mark.usefixtures("_as_task")
def test_a_run_that_fails_takes_its_devices_away(
    cloud: Cloud, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer.fleet.mqtt.CONNECT_SECONDS", 1.0)
    monkeypatch.setenv("IOT_CA_FILE", str(Path(botocore.__file__).with_name("cacert.pem")))  # the world's authorities
    before = cloud()
    assert main(simulate("fails", "--devices", "2")) == 2
    errors = capsys.readouterr().err
    assert "gets no connection" in errors
    assert errors.count("\n") == 1
    assert (cloud(), list(folder.iterdir())) == (before, [])


@pytest.mark.usefixtures("_as_task", "_denied")
def test_what_cannot_be_taken_away_is_reported_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(simulate("left", "--devices", "2", "--for", "0.2")) == 1
    errors = capsys.readouterr().err
    assert errors.startswith(
        "sensorstream: devices made for this run are left, 2 of them: DeleteCertificate: AccessDenied"
    )
    assert errors.count("\n") == 1


def test_what_was_there_stays(strict: Strict, cloud: Cloud, variables: dict[str, str], folder: Path) -> None:
    """A device with its certificate saved, a thing of another user, and one that is missing."""
    saved, foreign = f"{PREFIX}kept-1", f"{PREFIX}kept-2"
    iot = strict.client("iot")
    with mock.patch.dict(os.environ, variables):
        assert main(["provision", "--stack", NAME, "--devices", "1", "--prefix", f"{PREFIX}kept-"]) == 0
        iot.create_thing(thingName=foreign, attributePayload={"attributes": {"room": "greenhouse"}})
        before, key = cloud(), (folder / saved / "private.key").read_bytes()
        assert main(simulate("kept", "--devices", "3", "--for", "0.5")) == 0
        assert cloud() == before
        assert [path.name for path in folder.iterdir()] == [saved]
        assert (folder / saved / "private.key").read_bytes() == key
        assert provision.deprovision(boto3.Session(), [saved, foreign], folder, strict.names["DevicePolicy"]) == 2


def test_devices_of_a_run_are_not_for_others(
    strict: Strict, variables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    strict.client("iot").create_thing(thingName=f"{PREFIX}own-1", attributePayload={"attributes": registry.TEMPORARY})
    with mock.patch.dict(os.environ, variables):
        assert main(["provision", "--stack", NAME, "--devices", "1", "--prefix", f"{PREFIX}own-"]) == 2
        assert "is one of a simulate --provision that runs, or was killed" in capsys.readouterr().err
        folder, policy = Path(variables["DEVICES_DIR"]), strict.names["DevicePolicy"]
        provision.deprovision(boto3.Session(), [f"{PREFIX}own-1"], folder, policy)


def test_only_devices_are_provisioned(variables: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch.dict(os.environ, variables):
        assert main(simulate("stream", "--via", "kinesis")) == 2
    assert capsys.readouterr().err.startswith("sensorstream: --provision goes with --via mqtt only")


def test_what_was_detached_is_deleted_when_iot_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "AGAIN_SECONDS", 0)
    answers = [conflict("DeleteConflictException"), conflict("InvalidRequestException"), None]

    def delete() -> None:
        if problem := answers.pop(0):
            raise problem

    registry.when_detached(delete)
    assert answers == []


def test_the_wait_for_what_stays_attached_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "DETACHED_SECONDS", 0)
    for code in ("DeleteConflictException", "AccessDeniedException"):
        with pytest.raises(ClientError, match=code):
            registry.when_detached(lambda code=code: raising(conflict(code)))  # type: ignore[misc]


def conflict(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "attached"}}, "DeleteThing")


def raising(error: ClientError) -> None:
    raise error
