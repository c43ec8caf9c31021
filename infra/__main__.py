"""The command line: python -m infra deploy|plan|destroy|package.

Options default to the variables of make's command line. Exit codes: 0 done, 1 it failed, 2 a user error.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence

import boto3

from infra import container
from infra.cloudformation import DeployError, InputError
from infra.deploy import SERVICE, Deployment, Image, require_name
from infra.progress import Progress, count, table
from infra.summary import summary
from producer.errors import AWS_ERRORS, explain

Arguments = argparse.Namespace


def parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="infra",
        description="Deploys Sensorstream as CloudFormation stacks, in the cloud or on the local stack.",
        epilog="Where AWS is comes from the SDK's environment variables; for the local stack: source .local/env",
    )
    commands = main.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[Arguments], int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        made.set_defaults(run=run)
        return made

    def option(made: argparse.ArgumentParser, name: str, text: str) -> None:
        made.add_argument(
            f"--{name.lower().replace('_', '-')}",
            default=environ.get(name) or None,
            metavar=name,
            help=f"{text} (default: ${name})",
        )

    deploy = command("deploy", _deploy, "create or update all stacks of a deployment")
    plan = command("plan", _plan, "show what deploy would do")
    for one in (deploy, plan):
        option(one, "STACK", "name of the deployment")
        option(one, "REGION", "region, else the SDK's own")
        option(one, "EMAIL", "who gets the alerts")
        option(one, "PARAMS", 'parameters of the templates, "Name=value Name=value"')
        option(one, "IMAGE", "the service's image; else that of this checkout is built and pushed")
        option(one, "ROLE", "ARN of the role that CloudFormation acts in, instead of yours")
    return main


def main(argv: Sequence[str] | None = None) -> int:
    """Every failure that somebody can mend is one line on stderr."""
    arguments = parser(os.environ).parse_args(argv)
    run: Callable[[Arguments], int] = arguments.run
    try:
        return run(arguments)
    except InputError as error:
        print(f"sensorstream: {error}", file=sys.stderr)
        return 2
    except DeployError as error:
        print(f"sensorstream: {error}", file=sys.stderr)
        return 1
    except AWS_ERRORS as error:
        print(f"sensorstream: {explain(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("sensorstream: what CloudFormation has begun goes on; the same command again follows it", file=sys.stderr)
        return 130


def _deploy(arguments: Arguments) -> int:
    session = connect(arguments)
    with Progress() as progress:
        progress.say(f"{arguments.stack}: {place(session)}")
        deployment, image = _deployment(arguments, session, progress, build=True)
        outputs = deployment.apply(image, progress.plan)
        progress.say(f"{arguments.stack} is as asked for")
    print("\n".join(summary(session, arguments.stack, outputs)))
    return 0


def _plan(arguments: Arguments) -> int:
    session = connect(arguments)
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


def _deployment(
    arguments: Arguments, session: boto3.Session, progress: Progress, build: bool
) -> tuple[Deployment, Image]:
    """The deployment, and its image: named, or that of this checkout (which `build` may build and push)."""
    parameters = assignments(arguments.params)
    if arguments.email is not None:
        parameters["SNSEmail"] = arguments.email

    def deployment() -> Deployment:
        return Deployment(session, arguments.stack, parameters, progress.event, role=arguments.role)

    if arguments.image is not None:
        return deployment(), arguments.image
    now = deployment().state(SERVICE)
    before = now.parameters.get("Architecture") if now else None
    architecture = parameters.get("Architecture") or before or container.own_architecture()
    if architecture not in container.PLATFORMS:
        raise InputError(f"Architecture={architecture} must be one of {', '.join(container.PLATFORMS)}")
    parameters["Architecture"] = architecture

    def image(made: Mapping[str, str]) -> str:
        repository = made["RepositoryUri"]
        if build:
            return container.ensure(session, repository, architecture, progress.say)
        wanted = container.tag(architecture)
        return container.find(session, repository, wanted) or f"{repository}:{wanted}"

    return deployment(), image


def assignments(text: str | None) -> dict[str, str]:
    """`Name=value Name="other value"` as a mapping; InputError for anything else."""
    try:
        words = shlex.split(text or "")
    except ValueError as error:
        raise InputError(f"PARAMS={text}: {error}") from None
    for word in words:
        if not word.partition("=")[0].isalnum() or "=" not in word:
            raise InputError(f'PARAMS: {word} is not Name=value; such as PARAMS="ShardCount=4 MaxTasks=2"')
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def connect(arguments: Arguments) -> boto3.Session:
    """A session whose credentials work; InputError when there is no stack's name."""
    if not arguments.stack:
        raise InputError("name the deployment: STACK=name")
    require_name(arguments.stack)
    region = arguments.region or os.environ.get("AWS_REGION")  # which boto3 does not look at
    session = boto3.Session(region_name=region)
    session.client("cloudformation")  # NoRegionError before anything else
    session.client("sts").get_caller_identity()
    return session


def place(session: boto3.Session) -> str:
    """Where this goes, for a person."""
    account = session.client("sts").get_caller_identity()["Account"]
    local = os.environ.get("AWS_ENDPOINT_URL")
    return f"account {account}, region {session.region_name}{f', at {local}' if local else ''}"


if __name__ == "__main__":
    sys.exit(main())
