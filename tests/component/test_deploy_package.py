"""make package: the templates deploy by CloudFormation's own calls, and README.md has the right commands."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.deploy.templates import outputs, parameters
from tests.component.deploying import Shell, shell

__all__ = ["shell"]

# Stands where the AWS command line would: writes down what it is called with, and answers with every stack's outputs.
AWS = """#!/usr/bin/env bash
if [ "$2" = describe-stacks ]; then cat "$CALLS.outputs$4"; else printf '%s\\n' "$*" >>"$CALLS"; fi
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


def test_the_commands_hand_each_output_to_the_next_stack(shell: Shell, tmp_path: Path) -> None:
    """Also that every parameter of the service without a default is given."""
    folder = tmp_path / "package"
    assert shell.run_alone("package", "--folder", str(folder))[0] == 0
    upload, data, network, service = commands(folder, tmp_path)
    [code] = folder.glob("functions-*.zip")
    assert upload == f"s3 cp --no-progress {code.name} s3://my-bucket/{code.name}"
    assert (
        "--stack-name sensorstream --template-file data.yaml --s3-bucket my-bucket --capabilities CAPABILITY_IAM"
        in data
    )
    assert data.endswith(f" --parameter-overrides ArtifactBucket=my-bucket FunctionsKey={code.name}")
    assert "--stack-name sensorstream-network --template-file network.yaml " in network
    assert " AlertSource=of-sensorstream" in network
    assert [call for call in (data, network, service) if "--tags sensorstream:stack=sensorstream" not in call] == []
    given = dict(word.split("=", 1) for word in service.partition("--parameter-overrides ")[2].split())
    declared = parameters(folder / "service.yaml")
    assert {name for name, each in declared.items() if "Default" not in each} <= given.keys()
    assert (given["StreamName"], given["VpcId"]) == ("of-sensorstream", "of-sensorstream-network")
    assert (given["DataStack"], given["Image"]) == ("sensorstream", "registry/image@sha256:1")


def commands(folder: Path, tmp_path: Path) -> list[str]:
    """What the commands of README.md call `aws` with, call by call."""
    tools, calls = tmp_path / "tools", tmp_path / "calls"
    tools.mkdir()
    (tools / "aws").write_text(AWS)
    (tools / "aws").chmod(0o755)
    for template, stack in (("data.yaml", "sensorstream"), ("network.yaml", "sensorstream-network")):
        words = [f"{name}=of-{stack}" for name in sorted(outputs(folder / template))]
        Path(f"{calls}.outputs{stack}").write_text("\t".join(words) + "\n")
    script = "".join(re.findall(r"```sh\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL))
    script = script.replace("IMAGE= ", "IMAGE=registry/image@sha256:1 ")
    env = {"PATH": f"{tools}:/usr/bin:/bin", "CALLS": str(calls)}
    subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=env, check=True, timeout=60)
    return calls.read_text().splitlines()


@pytest.mark.parametrize("name", ["notes.txt", "README.md/below"])
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
def test_a_folder_that_cannot_be_made_is_reported(shell: Shell, folder: str) -> None:
    code, _, error = shell.run_alone("package", "--folder", folder)
    assert (code, error.count("\n")) == (2, 1)
    assert f"FOLDER={folder}: " in error
