"""The command line: python -m infra deploy|plan|destroy|package|push. Exit codes: 0 done, 1 failed, 2 a user error."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import click

from consumer import misspelt
from infra.deploy import destroy as destruction
from infra.deploy import image as images
from infra.deploy import package as packages
from infra.deploy.changes import count, table
from infra.deploy.cloudformation import POLL_SECONDS, DeployError, Event, InputError
from infra.deploy.deployment import Deployment, Image
from infra.deploy.destroy import Data
from infra.deploy.holdings import Holding
from infra.deploy.options import ARCH, BUCKET, EMAIL, IMAGE, PARAMS, REGION, ROLE, STACK, Command, option, switch
from infra.deploy.parameters import assignments, require_valid
from infra.deploy.progress import Progress
from infra.deploy.summary import summary
from infra.switches import SwitchError
from producer.aws.errors import explain_if_aws


def main(argv: Sequence[str] | None = None) -> int:
    """Every failure that the user can fix is one line on stderr."""
    try:
        commands.main(argv, prog_name="infra", standalone_mode=False)
        return 0
    except (InputError, SwitchError) as error:
        return _fail(str(error), 2)
    except DeployError as error:
        return _fail(str(error), 1)
    except click.ClickException as error:
        return _fail(f"{error.format_message()} (see python -m infra --help)", 2)
    except (KeyboardInterrupt, click.Abort):
        return _fail("what CloudFormation has begun goes on; the same command again follows it", 130)
    except Exception as error:
        if (line := explain_if_aws(error)) is None:
            raise
        return _fail(line, 2)


def _fail(line: str, code: int) -> int:
    print(f"sensorstream: {line}", file=sys.stderr)
    return code


@click.group(
    no_args_is_help=False,
    epilog="Where AWS is comes from the SDK's environment variables; for the local stack: source .local/env",
)
def commands() -> None:
    """Deploys Sensorstream as CloudFormation stacks, in the cloud or on the local stack."""


def with_options(*options: Callable[[Any], Any]) -> Callable[[Any], click.Command]:
    """Makes a command of a function that takes the values of these options by their names."""

    def made(run: Any) -> click.Command:
        for each in reversed(options):
            run = each(run)
        return commands.command(run.__name__, cls=Command)(run)

    return made


@with_options(STACK, REGION, EMAIL, PARAMS, IMAGE, ROLE)
def deploy(stack: str, region: str, email: str, params: str, image: str, role: str) -> None:
    """Create or update all stacks of a deployment."""
    parameters = asked(email, params)
    session = connect(region)
    with closing(Progress()) as progress:
        progress.say(f"{stack}: {place(session)}")
        deployment = Deployment(session, stack, parameters, progress.event, poll_seconds(), role, progress.plan)
        outputs = deployment.apply(_image(deployment, image, progress.say))
        progress.say(f"{stack} is as asked for")
    print("\n".join(summary(session, stack, outputs)))


@with_options(STACK, REGION, EMAIL, PARAMS, IMAGE, ROLE)
def plan(stack: str, region: str, email: str, params: str, image: str, role: str) -> None:
    """Show what deploy would do."""
    parameters = asked(email, params)
    deployment = Deployment(connect(region), stack, parameters, poll_seconds=poll_seconds(), role=role)
    for each in deployment.plan(_image(deployment, image, None)):
        if each.changes is None:
            print(f"stack {each.stack}: to be created, once the stacks before it are there")
        else:
            print(f"stack {each.stack}: {'to be created, ' if each.new else ''}{count(each.changes)}")
            print("".join(f"  {line}\n" for line in table(each.changes)), end="")


@with_options(
    STACK,
    REGION,
    ROLE,
    option("DELETE_DATA", "name of the deployment once more: delete its table and its archive"),
    switch("KEEP_DATA", "leave the table and the archive's bucket; so it is where they hold anything"),
    switch("YES", "do not ask"),
)
def destroy(stack: str, region: str, role: str, delete_data: str, keep_data: bool | None, yes: bool | None) -> None:
    """Delete a deployment with its devices; its readings only if that is asked for by name."""
    data = data_choice(stack, delete_data, keep_data)
    session = connect(region)
    with closing(Progress()) as progress:

        def on_event(event: Event) -> None:
            if event.status != "DELETE_SKIPPED":  # of the data, about which more is said
                progress.event(event)

        deployment = Deployment(session, stack, {}, on_event, poll_seconds(), role)
        there = any(each.state() for each in (deployment.data, deployment.network, deployment.service))
        if there:
            print("\n".join(warning(stack, place(session), data, destruction.stored(deployment))))
            if not yes:
                ask(stack)
        kept = destruction.destroy(deployment, progress.say, data)
        progress.say(f"{stack} is gone" if there else f"there is no deployment {stack}")
    for each in kept:
        print(f"kept: {each}\n      to delete it one day: {each.deletion}")


@with_options(BUCKET, option("FOLDER", "where the templates go; else build/package"), REGION)
def package(bucket: str, folder: str, region: str) -> None:
    """Templates with their artifacts, for the console or the AWS command line."""
    session = connect(region) if bucket else None
    print("\n".join(packages.build(Path(folder or "build/package"), session, bucket)))


@with_options(STACK, REGION, IMAGE, ARCH)
def push(stack: str, region: str, image: str, arch: str) -> None:
    """Push an image into a deployment's repository, by default this checkout's; print its reference by digest."""
    session = connect(region)
    repository = images.repository(session, stack)
    if image:
        print(images.push(session, image, repository))
    else:
        say = partial(print, file=sys.stderr)
        print(images.build_and_push(session, repository, arch or images.own_architecture(), say))


@commands.command(hidden=True)
@click.argument("region")
def token(region: str) -> None:
    """The password for an account's registry: infra/image/push.sh asks for it."""
    print(images.token(boto3.Session(region_name=region)))


