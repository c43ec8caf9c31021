"""The command line: python -m infra deploy|plan|destroy|package. Exit codes: 0 done, 1 it failed, 2 a user error."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import boto3

from consumer import misspelt
from infra.deploy import container, exits, package
from infra.deploy.cloudformation import POLL_SECONDS, DeployError, Event, InputError
from infra.deploy.deployment import DATA, NETWORK, SERVICE, Deployment, Image, require_name
from infra.deploy.destroy import Data, destroy, stored
from infra.deploy.holdings import Holding
from infra.deploy.options import assignments, parser, spelt_out
from infra.deploy.parameters import require_valid
from infra.deploy.progress import Progress, count, table
from infra.deploy.summary import summary
from producer.aws.errors import told

Arguments = argparse.Namespace


def main(argv: Sequence[str] | None = None) -> int:
    """Every failure that somebody can fix is one line on stderr."""
    try:
        arguments = parser(COMMANDS).parse_args(spelt_out(sys.argv[1:] if argv is None else argv))
        if wrong := list(misspelt.faults(os.environ, misspelt.OF_AWS)):
            raise InputError("; ".join(wrong))
        run: Callable[[Arguments], int] = arguments.run
        return run(arguments)
    except InputError as error:
        print(f"sensorstream: {error}", file=sys.stderr)
        return 2
    except DeployError as error:
        print(f"sensorstream: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sensorstream: what CloudFormation has begun goes on; the same command again follows it", file=sys.stderr)
        return 130
    except Exception as error:
        if (line := told(error)) is None:
            raise
        print(f"sensorstream: {line}", file=sys.stderr)
        return 2


def _deploy(arguments: Arguments) -> int:
    require_name(arguments.stack)
    asked(arguments)
    session = connect(arguments.region)
    with Progress() as progress:
        progress.say(f"{arguments.stack}: {place(session)}")
        deployment, image = _deployment(arguments, session, progress, build=True)
        outputs = deployment.apply(image, progress.plan)
        progress.say(f"{arguments.stack} is as asked for")
    print("\n".join(summary(session, arguments.stack, outputs)))
    return 0


def _plan(arguments: Arguments) -> int:
    require_name(arguments.stack)
    asked(arguments)
    session = connect(arguments.region)
    with Progress() as progress:
        deployment, image = _deployment(arguments, session, progress, build=False)
        plans = list(deployment.plan(image))
    for plan in plans:
        if plan.changes is None:
            print(f"stack {plan.stack}: to be created, once the stacks before it are there")
            continue
        print(f"stack {plan.stack}: {'to be created, ' if plan.new else ''}{count(plan.changes)}")
        print("".join(f"  {line}\n" for line in table(plan.changes)), end="")
    return 0


def _destroy(arguments: Arguments) -> int:
    require_name(arguments.stack)
    require_role(arguments.role)
    data = data_choice(arguments)
    session = connect(arguments.region)
    with Progress() as progress:

        def tell(event: Event) -> None:
            if event.status != "DELETE_SKIPPED":  # of the data, about which more is said
                progress.event(event)

        deployment = Deployment(session, arguments.stack, {}, tell, poll_seconds(), role=arguments.role)
        there = any(deployment.state(path) for path in (DATA, NETWORK, SERVICE))
        if there:
            print("\n".join(warning(arguments.stack, place(session), data, stored(session, arguments.stack))))
            if not arguments.yes:
                ask(arguments.stack)
        kept = destroy(session, deployment, progress.say, data)
        progress.say(f"{arguments.stack} is gone" if there else f"there is no deployment {arguments.stack}")
    for each in kept:
        print(f"kept: {each}")
        print(f"      to delete it one day: {_deletion(each)}")
    return 0


def data_choice(arguments: Arguments) -> Data:
    """What shall become of the data; InputError unless whatever deletes readings is unmistakable."""
    named, keep = arguments.delete_data, arguments.keep_data
    if named and named != arguments.stack:
        raise InputError(f"DELETE_DATA={named} is not the deployment's name; nothing was changed")
    if named and keep:
        raise InputError("KEEP_DATA and DELETE_DATA contradict each other; nothing was changed")
    if keep is False and not named:
        raise InputError(f"KEEP_DATA=no deletes nothing; to delete the readings too: DELETE_DATA={arguments.stack}")
    return Data.DELETE if named else Data.KEEP if keep else Data.UNLESS_EMPTY


def warning(stack: str, where: str, data: Data, there: list[Holding]) -> list[str]:
    """What destroying means, and what it takes with it."""
    lines = [f"This destroys {stack} ({where}), with its devices and what the stream still holds."]
    kept = data is Data.KEEP or (data is Data.UNLESS_EMPTY and not all(each.empty for each in there))
    lines += [f"  {'kept' if kept else 'DELETED'}: {each}" for each in there]
    if kept and there and data is Data.UNLESS_EMPTY:
        lines.append(f"  to delete these too: DELETE_DATA={stack}")
    return lines


def _deletion(kept: Holding) -> str:
    if kept.kind == "table":
        return f"aws dynamodb delete-table --table-name {kept.id}"
    return f"aws s3 rb --force s3://{kept.id}"


def _package(arguments: Arguments) -> int:
    folder = Path(arguments.folder or "build/package")
    if arguments.bucket and not re.fullmatch("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", arguments.bucket):
        raise InputError(f"BUCKET={arguments.bucket} is no bucket's name: 3 to 63 of a-z, 0-9, . and -")
    session = connect(arguments.region) if arguments.bucket else None
    print("\n".join(package.build(folder, session, arguments.bucket)))
    return 0


def _deployment(
    arguments: Arguments, session: boto3.Session, progress: Progress, build: bool
) -> tuple[Deployment, Image]:
    """The deployment, and its image: named, or that of this checkout (which `build` may build and push)."""
    parameters = asked(arguments)

    def deployment() -> Deployment:
        return Deployment(session, arguments.stack, parameters, progress.event, poll_seconds(), arguments.role)

    if arguments.image is not None:
        return deployment(), arguments.image
    now = deployment().state(SERVICE)
    before = now.parameters.get("Architecture") if now else None
    architecture = parameters.get("Architecture") or before or container.own_architecture()
    if architecture not in container.ARCHITECTURES:
        raise InputError(f"Architecture={architecture} must be one of {', '.join(container.ARCHITECTURES)}")
    parameters["Architecture"] = architecture

    def image(made: Mapping[str, str]) -> str:
        wanted, repository = container.tag(architecture), made.get("RepositoryUri")  # which may not be there yet
        if repository and (found := container.find(session, repository, wanted)):
            progress.say(f"image {wanted} is in the repository")
            return found
        if not build:
            return f"{repository}:{wanted}"
        if os.environ.get("AWS_ENDPOINT_URL"):
            raise InputError("the local stack takes no images: IMAGE=sensorstream:local, as in .local/env")
        return container.build_and_push(session, made["RepositoryUri"], wanted, architecture, progress.say)

    return deployment(), image


def asked(arguments: Arguments) -> dict[str, str]:
    """Parameters as they were asked for; InputError for what cannot be, before AWS is asked anything."""
    parameters = assignments(arguments.params)
    if arguments.image is not None and not re.fullmatch(r"[^\s]+", arguments.image):
        raise InputError(f"IMAGE={arguments.image} is no reference of an image, such as sensorstream:local")
    require_role(arguments.role)
    if arguments.email is not None:
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", arguments.email):
            raise InputError(f"EMAIL={arguments.email} is no e-mail address, such as you@example.com")
        parameters["SNSEmail"] = arguments.email
    require_valid(parameters, (DATA, NETWORK, SERVICE))
    return parameters


def require_role(role: str | None) -> None:
    """InputError unless it is the ARN of a role, or not given."""
    if role is not None and not re.fullmatch("arn:[a-z-]+:iam::[0-9]{12}:role/.+", role):
        raise InputError(f"ROLE={role} is not the ARN of a role, such as arn:aws:iam::123456789012:role/name")


def connect(region: str | None) -> boto3.Session:
    """A session whose credentials work."""
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


def ask(stack: str) -> None:
    """InputError unless a person types the deployment's name."""
    if not sys.stdin.isatty():
        raise InputError(f"there is no terminal to ask at; to destroy {stack} without a question: YES=1")
    if input(f"Type {stack} to go on: ").strip() != stack:
        raise InputError("that is not its name; nothing was changed")


COMMANDS = {"deploy": _deploy, "plan": _plan, "destroy": _destroy, "package": _package}

if __name__ == "__main__":
    try:
        code = main()
    except SystemExit as end:  # of argparse, which has told why
        code = int(str(end.code or 0))
    sys.exit(exits.told(code, exits.DEPLOYMENT))
