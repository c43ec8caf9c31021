"""The options of python -m infra. Each may be given as on make's command line, too: NAME=value before all options.

Nothing of it is read from the environment, where names such as STACK and YES may be somebody else's.
"""

import argparse
import shlex
from collections.abc import Callable, Mapping, Sequence

from infra.deploy.cloudformation import InputError
from infra.switches import SwitchError, words, yes
from producer.arguments import Parser

Commands = Mapping[str, Callable[[argparse.Namespace], int]]

STACK = ("STACK", "name of the deployment")
REGION = ("REGION", "region, else the SDK's own")
WANTED = (
    ("EMAIL", "who gets the alerts"),
    ("PARAMS", 'parameters of the templates, "Name=value Name=value"'),
    ("IMAGE", "the service's image; else that of this checkout, which deploy builds and pushes where it is missing"),
)
FOLDER = ("FOLDER", "where the templates go; else build/package")
DELETE_DATA = ("DELETE_DATA", "name of the deployment once more: delete its table and its archive")
ROLE = ("ROLE", "ARN of the role that CloudFormation acts in, instead of yours")


def parser(run: Commands) -> Parser:
    """`run` maps each command's name to the function that the parsed arguments carry as `run`."""
    main = Parser(
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
            "take a deployment away with its devices; its readings only if that is asked for by name",
            (STACK, REGION, ROLE, DELETE_DATA),
            (
                ("KEEP_DATA", "leave the table and the archive's bucket; so it is where they hold anything"),
                ("YES", "do not ask"),
            ),
        ),
        (
            "package",
            "templates with their artifacts, for the console or the AWS command line",
            (("BUCKET", "bucket for the artifacts, in the deployment's region; else they lie beside"), FOLDER, REGION),
            (),
        ),
    ):
        about = text[0].upper() + text[1:] + "."
        made = commands.add_parser(name, help=text, description=about)
        made.set_defaults(run=run[name])
        for variable, about in options:
            made.add_argument(flag(variable), metavar=variable, help=f"{about} ({variable}=)")
        for variable, about in flags:
            made.add_argument(
                flag(variable),
                nargs="?",
                const=True,
                type=_switch(variable),
                metavar="yes|no",
                help=f"{about} ({variable}=yes)",
            )
    return main


def spelt_out(argv: Sequence[str]) -> list[str]:
    """The command line with its words NAME=value as options; InputError for a name that the command does not take."""
    if not argv or argv[0].startswith("-"):
        return list(argv)
    command, *rest = argv
    end = next((number for number, word in enumerate(rest) if word.startswith("-")), len(rest))
    try:
        given, others = words(command, rest[:end])
    except SwitchError as error:
        raise InputError(str(error)) from None
    return [command, *(f"{flag(name)}={value}" for name, value in given.items()), *others, *rest[end:]]


def _switch(variable: str) -> Callable[[str], bool]:
    def parsed(text: str) -> bool:
        try:
            return yes(variable, text)
        except SwitchError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


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
    given: dict[str, str] = {}
    for name, _, value in (word.partition("=") for word in words):
        if given.setdefault(name, value) != value:
            raise InputError(f"PARAMS: {name} is given twice, as {given[name]} and as {value}")
    return given
