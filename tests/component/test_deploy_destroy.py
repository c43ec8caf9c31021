"""make destroy: an account holds afterwards what it held before, but for readings, unless those are named."""

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.deploy import holdings
from infra.deploy.cloudformation import DeployError
from infra.deploy.deployment import Deployment
from infra.deploy.destroy import Data
from infra.deploy.destroy import destroy as destroyed
from infra.local.process import ROOT
from producer.fleet.credentials import names
from producer.fleet.provision import deprovision_all, provision
from tests.component.deploying import Shell, shell
from tests.component.inventory import inventory

__all__ = ["shell"]


@pytest.fixture
def used(shell: Shell, tmp_path: Path) -> tuple[Shell, set[str]]:
    """A deployment with all that people and programs make beside its stacks; and the account before it."""
    before = inventory(shell.session)
    policy = """AlertPolicy='{"rules":[{"name":"dry"}]}'"""
    shell.deploy(
        "--email", "farmer@example.com", "--params", f"ShardCount=2 CompactionSchedule='rate(1 hour)' {policy}"
    )
    outputs, client = shell.outputs(), shell.session.client
    provision(shell.session, names(f"{shell.stack}-device", 20), outputs["DevicePolicy"], tmp_path)
    for name in ("audit", "console-0a1b2c3d"):
        queue: str = client("sqs").create_queue(QueueName=f"{shell.stack}-{name}")["QueueUrl"]
        arn = f"arn:aws:sqs:eu-central-1:000000000000:{queue.rpartition('/')[2]}"
        client("sns").subscribe(TopicArn=outputs["AlertTopicArn"], Protocol="sqs", Endpoint=arn)
    client("kinesis").register_stream_consumer(StreamARN=outputs["StreamArn"], ConsumerName="by-hand")
    client("logs").create_log_group(logGroupName=f"/aws/lambda/{outputs['ApiFunction']}")
    push(shell, outputs["RepositoryUri"].partition("/")[2])
    client("dynamodb").put_item(
        TableName=outputs["SensorTable"], Item={"SensorId": {"S": "soil"}, "Timestamp": {"S": "2026-11-24T00:00:00Z"}}
    )
    versions(client("s3"), outputs["ArchiveBucket"])
    return shell, before


def push(shell: Shell, repository: str) -> None:
    manifest = '{"schemaVersion": 2}'
    shell.session.client("ecr").put_image(repositoryName=repository, imageManifest=manifest, imageTag="1")


def versions(s3: Any, bucket: str) -> None:
    """An object of two versions, and one that is deleted but not gone."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key, body in (("readings/1", b"a"), ("readings/1", b"b"), ("dead-letters/1", b"c")):
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    s3.delete_object(Bucket=bucket, Key="dead-letters/1")


def parameter(shell: Shell, name: str) -> str:
    """What programs read that know only the stack's name."""
    found = shell.session.client("ssm").get_parameter(Name=f"/sensorstream/{shell.stack}/{name}")
    return str(found["Parameter"]["Value"])


def test_nothing_stays_behind(used: tuple[Shell, set[str]]) -> None:
    shell, before = used
    made = inventory(shell.session) - before
    assert len(made) > 60
    schedules = {each for each in made if each.startswith("schedule ")}
    assert {f"table {shell.stack}-alerts", f"alarm {shell.stack}-AlertScheduleMissing"} < made
    assert f"schedule {parameter(shell, 'AlertSchedule')}" in schedules
    assert len(schedules) == 2
    said = shell.destroy()
    assert f"DELETED: table {shell.stack}-alerts, the history of alerts\n" in said
    assert inventory(shell.session) == before
    assert "20 devices with their certificates" in said
    assert f"{shell.stack} is gone" in said
    assert f"there is no deployment {shell.stack}" in shell.destroy()


def test_a_compaction_that_runs_is_stopped_first(shell: Shell) -> None:
    """ECS deletes no cluster that has tasks."""
    shell.deploy("--params", "ShardCount=1 CompactionSchedule='rate(1 hour)'")
    ecs = shell.session.client("ecs")
    for family in ("compaction", "consumer"):
        ecs.run_task(cluster=shell.stack, taskDefinition=f"{shell.stack}-{family}", launchType="FARGATE")
    before, stopped, _ = shell.destroy().partition(f"stopped     1 tasks of {shell.stack}-compaction\n")
    assert stopped
    assert "deleted" not in before


