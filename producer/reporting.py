"""The output of a command at its end: its result, or one line for a failure that is not this program's fault."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any, Protocol

import click

PROGRAM = "sensorstream"


class Report(Protocol):
    """What a command has found or done."""

    def as_json(self) -> dict[str, Any]: ...
    def as_text(self) -> str: ...


def printed(report: Report, as_json: bool, ok: bool = True) -> int:
    """Prints it and returns the exit code."""
    click.echo(json.dumps(report.as_json()) if as_json else report.as_text())
    return 0 if ok else 1


def reported(command: Callable[[], int]) -> int:
    """The command's exit code."""
    try:
        return command()
    except (click.ClickException, click.exceptions.Exit):
        raise
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Else the interpreter complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        from producer.aws.errors import UserError, explain_if_aws

        line = str(error) if isinstance(error, UserError) else explain_if_aws(error)
        if line is None:
            raise
        click.echo(f"{PROGRAM}: {line}", err=True)
        return 2