def asked(email: str | None, params: str | None) -> dict[str, str]:
    """Values for the templates; InputError for what cannot be, before AWS is asked anything."""
    parameters = assignments(params) | ({"SNSEmail": email} if email else {})
    require_valid(parameters)
    return parameters


def data_choice(stack: str, named: str | None, keep: bool | None) -> Data:
    """What shall become of the data; InputError unless whatever deletes readings is unmistakable."""
    if named and named != stack:
        raise InputError(f"DELETE_DATA={named} is not the deployment's name; nothing was changed")
    if named and keep:
        raise InputError("KEEP_DATA and DELETE_DATA contradict each other; nothing was changed")
    if keep is False and not named:
        raise InputError(f"KEEP_DATA=no deletes nothing; to delete the readings too: DELETE_DATA={stack}")
    return Data.DELETE if named else Data.KEEP if keep else Data.UNLESS_EMPTY


def warning(stack: str, where: str, data: Data, there: list[Holding]) -> list[str]:
    """What destroying means, and what it takes with it."""
    lines = [f"This destroys {stack} ({where}), with its devices and what the stream still holds."]
    kept = data.keeps(there)
    lines += [f"  {'kept' if kept else 'DELETED'}: {each}" for each in there]
    if kept and there and data is Data.UNLESS_EMPTY:
        lines.append(f"  to delete these too: DELETE_DATA={stack}")
    return lines


def ask(stack: str) -> None:
    """InputError unless a person types the deployment's name."""
    if not sys.stdin.isatty():
        raise InputError(f"there is no terminal to ask at; to destroy {stack} without a question: YES=1")
    if input(f"Type {stack} to go on: ").strip() != stack:
        raise InputError("that is not its name; nothing was changed")


def _image(deployment: Deployment, named: str | None, say: images.Say | None) -> Image:
    """The image that is named (with `-tools` at its end: the simulator's), else that of this checkout: built and pushed
    if `say` is given, which shows it."""
    if named is not None:
        return lambda made, target: _named(named, target)
    now = deployment.service.state()
    before = now.parameters.get("Architecture") if now else None
    architecture = deployment.parameters.setdefault("Architecture", before or images.own_architecture())

    def image(made: Mapping[str, str], target: str) -> str:
        if say:
            return images.build_and_push(deployment.session, made["RepositoryUri"], architecture, say, target)
        repository, wanted = made.get("RepositoryUri"), images.tag(architecture, target=target)
        return (repository and images.find(deployment.session, repository, wanted)) or f"{repository}:{wanted}"

    return image


def _named(image: str, target: str) -> str:
    if target != "service" and "@" in image:
        raise InputError('a simulator needs an image of its own beside IMAGE=...@...: PARAMS="SimulatorImage=..."')
    return images.of_target(image, target)


def connect(region: str | None) -> boto3.Session:
    """A session whose credentials work."""
    if wrong := list(misspelt.faults(os.environ, misspelt.AWS_VARIABLES)):
        raise InputError("; ".join(wrong))
    session = boto3.Session(region_name=region or os.environ.get("AWS_REGION"))  # which boto3 does not look at
    session.client("cloudformation")  # NoRegionError before anything else
    session.client("sts").get_caller_identity()
    return session


def poll_seconds() -> float:
    """The local stack is quick, and does not limit requests."""
    return 0.2 if os.environ.get("AWS_ENDPOINT_URL") else POLL_SECONDS


def place(session: boto3.Session) -> str:
    """Where this goes, for a person."""
    account = session.client("sts").get_caller_identity()["Account"]
    local = os.environ.get("AWS_ENDPOINT_URL")
    return f"account {account}, region {session.region_name}{f', at {local}' if local else ''}"