def test_kept_data_is_the_tables_and_the_bucket_and_nothing_else(used: tuple[Shell, set[str]]) -> None:
    shell, before = used
    outputs = shell.outputs()
    table, rollups, bucket = outputs["SensorTable"], outputs["RollupTable"], outputs["ArchiveBucket"]
    said = shell.destroy("--keep-data")
    assert inventory(shell.session) ^ before == {f"table {table}", f"table {rollups}", f"bucket {bucket}"}
    assert f"kept: table {table} with 1 rows\n      to delete it one day: aws dynamodb delete-table" in said
    assert f"kept: bucket {bucket} with 3 objects\n" in said
    assert shell.session.client("dynamodb").scan(TableName=table)["Count"] == 1
    assert shell.session.client("s3").get_object(Bucket=bucket, Key="readings/1")["Body"].read() == b"b"


def test_readings_are_kept_unless_their_deletion_is_asked_for_by_name(used: tuple[Shell, set[str]]) -> None:
    shell, before = used
    outputs = shell.outputs()
    for options, why in (
        (("--delete-data", "another"), "DELETE_DATA=another is not the deployment's name"),
        (("KEEPDATA=1",), "did you mean KEEP_DATA?"),
        (("PARAMS=x",), "make destroy takes no PARAMS (make demo, make up, make deploy, make plan would)"),
        (("KEEP_DATA=yes", "--delete-data", shell.stack), "contradict each other"),
        (("KEEP_DATA=false",), f"DELETE_DATA={shell.stack}"),
        (("KEEP_DATA=maybe",), "KEEP_DATA=maybe must be one of yes, true, 1, no, false, 0"),
        (("YES=si",), "YES=si must be one of"),
    ):
        words = [option for option in options if "=" in option]
        others = [option for option in options if "=" not in option]
        others += [] if "YES=si" in words else ["--yes"]
        code, _, error = shell.run_alone("destroy", *words, "--stack", shell.stack, *others)
        assert code == 2, options
        assert why in error
        assert shell.stacks() == {"", "-network", "-service"}
    said = shell.destroy("--yes")
    assert f"kept: table {outputs['SensorTable']} with 1 rows" in said
    assert f"to delete these too: DELETE_DATA={shell.stack}" in said
    kept = {f"table {outputs['SensorTable']}", f"table {outputs['RollupTable']}", f"bucket {outputs['ArchiveBucket']}"}
    assert inventory(shell.session) ^ before == kept


def test_what_holds_nothing_is_not_kept(shell: Shell) -> None:
    before = inventory(shell.session)
    shell.deploy("--params", "ShardCount=1")
    bucket = shell.outputs()["ArchiveBucket"]
    shell.session.client("s3").put_object(Bucket=bucket, Key="athena-results/of-a-query.csv", Body=b"device")
    said = shell.destroy("--yes")
    assert "DELETED: table " in said
    assert f"DELETED: bucket {bucket} with 0 objects" in said
    assert inventory(shell.session) == before


def test_what_cannot_be_counted_is_kept(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that another one's rights keep from being scanned; here its scans are refused."""
    shell.deploy("--params", "ShardCount=1")
    table = shell.outputs()["SensorTable"]

    def refused(*_: object) -> tuple[int, str]:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "Scan")

    monkeypatch.setattr(holdings, "count_rows", refused)
    said = shell.destroy("--yes")
    assert f"kept: table {table}, whose rows cannot be counted (AccessDeniedException)" in said
    shell.session.client("dynamodb").describe_table(TableName=table)


@pytest.mark.parametrize("no", ["no", "0", "false", "NO"])
def test_no_is_no(shell: Shell, no: str) -> None:
    code, _, error = shell.run_alone("destroy", f"STACK={shell.stack}", f"YES={no}")
    assert (code, error) == (0, "")
    shell.deploy("--params", "ShardCount=1")
    code, _, error = shell.run_alone("destroy", f"STACK={shell.stack}", f"YES={no}")
    assert (code, "YES=1" in error) == (2, True)


def test_the_environment_destroys_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names such as these are anybody's; only the command line counts, by make as without it."""
    shell.deploy("--params", "ShardCount=1")
    for name, value in (("STACK", shell.stack), ("YES", "1"), ("DELETE_DATA", shell.stack)):
        monkeypatch.setenv(name, value)
    code, _, error = shell.run_alone("destroy")
    assert (code, error) == (2, "sensorstream: name the deployment: STACK=name\n")
    done = subprocess.run(["make", "destroy"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, "name the deployment: STACK=name" in done.stderr) == (2, True)
    assert "\nstopped with exit code 2: what was asked for cannot be, or may not\n" in done.stderr
    assert shell.stacks() == {"", "-network", "-service"}


def test_what_was_begun_is_ended_by_the_same_command(used: tuple[Shell, set[str]]) -> None:
    """The service, the data and the artifacts are gone already, the rest is not."""
    shell, before = used
    outputs, cloudformation = shell.outputs(), shell.session.client("cloudformation")
    cloudformation.delete_stack(StackName=f"{shell.stack}-service")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=f"{shell.stack}-service")
    shell.session.client("dynamodb").delete_table(TableName=outputs["SensorTable"])
    shell.session.client("sqs").delete_queue(
        QueueUrl=shell.session.client("sqs").get_queue_url(QueueName=f"{shell.stack}-audit")["QueueUrl"]
    )
    shell.destroy()
    assert inventory(shell.session) == before


