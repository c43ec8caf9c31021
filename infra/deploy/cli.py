"""The command line: python -m infra deploy|plan|destroy|package|push. Exit codes: docs/commands.md."""

import os
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
from infra.deploy.cloudformation import POLL_SECONDS, DeployError, Event, InputError
from infra.deploy.deployment import Deployment, Image
from infra.deploy.options import ARCH, BUCKET, EMAIL, IMAGE, JSON, PARAMS, REGION, ROLE, STACK, Command, option, switch
from infra.deploy.parameters import assignments, require_valid
from infra.deploy.progress import Progress
from infra.deploy.summary import summary
from infra.switches import SwitchError
from producer.ending import INTERRUPTED, fail
from producer.reporting import Commands, told

CODES: Mapping[type[Exception], int] = {InputError: 2, SwitchError: 2, DeployError: 1}
GOES_ON = "what CloudFormation has begun goes on; the same command again follows it"


def main(argv: Sequence[str] | None = None) -> int:
    """Every failure that the user can fix is one line on stderr."""
    code = commands.run(None if argv is None else list(argv), "python -m infra")
    return fail(GOES_ON, code) if code == INTERRUPTED else code


class Group(Commands):
    codes = CODES


@click.group(
    cls=Group,
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


@with_options(STACK, REGION, EMAIL, PARAMS, IMAGE, ROLE, JSON)
def deploy(stack: str, region: str, email: str, params: str, image: str, role: str, as_json: bool | None) -> int:
    """Create or update all stacks of a deployment."""
    parameters = asked(email, params)
    session = connect(region)
    with closing(Progress(stderr=bool(as_json))) as progress:
        progress.say(f"{stack}: {place(session)}")
        deployment = Deployment(session, stack, parameters, progress.event, poll_seconds(), role, progress.plan)
        outputs = deployment.apply(_image(deployment, image, progress.say))
        progress.say(f"{stack} is as asked for")
    return told({"stack": stack, "outputs": outputs} if as_json else "\n".join(summary(session, stack, outputs)))


@with_options(STACK, REGION, EMAIL, PARAMS, IMAGE, ROLE, JSON)
def plan(stack: str, region: str, email: str, params: str, image: str, role: str, as_json: bool | None) -> int:
    """Show what deploy would do."""
    parameters = asked(email, params)
    deployment = Deployment(connect(region), stack, parameters, poll_seconds=poll_seconds(), role=role)
    plans = deployment.plan(_image(deployment, image, None))
    return told([each.as_json() for each in plans] if as_json else "\n".join(each.as_text() for each in plans))


@with_options(
    STACK,
    REGION,
    ROLE,
    option("DELETE_DATA", "name of the deployment once more: delete its table and its archive"),
    switch("KEEP_DATA", "leave the table and the archive's bucket; so it is where they hold anything"),
    switch("YES", "do not ask"),
    JSON,
)
def destroy(stack: str, region: str, role: str, as_json: bool | None, **chosen: Any) -> int:
    """Delete a deployment with its devices; its readings only if that is asked for by name."""
    data = destruction.data_choice(stack, chosen["delete_data"], chosen["keep_data"])
    session = connect(region)
    with closing(Progress(stderr=bool(as_json))) as progress:

        def on_event(event: Event) -> None:
            if event.status != "DELETE_SKIPPED":  # of the data, about which more is said
                progress.event(event)

        deployment = Deployment(session, stack, {}, on_event, poll_seconds(), role)
        there = any(each.state() for each in (deployment.data, deployment.network, deployment.service))
        if there:
            stored, alerts = destruction.stored(deployment), destruction.alert_table(deployment)
            click.echo("\n".join(destruction.warning(stack, place(session), data, stored, alerts)), err=bool(as_json))
            if not chosen["yes"]:
                destruction.ask(stack)
        kept = destruction.destroy(deployment, progress.say, data)
        progress.say(f"{stack} is gone" if there else f"there is no deployment {stack}")
    if as_json:
        return told({"stack": stack, "kept": [each.as_json() for each in kept]})
    for each in kept:
        click.echo(f"kept: {each}\n      to delete it one day: {each.deletion}")
    return 0


@with_options(BUCKET, option("FOLDER", "where the templates go; else build/package"), REGION, JSON)
def package(bucket: str, folder: str, region: str, as_json: bool | None) -> int:
    """Templates with their artifacts, for the console or the AWS command line."""
    session = connect(region) if bucket else None
    made = packages.build(Path(folder or "build/package"), session, bucket)
    return told(made.as_json() if as_json else made.as_text())


@with_options(STACK, REGION, IMAGE, ARCH, JSON)
def push(stack: str, region: str, image: str, arch: str, as_json: bool | None) -> int:
    """Push an image into a deployment's repository, by default this checkout's; print its reference by digest."""
    session = connect(region)
    repository = images.repository(session, stack)
    if image:
        pushed = images.push(session, image, repository)
    else:
        say = partial(click.echo, err=True)
        pushed = images.build_and_push(session, repository, arch or images.own_architecture(), say)
    return told({"image": pushed} if as_json else pushed)


@commands.command(hidden=True)
@click.argument("region")
def token(region: str) -> int:
    """The password for an account's registry: infra/image/push.sh asks for it."""
    return told(images.token(boto3.Session(region_name=region)))


def asked(email: str | None, params: str | None) -> dict[str, str]:
    """Values for the templates; InputError for what cannot be, before AWS is asked anything."""
    parameters = assignments(params) | ({"SNSEmail": email} if email else {})
    require_valid(parameters)
    return parameters


def _image(deployment: Deployment, named: str | None, say: images.Say | None) -> Image:
    """The image that is named (with `-tools` at its end: the commands'), else that of this checkout: built and pushed
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
        raise InputError('beside IMAGE=...@... name the image of the commands, too: PARAMS="SimulatorImage=..."')
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
