"""The options of python -m infra; each defaults to the variable of make's command line that has its name."""

import argparse
import shlex
from collections.abc import Callable, Mapping

from infra.cloudformation import InputError

Commands = Mapping[str, Callable[[argparse.Namespace], int]]

STACK = ("STACK", "name of the deployment")
REGION = ("REGION", "region, else the SDK's own")
WANTED = (
    ("EMAIL", "who gets the alerts"),
    ("PARAMS", 'parameters of the templates, "Name=value Name=value"'),
    ("IMAGE", "the service's image; else that of this checkout, which deploy builds and pushes where it is missing"),
)
FOLDER = ("FOLDER", "where the templates go; else build/package")
ROLE = ("ROLE", "ARN of the role that CloudFormation acts in, instead of yours")


def parser(run: Commands, environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """`run` maps each command's name to the function that the parsed arguments carry as `run`."""
    main = argparse.ArgumentParser(
        prog="infra",
        description="Deploys Sensorstream as CloudFormation stacks, in the cloud or on the local stack.",
        epilog="Where AWS is comes from the SDK's environment variables; for the local stack: source .local/env",
    )
    commands = main.add_subparsers(required=True, metavar="COMMAND")
    for name, text, options, flags in (
        ("deploy", "create or update all stacks of a deployment", (STACK, REGION, *WANTED, ROLE), ()),
        ("plan", "show what deploy would do", (STACK, REGION, *WANTED, ROLE), ()),
        (
            "destroy",
            "take a deployment away with its devices and its data",
            (STACK, REGION, ROLE),
            (("KEEP_DATA", "leave the table and the archive's bucket"), ("YES", "do not ask")),
        ),
        (
            "package",
            "templates with their artifacts, for the console or the AWS command line",
            (("BUCKET", "bucket for the artifacts, in the deployment's region; else they lie beside"), FOLDER, REGION),
            (),
        ),
    ):
        made = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        made.set_defaults(run=run[name])
        for variable, about in options:
            made.add_argument(
                flag(variable), default=environ.get(variable) or None, metavar=variable, help=f"{about} (${variable})"
            )
        for variable, about in flags:
            on = environ.get(variable, "") not in ("", "0")
            made.add_argument(flag(variable), action="store_true", default=on, help=f"{about} (${variable}=1)")
    return main


def flag(variable: str) -> str:
    """KEEP_DATA -> --keep-data."""
    return f"--{variable.lower().replace('_', '-')}"


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
