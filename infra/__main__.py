"""The command line: python -m infra deploy|plan|destroy|package. Exit codes: 0 done, 1 it failed, 2 a user error."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import boto3

from infra import container, package
from infra.cloudformation import POLL_SECONDS, DeployError, Event, InputError
from infra.deploy import DATA, NETWORK, SERVICE, Deployment, Image, require_name
from infra.destroy import destroy
from infra.options import assignments, parser
from infra.progress import Progress, count, table
from infra.summary import summary
from producer.errors import told

Arguments = argparse.Namespace


def main(argv: Sequence[str] | None = None) -> int:
    """Every failure that somebody can mend is one line on stderr."""
    arguments = parser(COMMANDS, os.environ).parse_args(argv)
    run: Callable[[Arguments], int] = arguments.run
    try:
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
    session = connect(arguments.region)
    with Progress() as progress:

        def tell(event: Event) -> None:
            if event.status != "DELETE_SKIPPED":  # of the data, about which more is said
                progress.event(event)

        deployment = Deployment(session, arguments.stack, {}, tell, poll_seconds(), role=arguments.role)
        there = any(deployment.state(path) for path in (DATA, NETWORK, SERVICE))
        if there and not arguments.yes:
            ask(arguments.stack, place(session), arguments.keep_data)
        kept = destroy(session, deployment, progress.say, arguments.keep_data)
        progress.say(f"{arguments.stack} is gone" if there else f"there is no deployment {arguments.stack}")
    for name in kept:
        print(f"kept: {name}")
    return 0


def _package(arguments: Arguments) -> int:
    folder = Path(arguments.folder or "build/package")
    session = connect(arguments.region) if arguments.bucket else None
    print("\n".join(package.build(folder, session, arguments.bucket)))
    return 0


def _deployment(
    arguments: Arguments, session: boto3.Session, progress: Progress, build: bool
) -> tuple[Deployment, Image]:
    """The deployment, and its image: named, or that of this checkout (which `build` may build and push)."""
    parameters = assignments(arguments.params)
    if arguments.email is not None:
        parameters["SNSEmail"] = arguments.email

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


def ask(stack: str, where: str, keep_data: bool) -> None:
    """InputError unless a person types the deployment's name."""
    if not sys.stdin.isatty():
        raise InputError(f"nobody is there to be asked; to destroy {stack} without a question: YES=1")
    what = "its devices, and all but its data" if keep_data else "its devices, its table and its archive"
    print(f"This destroys {stack} ({where}): {what}, and what the stream still holds.")
    if input(f"Type {stack} to go on: ").strip() != stack:
        raise InputError("that is not its name; nothing was changed")


COMMANDS = {"deploy": _deploy, "plan": _plan, "destroy": _destroy, "package": _package}

if __name__ == "__main__":
    sys.exit(main())