def test_a_policy_that_iot_holds_on_to_is_waited_for(shell: Shell, tmp_path: Path) -> None:
    """AWS IoT lets a policy go up to five minutes after its last detachment. The emulator does so at once, so that here
    a certificate holds it from the detachment of the others until destroy waits."""
    shell.deploy("--params", "ShardCount=1")
    iot, policy = shell.session.client("iot"), shell.outputs()["DevicePolicy"]
    provision(shell.session, [f"{shell.stack}-one"], policy, tmp_path)
    made = iot.create_keys_and_certificate(setAsActive=False)
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if "with their certificates" in line:
            iot.attach_policy(policyName=policy, target=made["certificateArn"])
        if line.startswith("waiting"):
            iot.detach_policy(policyName=policy, target=made["certificateArn"])

    deployment = Deployment(shell.session, shell.stack, {}, poll_seconds=0.05)
    assert destroyed(deployment, say, Data.DELETE) == []
    assert len([line for line in said if line.startswith("waiting")]) == 1
    assert shell.stacks() == set()
    iot.delete_certificate(certificateId=made["certificateId"])


def test_a_policy_that_is_not_let_go_in_time_fails(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.deploy("--params", "ShardCount=1")
    iot, policy = shell.session.client("iot"), shell.outputs()["DevicePolicy"]
    arn = iot.create_keys_and_certificate(setAsActive=False)["certificateArn"]
    monkeypatch.setattr("infra.deploy.destroy.DETACHED_SECONDS", 0.0)
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if "bucket" in line:  # the archive, after the devices
            iot.attach_policy(policyName=policy, target=arn)

    deployment = Deployment(shell.session, shell.stack, {}, poll_seconds=0.05)
    with pytest.raises(DeployError, match="DevicePolicy DELETE_FAILED"):
        destroyed(deployment, say, Data.DELETE)
    assert not [line for line in said if line.startswith("waiting")]
    iot.detach_policy(policyName=policy, target=arn)
    iot.delete_certificate(certificateId=arn.rpartition("/")[2])


def test_a_device_of_two_policies_loses_one_of_them(shell: Shell, tmp_path: Path) -> None:
    shell.deploy("--params", "ShardCount=1")
    iot, policy = shell.session.client("iot"), shell.outputs()["DevicePolicy"]
    [device] = provision(shell.session, [f"{shell.stack}-shared"], policy, tmp_path)
    certificate = device.certificate_id()
    assert certificate is not None
    arn = iot.describe_certificate(certificateId=certificate)["certificateDescription"]["certificateArn"]
    iot.create_policy(policyName="of-others", policyDocument='{"Version": "2012-10-17", "Statement": []}')
    iot.attach_policy(policyName="of-others", target=arn)
    shell.destroy()
    assert [found["policyName"] for found in iot.list_attached_policies(target=arn)["policies"]] == ["of-others"]
    assert iot.list_thing_principals(thingName=device.name)["principals"] == [arn]
    assert deprovision_all(iot, "of-others") == 1
    iot.delete_policy(policyName="of-others")


def test_without_a_terminal_it_is_refused(shell: Shell) -> None:
    shell.deploy("--params", "ShardCount=1")
    code, _, error = destroy(shell, stdin=subprocess.DEVNULL)
    assert (code, error.count("\n")) == (2, 1)
    assert "YES=1" in error
    assert shell.stacks() == {"", "-network", "-service"}


def test_at_a_terminal_the_name_must_be_typed(shell: Shell) -> None:
    shell.deploy("--params", "ShardCount=1")
    code, said, error = typed(shell, "yes")
    assert (code, error) == (2, "sensorstream: that is not its name; nothing was changed\n")
    assert f"destroys {shell.stack} (account 000000000000" in said
    assert shell.stacks() == {"", "-network", "-service"}
    assert typed(shell, shell.stack)[0] == 0
    assert shell.stacks() == set()


def typed(shell: Shell, answer: str) -> tuple[int, str, str]:
    """The command at a terminal on which this is typed."""
    terminal, other_end = pty.openpty()
    try:
        os.write(terminal, f"{answer}\n".encode())
        return destroy(shell, stdin=other_end)
    finally:
        os.close(other_end)
        os.close(terminal)


def destroy(shell: Shell, stdin: int) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "infra", "destroy", "--stack", shell.stack]
    done = subprocess.run(command, cwd=ROOT, stdin=stdin, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr
