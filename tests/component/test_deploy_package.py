"""make package: the templates deploy by CloudFormation's own calls, and the script has the right commands."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.deploy.templates import parameters
from tests.component.deploying import Shell, shell

__all__ = ["shell"]

# Stands where the AWS command line would: writes down what it is called with and answers as it does.
AWS = """#!/usr/bin/env bash
[ "$2" != describe-stacks ] || { echo "$4:${8##*OutputKey==}" | tr -d "]'" | sed 's/[.]OutputValue//'; exit; }
printf '%s\\n' "$*" >>"$CALLS"
"""


@pytest.fixture
def bucket(shell: Shell) -> Iterator[str]:
    """A bucket of the person who deploys."""
    s3, name = shell.session.client("s3"), f"{shell.stack}-mine"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield name
    for found in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=found["Key"])
    s3.delete_bucket(Bucket=name)


def create(shell: Shell, suffix: str, given: Mapping[str, str], **template: str) -> dict[str, str]:
    """The console's way; returns the outputs."""
    client: Any = shell.session.client("cloudformation")
    client.create_stack(
        StackName=shell.stack + suffix,
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        Capabilities=["CAPABILITY_IAM"],
        **template,
    )
    waiting = {"Delay": 1, "MaxAttempts": 60}
    client.get_waiter("stack_create_complete").wait(StackName=shell.stack + suffix, WaiterConfig=waiting)
    return shell.outputs(suffix)


def test_the_uploaded_templates_deploy_by_their_addresses(shell: Shell, bucket: str, tmp_path: Path) -> None:
    code, said, error = shell.run_alone("package", "--bucket", bucket, "--folder", str(tmp_path / "package"))
    assert (code, error) == (0, "")
    urls = [line.strip() for line in said.splitlines() if "/templates/" in line]
    data, network, service = urls
    known = create(shell, "", {"ShardCount": "2"}, TemplateURL=data)
    known |= create(shell, "-network", {}, TemplateURL=network)
    known |= {"DataStack": shell.stack, "Image": "sensorstream:local"}
    declared = parameters(tmp_path / "package/service.yaml")
    create(shell, "-service", {name: known[name] for name in declared if name in known}, TemplateURL=service)
    assert shell.stacks() == {"", "-network", "-service"}
    shell.session.client("s3").head_object(Bucket=bucket, Key=shell.parameters()["FunctionsKey"])


def test_a_bucket_that_is_not_there_is_a_user_error(shell: Shell, tmp_path: Path) -> None:
    code, _, error = shell.run_alone("package", "--bucket", "nobodys", "--folder", str(tmp_path / "package"))
    assert (code, error.count("\n")) == (2, 1)
    assert "nobodys" in error


def test_the_script_hands_each_output_to_the_next_stack(shell: Shell, tmp_path: Path) -> None:
    """Also that every parameter of the service without a default is given."""
    folder = tmp_path / "package"
    assert shell.run_alone("package", "--folder", str(folder))[0] == 0
    calls = script(folder, tmp_path, IMAGE="registry/image@sha256:1", EMAIL="a@b.example", SERVICE_PARAMS="MaxTasks=2")
    upload, data, network, service = calls
    assert upload.startswith("s3 cp --no-progress functions.zip s3://mine/functions/")
    assert "--stack-name name --template-file data.yaml --capabilities CAPABILITY_IAM" in data
    assert "ArtifactBucket=mine FunctionsKey=functions/" in data
    assert data.endswith(" SNSEmail=a@b.example")
    assert "--stack-name name-network --template-file network.yaml " in network
    assert "--parameter-overrides" not in network
    given = dict(word.split("=", 1) for word in service.partition("--parameter-overrides ")[2].split())
    assert {name for name, declared in parameters(folder / "service.yaml").items() if "Default" not in declared} <= (
        given.keys()
    )
    assert (given["StreamName"], given["VpcId"]) == ("name:StreamName", "name-network:VpcId")
    assert (given["DataStack"], given["Image"], given["MaxTasks"]) == ("name", "registry/image@sha256:1", "2")


def test_the_script_takes_a_network_that_is_there(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "package"
    assert shell.run_alone("package", "--folder", str(folder))[0] == 0
    *_, service = calls = script(folder, tmp_path, IMAGE="image", VPC_ID="vpc-1", SUBNET_IDS="subnet-1,subnet-2")
    assert len(calls) == 3
    assert "VpcId=vpc-1 SubnetIds=subnet-1,subnet-2" in service


def test_the_script_names_the_role_to_cloudformation_and_to_the_stacks_key(shell: Shell, tmp_path: Path) -> None:
    folder, role = tmp_path / "package", "arn:aws:iam::123456789012:role/maker"
    assert shell.run_alone("package", "--folder", str(folder))[0] == 0
    calls = script(folder, tmp_path, IMAGE="image", ROLE=role)
    assert [f"--role-arn {role}" in call for call in calls if " deploy " in f" {call} "] == [True] * 3
    assert [call for call in calls if f"ServiceRoleArn={role}" in call] == [next(c for c in calls if "data.yaml" in c)]


def script(folder: Path, tmp_path: Path, **variables: str) -> list[str]:
    """What deploy.sh calls `aws` with, call by call."""
    tools, calls = tmp_path / "tools", tmp_path / "calls"
    tools.mkdir()
    (tools / "aws").write_text(AWS)
    (tools / "aws").chmod(0o755)
    env = {"PATH": f"{tools}:/usr/bin:/bin", "CALLS": str(calls), "STACK": "name", "BUCKET": "mine", **variables}
    subprocess.run([str(folder / "deploy.sh")], env=env, check=True, timeout=60)
    return calls.read_text().splitlines()


@pytest.mark.parametrize("name", ["notes.txt", "deploy.sh/below"])
def test_a_folder_with_anything_else_is_left_alone(shell: Shell, tmp_path: Path, name: str) -> None:
    """FOLDER may name any folder, a home by mistake."""
    kept = tmp_path / name
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    code, _, error = shell.run_alone("package", "--folder", str(tmp_path))
    assert (code, error.count("\n")) == (2, 1)
    assert f"holds {name.partition('/')[0]}, which no package made" in error
    assert kept.read_text() == "mine"


@pytest.mark.parametrize("folder", ["/proc/x", "/dev/null"])
def test_a_folder_that_cannot_be_made_is_told(shell: Shell, folder: str) -> None:
    code, _, error = shell.run_alone("package", "--folder", folder)
    assert (code, error.count("\n")) == (2, 1)
    assert f"FOLDER={folder}: " in error
