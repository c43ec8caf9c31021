"""The scheduled compaction as the template describes it: what starts it, and its task in that task's own role."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from consumer.archive.format import READINGS
from consumer.archive.writer import RotationPolicy
from infra.deploy.templates import INFRA, read
from infra.local.identity import settings_of
from infra.local.process import ROOT
from producer.aws.stack import Stack
from producer.cli import main
from producer.compact.layout import CURATED
from producer.compact.metric import METRIC
from tests.component.archives import put, records
from tests.component.strict import NAME, SCHEDULE, Strict

FAMILY = f"{NAME}-compaction"
HOUR_MS = 3_600_000
PAYLOAD = b'{"name":"soil","humidity":41.5,"timeStampEpoch":1795604400000}'
ROTATION = RotationPolicy(records=4, size=1 << 20, window_ms=HOUR_MS)


def task(strict: Strict) -> Any:
    return strict.client("ecs").describe_task_definition(taskDefinition=FAMILY)["taskDefinition"]


def made(strict: Strict, logical: str) -> str:
    """The ARN or name of one of the service's resources."""
    found = strict.client("cloudformation").describe_stack_resource(
        StackName=f"{NAME}-service", LogicalResourceId=logical
    )
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def target(strict: Strict) -> Any:
    [found] = strict.client("events").list_targets_by_rule(Rule=made(strict, "CompactionStart"))["Targets"]
    return found


def test_the_schedule_starts_the_task_in_the_cluster(strict: Strict) -> None:
    rule = strict.client("events").describe_rule(Name=made(strict, "CompactionStart"))
    assert (rule["ScheduleExpression"], rule["State"]) == (SCHEDULE, "ENABLED")
    found = target(strict)
    [cluster] = strict.client("ecs").describe_clusters(clusters=[strict.names["ClusterName"]])["clusters"]
    assert found["Arn"] == cluster["clusterArn"]
    assert found["RoleArn"].endswith(f"/{made(strict, 'CompactionStartRole')}")
    assert found["EcsParameters"]["TaskDefinitionArn"] == task(strict)["taskDefinitionArn"]
    assert found["EcsParameters"]["LaunchType"] == "FARGATE"
    assert task(strict)["taskRoleArn"].endswith(f"/{made(strict, 'CompactionRole')}")


def test_its_network_is_one_of_the_deployments_subnets_with_a_way_out(strict: Strict) -> None:
    """The emulator keeps no network of a target; so this is what the template says, with what was made."""
    [each] = read(INFRA / "service.yaml")["Resources"]["CompactionStart"]["Properties"]["Targets"]
    network = each["EcsParameters"]["NetworkConfiguration"]["AwsVpcConfiguration"]
    assert network["Subnets"] == {"Fn::Split": [",", {"Ref": "PublicSubnetIds"}]}
    assert network["SecurityGroups"] == [{"Fn::GetAtt": "CompactionSecurityGroup.GroupId"}]
    ec2 = strict.client("ec2")
    for subnet in strict.names["PublicSubnetIds"].split(","):
        tables = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])
        [routes] = [table["Routes"] for table in tables["RouteTables"]]
        assert [r for r in routes if r.get("DestinationCidrBlock") == "0.0.0.0/0" and r["GatewayId"].startswith("igw-")]
    [group] = ec2.describe_security_groups(GroupIds=[made(strict, "CompactionSecurityGroup")])["SecurityGroups"]
    assert (group["VpcId"], group["IpPermissions"]) == (strict.names["VpcId"], [])


def test_the_schedules_role_starts_this_task_in_this_cluster_only(strict: Strict) -> None:
    """As it was made; the emulator does not ask the role when a rule fires."""
    role, started = made(strict, "CompactionStartRole"), task(strict)
    found = strict.client("iam").get_role_policy(RoleName=role, PolicyName="start")["PolicyDocument"]
    run, give = found["Statement"]
    assert (run["Action"], run["Condition"]) == ("ecs:RunTask", {"ArnEquals": {"ecs:cluster": target(strict)["Arn"]}})
    assert fnmatchcase(started["taskDefinitionArn"], run["Resource"])
    assert not fnmatchcase(strict.names["TaskDefinitionArn"], run["Resource"])
    assert give["Action"] == "iam:PassRole"
    assert set(give["Resource"]) == {started["taskRoleArn"], started["executionRoleArn"]}


def fill(stack: Stack, hours: int, first: int = 10**55) -> None:
    """Two archive objects of six readings, which arrived so many hours ago."""
    at = int(time.time() * 1000) - hours * HOUR_MS
    put(stack, records(((at, "soil", PAYLOAD) for _ in range(6)), first), ROTATION)


def test_the_dashboard_shows_its_alarms(strict: Strict) -> None:
    found = strict.client("cloudwatch").get_dashboard(DashboardName=strict.names["DashboardName"])
    shown = json.loads(found["DashboardBody"])["widgets"][0]["properties"]["alarms"]
    assert {f"{NAME}-CompactionFails", f"{NAME}-CompactionMissing"} < {arn.rpartition(":")[2] for arn in shown}


def listed(stack: Stack, prefix: str) -> list[Any]:
    found: list[Any] = (
        stack.session.client("s3").list_objects_v2(Bucket=stack.bucket, Prefix=prefix).get("Contents", [])
    )
    return found


@pytest.fixture
def archive(strict: Strict) -> Iterator[Stack]:
    """The deployment's bucket with the archive objects of an hour that has finished, and nothing else."""
    with mock.patch.dict(os.environ, strict.emulator.variables()):
        stack = Stack.load(strict.emulator.session(), NAME)
    s3, place = strict.client("s3"), {"Bucket": stack.bucket}
    others = [{"Key": key} for key in ("readings/x", "curated/x")]
    s3.delete_objects(**place, Delete={"Objects": others})
    fill(stack, hours=5)
    yield stack
    left = [each["Key"] for prefix in (CURATED, READINGS) for each in listed(stack, prefix)]
    for key in left:
        s3.delete_object(**place, Key=key)
    for other in others:
        s3.put_object(**place, **other, Body=b"x")


def diagnosed(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """State and detail of the doctor's check."""
    main(["doctor", "--json", "--stack", NAME])
    [check] = [each for each in json.loads(capsys.readouterr().out)["checks"] if each["name"] == "compaction"]
    return check["state"], check["detail"]


def test_the_doctor_says_what_waits_and_what_is_late(
    strict: Strict, archive: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    left = "of the finished hours of the last 48 are not compacted"
    with mock.patch.dict(os.environ, strict.variables("operator")):
        assert diagnosed(capsys) == ("ok", f"1 {left}")
        fill(archive, hours=35, first=2 * 10**55)
        assert diagnosed(capsys) == ("finding", f"2 {left}, 1 of them for more than 26 hours")
    with mock.patch.dict(os.environ, strict.emulator.variables()):
        assert main(["compact", "--stack", NAME]) == 0
    capsys.readouterr()
    with mock.patch.dict(os.environ, strict.variables("operator")):
        assert diagnosed(capsys) == ("ok", f"0 {left}")


def test_the_task_compacts_in_its_role_and_says_so(strict: Strict, archive: Stack, tmp_path: Path) -> None:
    program, *arguments = task(strict)["containerDefinitions"][0]["command"]
    assert program == "python"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**inherited, **settings_of(strict.emulator, FAMILY), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [found] = listed(archive, CURATED)
    says = strict.client("s3").head_object(Bucket=archive.bucket, Key=found["Key"])["Metadata"]
    assert (says["objects"], says["lines"], says["readings"]) == ("2", "6", "6")
    assert list(tmp_path.iterdir()) == []
    now = datetime.now(UTC)
    [point] = strict.client("cloudwatch").get_metric_statistics(
        Namespace="Sensor",
        MetricName=METRIC,
        Dimensions=[{"Name": "Application", "Value": strict.names["ApplicationName"]}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=7200,
        Statistics=["SampleCount", "Sum"],
    )["Datapoints"]
    assert (point["SampleCount"], point["Sum"]) == (1, 0)
