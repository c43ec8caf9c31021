"""The options of python -m infra. Each may be given as on make's command line, too: NAME=value before all options.

Nothing of it is read from the environment, where names such as STACK and YES may belong to another program.
"""

import re
from collections.abc import Callable
from typing import Any

import click

from infra.deploy.cloudformation import InputError
from infra.deploy.deployment import require_name
from infra.switches import words, yes


class Command(click.Command):
    """A command that takes NAME=value words before its options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = next((number for number, word in enumerate(args) if word.startswith("-")), len(args))
        given, others = words(str(self.name), args[:end])
        return super().parse_args(ctx, [*(f"{_flag(n)}={v}" for n, v in given.items()), *others, *args[end:]])


def _flag(variable: str) -> str:
    """KEEP_DATA -> --keep-data."""
    return f"--{variable.lower().replace('_', '-')}"


def option(variable: str, about: str, pattern: str = ".*", otherwise: str = "") -> Callable[[Any], Any]:
    """An option of this name that takes a value of this form; `otherwise` completes `NAME=value` to why it does not."""

    def parsed(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(pattern, value, re.DOTALL):
            raise InputError(f"{variable}={value} {otherwise}")
        return value

    return click.option(_flag(variable), callback=parsed, metavar=variable, help=f"{about} ({variable}=)")


def switch(variable: str, about: str, name: str | None = None) -> Callable[[Any], Any]:
    """An option that is on without a value, too; None when it is not given. `name` is the function's parameter."""

    def parsed(ctx: click.Context, parameter: click.Parameter, value: str | None) -> bool | None:
        return None if value is None else yes(variable, value)

    names = (_flag(variable), name or variable.lower())
    shown: Any = {"metavar": "yes|no", "help": f"{about} ({variable}=yes)"}
    return click.option(*names, is_flag=False, flag_value="yes", callback=parsed, **shown)


STACK = click.option(
    "--stack",
    callback=lambda ctx, parameter, value: require_name(value),
    metavar="STACK",
    help="name of the deployment (STACK=)",
)
REGION = option("REGION", "region, else the SDK's own")
ROLE = option(
    "ROLE",
    "ARN of the role that CloudFormation assumes, instead of yours",
    "arn:[a-z-]+:iam::[0-9]{12}:role/.+",
    "is not the ARN of a role, such as arn:aws:iam::123456789012:role/name",
)
EMAIL = option("EMAIL", "who gets the alerts", r"[^@\s]+@[^@\s]+", "is not an e-mail address, such as you@example.com")
PARAMS = option("PARAMS", 'parameters of the templates, "Name=value Name=value"')
IMAGE = option(
    "IMAGE",
    "the service's image; else that of this checkout, which deploy builds and pushes if it is missing",
    r"\S+",
    "is not an image reference, such as sensorstream:local",
)
ARCH = option("ARCH", "its architecture; else this machine's", "ARM64|X86_64", "must be one of ARM64, X86_64")
BUCKET = option(
    "BUCKET",
    "bucket for the artifacts, in the deployment's region; else they lie beside",
    "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "is not a bucket name: 3 to 63 of a-z, 0-9, . and -",
)
JSON = switch("JSON", "print the result as one JSON document; the steps go to stderr", "as_json")
